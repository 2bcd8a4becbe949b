"""VFHQ (Xie et al., CVPRW 2022): interviews, one person a clip.

Layout: one folder a clip, its name starting with `Clip+`, at any depth (the test set has them in
one folder a resolution), with one picture a frame; or one video file a clip.
"""

from __future__ import annotations

from pathlib import Path

from flexavatar.evaluation.datasets.recordings import VIDEOS, FaceVideo, pictures_in

MARK = "Clip+"


def face_videos(folder: Path) -> list[FaceVideo]:
    """Every clip, sorted by name; in cross-reenactment each drives the one before."""
    found = [
        FaceVideo(path.stem if path.is_file() else path.name, path)
        for path in folder.rglob(f"{MARK}*")
        if (path.is_file() and path.suffix.lower() in VIDEOS)
        or (path.is_dir() and pictures_in(path))
    ]
    return sorted(found, key=lambda recording: recording.name)
