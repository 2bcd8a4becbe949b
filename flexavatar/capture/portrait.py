"""A photo -> a square portrait of one head, with its landmarks and matte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.foreground import foreground_colors
from flexavatar.capture.landmarks import FaceLandmarks, detect_face, level_warp
from flexavatar.capture.matte import keep_component, person_matte
from flexavatar.capture.photo import Photo

MATTE_THRESHOLD = 0.5
"""A pixel is the person's where the matte is above this."""


PORTRAIT_SIDE = 512
CROP_SHARE = 2.5
"""Side of the crop in face heights: hair above, collar and some shoulder below."""
CENTRE_SHARE = 0.47
"""Of the crop's height above the middle of the face."""
BACKGROUND, FRAMED_SHARE = 0.1, 0.25
"""Matte below which a pixel is surely not the person's; with so many of these, a picture with
transparency is a framed one, cut to a circle for example, and not a cut-out of a person."""


@dataclass(frozen=True)
class Portrait:
    """One photo, cropped to the head and matted."""

    rgb: NDArray[np.float32]  # [S, S, 3] 0..1, background kept
    colors: NDArray[np.float32]  # [S, S, 3] 0..1, the person's colours without the background's
    matte: NDArray[np.float32]  # [S, S] 0..1
    inside: NDArray[np.bool_]  # [S, S] False where the crop leaves the photo
    face: FaceLandmarks  # points in pixels of the crop
    focal_px: float | None  # from EXIF, in pixels of the crop
    crop_scale: float  # pixels of the crop per pixel of the photo
    lens: str | None = None  # portraits of one lens have one focal_px / crop_scale
    warnings: tuple[str, ...] = ()  # what it does not show of the face, in words
    name: str = "photo"  # for messages

    @property
    def face_hull(self) -> NDArray[np.bool_]:
        """Inside the landmarks' convex hull: [S, S]."""
        return _face_hull(self.face.points, len(self.matte))

    @property
    def quality_penalty(self) -> float:
        """0 for the best photo of a person; `frontal_penalty` and a small face add to it."""
        blurred = max(0.0, float(np.log2(self.crop_scale)))
        return self.face.frontal_penalty + 0.25 * blurred


def make_portrait(photo: Photo, side: int = PORTRAIT_SIDE) -> Portrait:
    """Find the face, crop, matte. Raises FaceError as `detect_face` does."""
    return crop_portrait(photo, detect_face(photo.rgb), side)


def crop_portrait(
    photo: Photo,
    face: FaceLandmarks,
    side: int = PORTRAIT_SIDE,
    cover: NDArray[np.uint8] | None = None,
    level: bool = False,
) -> Portrait:
    """Crop around a known face, turned until it is level if so asked.

    The person's matte [H, W], 255 full, may be given as `cover`; a cut-out photo has its own.
    """
    left, top, crop = crop_square(face)
    scale = side / crop
    centre = (left + crop / 2, top + CENTRE_SHARE * crop)
    place = (side / 2, CENTRE_SHARE * side)
    warp = level_warp(centre, place, scale, face.tilt if level else 0.0)
    rgb = _warp(photo.rgb, warp, side, cv2.BORDER_REPLICATE)
    white = np.full(photo.rgb.shape[:2], 255, np.uint8)
    inside = _warp(white, warp, side, cv2.BORDER_CONSTANT) > 250
    moved = face.warped(warp)
    find = partial(person_matte, rgb, _face_hull(moved.points, side), inside)
    given = photo.alpha if cover is None else cover
    known = None if given is None else _warp(given, warp, side, cv2.BORDER_CONSTANT)
    matte = _matte(known, find, trusted=cover is not None) * inside
    matte = keep_component(matte, (int(moved.points[1, 0]), int(moved.points[1, 1])))
    unit = np.asarray(rgb / 255, np.float32)
    focal = None if photo.focal_px is None else photo.focal_px * scale
    colors = foreground_colors(unit, matte)
    return Portrait(unit, colors, matte, inside, moved, focal, scale, photo.lens)


def _matte(
    known: NDArray[np.uint8] | None, find: Callable[[], NDArray[np.float32]], trusted: bool
) -> NDArray[np.float32]:
    """The person's matte: as given [S, S], of a cut-out that may be a framed picture, or found."""
    if known is None:
        return find()
    alpha = np.asarray(known / 255, np.float32)
    if trusted:
        return alpha
    found = find()
    opaque = alpha > MATTE_THRESHOLD
    framed = (found[opaque] < BACKGROUND).sum() > FRAMED_SHARE * opaque.sum()
    return np.minimum(alpha, found) if framed else alpha


def _face_hull(points: NDArray[np.float32], side: int) -> NDArray[np.bool_]:
    """Inside the convex hull of landmarks [K, 3]: [S, S]."""
    hull = cv2.convexHull(np.round(points[:, :2]).astype(np.int32))
    return cv2.fillPoly(np.zeros((side, side), np.uint8), [hull], 1) > 0


def crop_square(face: FaceLandmarks) -> tuple[float, float, float]:
    """Left, top and side of the square that a portrait of this face shows, pixels."""
    points = face.points[:, :2]
    across = points[454] - points[234]
    down = points[152] - points[10]
    height = max(float(np.linalg.norm(down)), 1.15 * float(np.linalg.norm(across)))
    crop = CROP_SHARE * height
    middle = 0.5 * (points[10] + points[152])
    return float(middle[0] - crop / 2), float(middle[1] - CENTRE_SHARE * crop), crop


def _warp(
    image: NDArray[np.uint8], warp: NDArray[np.float64], side: int, border: int
) -> NDArray[np.uint8]:
    """Affine crop; area-averaged when it shrinks, cubic when it enlarges."""
    scale = float(np.hypot(*warp[0, :2]))
    if scale < 0.75:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.35 / scale), np.uint8)
    mode = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpAffine(image, warp, (side, side), flags=mode, borderMode=border), np.uint8
    )
