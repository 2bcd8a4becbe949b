"""Pictures as every protocol sees them: cropped to 512 pixels, over mid grey, in two regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexavatar.capture import topology
from flexavatar.capture.landmarks import detect_face
from flexavatar.capture.photo import Photo, photo_from_array
from flexavatar.capture.portrait import MATTE_THRESHOLD, Portrait, crop_portrait
from flexavatar.errors import FaceError
from flexavatar.formats.video_reader import read_frames
from flexavatar.render.composite import RgbImage, over_mid_grey

FACE_LANDMARKS = slice(0, 468)
"""Landmarks without the irises."""


@dataclass(frozen=True)
class CroppedFrame:
    """A true picture: one frame of a video, one photo."""

    portrait: Portrait
    offset: NDArray[np.float64]  # [2] portrait pixels = picture's pixels * crop_scale + offset

    @property
    def on_grey(self) -> RgbImage:
        """The person over mid grey."""
        return over_mid_grey(self.portrait.rgb, self.portrait.matte)

    @property
    def head_mask(self) -> NDArray[np.bool_]:
        """The person's matte above the chin, [S, S]."""
        matte = self.portrait.matte
        above = np.arange(matte.shape[0])[:, None] < self.portrait.face.points[topology.CHIN, 1]
        return (matte > MATTE_THRESHOLD) & above & self.portrait.inside

    @property
    def hull_mask(self) -> NDArray[np.bool_]:
        """The convex hull of the landmarks, [S, S]."""
        return self.portrait.face_hull & self.portrait.inside


def crop_photo(photo: Photo) -> CroppedFrame:
    """Find the face and crop. Raises FaceError as `detect_face` does."""
    face = detect_face(photo.rgb)
    portrait = crop_portrait(photo, face)
    moved = portrait.face.points[:, :2] - face.points[:, :2] * portrait.crop_scale
    return CroppedFrame(portrait, moved.mean(0).astype(np.float64))


def crop_frames(video: Path, numbers: Iterable[int]) -> Iterator[tuple[int, CroppedFrame | None]]:
    """Frames of a video by number, in its order; None where there is not one face to be found."""
    wanted = sorted(set(numbers))
    for number, picture in zip(wanted, read_frames(video, wanted), strict=True):
        try:
            yield number, crop_photo(replace(photo_from_array(picture), lens=video.name))
        except FaceError:
            yield number, None


def crop_to_crop(source: CroppedFrame, target: CroppedFrame) -> NDArray[np.float64]:
    """Pixels of one crop to another's, the video standing still: [2, 3]."""
    scale = target.portrait.crop_scale / source.portrait.crop_scale
    shift = target.offset - source.offset * scale
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
