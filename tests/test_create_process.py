"""The process that makes one avatar: what it says comes through, and its end is no one else's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flexavatar.errors import ImageError
from flexavatar.progress import no_progress
from plugin_server.create_process import CreationCrashError, create_apart
from plugin_server.engine import Recipe


def no_preview() -> None:
    """Nobody waits for it."""


class Crashes:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (3,)


def test_a_crash_is_one_creations_end(tmp_path: Path) -> None:
    photos: Any = [Crashes()]
    with pytest.raises(CreationCrashError, match="status 3"):
        create_apart(photos, Recipe(), tmp_path, no_progress, no_preview)


def test_errors_come_through(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="photo 1"):
        create_apart([b"no picture"], Recipe(quick=True), tmp_path, no_progress, no_preview)


def test_nobody_waits_any_more(tmp_path: Path, astronaut: bytes) -> None:
    """The process is gone at once, whatever it is at."""

    def give_up(stage: str, share: float) -> None:
        raise KeyError(stage)

    start = time.monotonic()
    with pytest.raises(KeyError):
        create_apart([astronaut], Recipe(), tmp_path, give_up, no_preview)
    assert time.monotonic() - start < 2  # it takes longer to start
    assert not [*tmp_path.iterdir()]
