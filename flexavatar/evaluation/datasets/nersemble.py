"""NeRSemble (Kirschstein et al., SIGGRAPH 2023): 16 cameras in front of each person.

Layout of version 2 and of the benchmark's tasks, as the packages nersemble-data and
nersemble-benchmark (both Apache-2.0) write it:
`[nvs|mono_flame_avatar/]PERSON/sequences/SEQUENCE/images/cam_SERIAL.mp4`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flexavatar.evaluation.datasets.recordings import FaceVideo, MultiViewFrame, choose_views
from flexavatar.formats.video_reader import read_frames

FRONT = "222200037"
"""The camera straight ahead, from which the benchmark's avatars are trained."""


def face_videos(folder: Path) -> list[FaceVideo]:
    """Every sequence as the camera in front saw it."""
    return [
        FaceVideo(_name(images), images / f"cam_{FRONT}.mp4")
        for images in _sequences(folder)
        if (images / f"cam_{FRONT}.mp4").is_file()
    ]


def multi_view_frames(folder: Path) -> Iterator[MultiViewFrame]:
    """The first frame of every sequence that several cameras saw."""
    for images in _sequences(folder):
        cameras = sorted(images.glob("cam_*.mp4"))
        chosen = choose_views([read_frames(camera, [0])[0] for camera in cameras])
        if chosen:
            yield MultiViewFrame(_name(images), chosen)


def _sequences(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("**/sequences/*/images") if p.is_dir())


def _name(images: Path) -> str:
    sequence = images.parent
    return f"{sequence.parent.parent.name} {sequence.name}"
