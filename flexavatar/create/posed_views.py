"""Where every photo shows the head: the tracked person's own neutral head, seen by each camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.poser import rig_with_own_lids
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.track import Track, photo_codes
from flexavatar.create.evidence import View
from flexavatar.create.hair import hair_volume
from flexavatar.head.binding import surface_motion
from flexavatar.head.eyelids import eyelid_openings
from flexavatar.head.flame import FlameHead
from flexavatar.types import FlameCodes


@dataclass(frozen=True)
class Placed:
    """A person's head and how each photo shows it."""

    neutral: Tensor  # [V, 3] hair included, metres
    views: tuple[View, ...]
    codes: tuple[FlameCodes, ...]


def place(portraits: Sequence[Portrait], tracked: Track, head: FlameHead) -> Placed:
    """The person's neutral head with hair, and every photo's view of it."""
    codes = tuple(photo_codes(pose, head) for pose in tracked.photos)
    bald = head.neutral(torch.from_numpy(tracked.betas).float())
    own = rig_with_own_lids(bald, head)
    neutral = hair_volume(_views(portraits, tracked, own, bald, codes), own, bald)
    return Placed(neutral, _views(portraits, tracked, own, neutral, codes), codes)


def _views(
    portraits: Sequence[Portrait],
    tracked: Track,
    head: FlameHead,
    neutral: Tensor,
    codes: Sequence[FlameCodes],
) -> tuple[View, ...]:
    views: list[View] = []
    for portrait, pose, c in zip(portraits, tracked.photos, codes, strict=True):
        posed = head.pose(neutral, c).vertices
        motion = surface_motion(neutral, posed, head.faces)
        views.append(View(portrait, pose.camera, motion, eyelid_openings(head, posed)))
    return tuple(views)
