"""Tracked faces of a recording -> a performance, as a live session would have shown it."""

from __future__ import annotations

from collections.abc import Iterable

from flexavatar.drive.head_angles import to_angles
from flexavatar.drive.mixer import Mixer, MixerConfig, Source
from flexavatar.drive.performance import PerformanceFrame
from flexavatar.drive.tracked import TrackedFace
from flexavatar.types import NS_PER_S

NAME = "video"


def follow(
    faces: Iterable[tuple[int, TrackedFace | None]], config: MixerConfig | None = None
) -> list[PerformanceFrame]:
    """Smoothed, and idling where no face was seen; times in ns since the recording's beginning.

    `config` has one source. Raises DriveError if it has none.
    """
    config = config or MixerConfig((Source(NAME),))
    mixer, name = Mixer(config), config.sources[0].name
    frames = []
    for pts_ns, face in faces:
        if face is not None:
            mixer.feed(name, face, pts_ns / NS_PER_S)
        mixed = mixer.face(pts_ns / NS_PER_S)
        frames.append(PerformanceFrame(pts_ns, mixed.weights, to_angles(mixed.neck_pose)))
    return frames
