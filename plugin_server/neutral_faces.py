"""How whoever drives an avatar looks at rest, by source; kept in the avatar's folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from flexavatar.drive.neutral import (
    NeutralFace,
    NeutralFaceFinder,
    neutral_faces_from_json,
)
from flexavatar.drive.profile import USUAL_PROFILE, Profile, profile_from_json
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError
from plugin_server.store import Store

logger = logging.getLogger(__name__)
T = TypeVar("T")

FILE, PROFILE = "neutral.json", "profile.json"


def read_neutral_faces(folder: Path) -> Mapping[str, NeutralFace]:
    """Those in an avatar's folder; none where nothing was kept, or what cannot be read."""
    return _read_kept(folder / FILE, neutral_faces_from_json, {})


def read_profile(folder: Path) -> Profile:
    """That in an avatar's folder; the usual one as above."""
    return _read_kept(folder / PROFILE, profile_from_json, USUAL_PROFILE)


def keep_profile(store: Store, name: str, profile: Profile) -> None:
    """Keep it with an avatar. Raises AvatarNotFoundError."""
    store.write_beside(name, PROFILE, json.dumps(profile.to_json()))


def _read_kept(path: Path, parse: Callable[[Any], T], usual: T) -> T:
    try:
        return parse(json.loads(path.read_text()))
    except FileNotFoundError:
        return usual
    except (OSError, ValueError, RecursionError, DriveError) as error:
        logger.warning("%s is not used: %s", path, error)
        return usual


class NeutralFaces:
    """The sources of one session, each as what differs from rest. For the event loop."""

    def __init__(
        self,
        known: Mapping[str, NeutralFace] | None = None,
        keep: Callable[[str], None] | None = None,
    ) -> None:
        """With `keep` every source is learned anew, once, and all are handed to it as JSON."""
        self._known, self._keep = dict(known or {}), keep
        self._finders: dict[str, NeutralFaceFinder] = {}
        self._learned: set[str] = set()

    def relative(self, source: str, signal: Signal, now_s: float) -> Signal:
        """A source's signal, 0 at rest as far as that is known."""
        if self._keep is not None and source not in self._learned:
            self._learn(source, signal, now_s)
        neutral = self._known.get(source)
        return signal if neutral is None else neutral.relative(signal)

    def _learn(self, source: str, signal: Signal, now_s: float) -> None:
        finder = self._finders.setdefault(source, NeutralFaceFinder())
        neutral = finder.add(signal, now_s)
        if neutral is None or self._keep is None:
            return
        self._learned.add(source)
        self._known[source] = neutral
        logger.info("%s: the face at rest is known", source)
        self._keep(json.dumps({name: face.to_json() for name, face in self._known.items()}))
