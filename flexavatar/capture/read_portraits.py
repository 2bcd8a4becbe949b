"""Photos and videos of one person, as a caller gives them -> checked portraits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.frame_selection import FRAMES, select_frames
from flexavatar.capture.identity import check_same_person, face_descriptor
from flexavatar.capture.person import PhotoWithFace, read_photo_with_face
from flexavatar.capture.photo import photo_from_array
from flexavatar.capture.portrait import Portrait, crop_portrait
from flexavatar.capture.visibility import check_visibility
from flexavatar.errors import FaceError, ImageError, InputError
from flexavatar.formats.video_reader import container_format
from flexavatar.progress import Progress, StageProgress, part_progress

MAX_PHOTOS = 16
"""Of one avatar, frames of its videos included."""
PICKING_SHARE = 0.6
"""Of the time that a video takes, before its frames are read as photos are."""

PhotoOrVideo = bytes | NDArray[np.uint8]
"""A photo's or a video's file, or a decoded picture [H, W, 3]."""


def read_portraits(sources: Sequence[PhotoOrVideo], progress: Progress) -> list[Portrait]:
    """1 to 16 photos and videos -> up to 16 portraits, the best first whatever the order.

    A video gives up to 8 frames, or its part of what the photos leave of 16. Raises InputError for
    a wrong number of sources; ImageError, FaceError with the number of the one that cannot be used.
    """
    if not 1 <= len(sources) <= MAX_PHOTOS:
        raise InputError(f"photos: expected 1 to {MAX_PHOTOS}, got {len(sources)}")
    videos = sum(map(_is_video, sources))
    frames = min(FRAMES, (MAX_PHOTOS - len(sources) + videos) // max(videos, 1))
    names = [f"{'video' if _is_video(s) else 'photo'} {i}" for i, s in enumerate(sources, 1)]
    portraits: list[Portrait] = []
    descriptors: list[NDArray[np.float64]] = []
    for i, (source, name) in enumerate(zip(sources, names, strict=True)):
        report = part_progress(progress, f"reading {name} of {len(sources)}", i, len(sources))
        try:
            found, first = _read_one(source, name, frames, report)
        except (ImageError, FaceError) as error:
            raise type(error)(f"{name}: {error}") from None
        portraits += found
        if len(sources) > 1:
            descriptors.append(face_descriptor(first.photo.rgb, first.face))
    if descriptors:
        check_same_person(descriptors, names)
    return sorted(portraits, key=lambda portrait: portrait.quality_penalty)


def _is_video(source: PhotoOrVideo) -> bool:
    return isinstance(source, bytes) and container_format(source) is not None


def _read_one(
    source: PhotoOrVideo, name: str, frames: int, report: StageProgress
) -> tuple[list[Portrait], PhotoWithFace]:
    """Its portraits, and the first one's picture."""
    sights = _frames_with_faces(source, name, frames, lambda share: report(PICKING_SHARE * share))
    first = sights[0]
    warnings = tuple(f"{name}: {w}" for w in check_visibility(first.photo.rgb, first.face))
    portraits: list[Portrait] = []
    for i, sight in enumerate(sights):
        report(PICKING_SHARE + (1 - PICKING_SHARE) * i / len(sights))
        portrait = crop_portrait(sight.photo, sight.face, level=True)
        own = name if len(sights) == 1 else f"frame {i + 1} of {name}"
        portraits.append(replace(portrait, name=own))
    portraits[0] = replace(portraits[0], warnings=warnings)
    return portraits, first


def _frames_with_faces(
    source: PhotoOrVideo, name: str, frames: int, report: StageProgress
) -> list[PhotoWithFace]:
    """The photo itself, or the selected frames of a video, each with its face."""
    if isinstance(source, np.ndarray):
        return [read_photo_with_face(photo_from_array(source))]
    if not _is_video(source):
        return [read_photo_with_face(source)]
    picked = select_frames(source, frames, report)
    return [PhotoWithFace(replace(photo_from_array(p.rgb), lens=name), p.face) for p in picked]
