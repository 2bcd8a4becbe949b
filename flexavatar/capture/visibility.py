"""What of a face a photo does not show: eyes behind glasses or lids, a covered mouth, a cut chin.

Thresholds were set on 17 portraits, plain and with masks, dark glasses, closed lids and hands
painted on: none of the plain ones is beyond them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture import topology
from flexavatar.capture.landmarks import FaceLandmarks, detect_faces, level_warp
from flexavatar.errors import FaceError

SIDE = 256
"""Pixels of the crop that is looked at, and:"""
CROP_SHARE = 1.3
"""its side in sizes of the face."""
FLAT, DULL = 11.0, 20.0
"""Standard deviation of the lightness within an eye, of 255: below, nothing or little is seen of
white and iris. Plain eyes have 24 and more."""
FOREIGN = 10.0
"""Distance of colours, without lightness, from which on what surrounds an eye is no skin."""
SHUT = 0.45
"""Blink, from which on the eyes are closed; 0.3 at most where they are open."""
NO_LIPS = 4.0
"""Distance of the lips' colour from that around them; 9 and more where lips are seen."""
STEADY = 0.72
"""Overlap of the lips found in the crop, in its mirror image and in a blurred one. Where there are
lips it is 0.77 and more; where they are guessed they wander."""
BLUR = 3.0 / 384
"""Of the crop's side."""
SMALL_PX = 80.0
OUTLINE = {"forehead": 10, "chin": 152, "right side": 234, "left side": 454}
"""Landmarks at the ends of the face; sides are the person's."""
BEYOND = 0.02
"""Of the face's width, by which one lies outside of the picture when it is cut."""


@dataclass(frozen=True)
class Visibility:
    """What is wrong with one face, in words."""

    eyes: str = ""
    mouth: str = ""
    others: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """All of it."""
        return (*filter(None, (self.eyes, self.mouth)), *self.others)


def check_visibility(rgb: NDArray[np.uint8], face: FaceLandmarks) -> tuple[str, ...]:
    """Warnings about the face of a photo [H, W, 3]. Raises FaceError if it shows too little."""
    seen = visibility(rgb, face)
    if seen.eyes.startswith(COVERED_EYES) and seen.mouth.startswith(COVERED_MOUTH):
        raise FaceError("expected a face that shows its eyes or its mouth, got one that hides both")
    return seen.warnings


CLOSED_EYES = "the eyes are closed: their colour is guessed; add a photo with open eyes"
COVERED_EYES, COVERED_MOUTH = "something covers the eyes", "something covers the mouth"


def visibility(rgb: NDArray[np.uint8], face: FaceLandmarks) -> Visibility:
    """What a photo [H, W, 3] does not show of its face."""
    crop, near = _level_crop(rgb, face)
    lab = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2LAB), np.float64)
    others = _cut(face, rgb.shape)
    if face.width < SMALL_PX:
        others += (f"the face is only {face.width:.0f} pixels wide: the avatar will be blurred",)
    return Visibility(_eyes(lab, near), _mouth(crop, lab, near), others)


def _level_crop(
    rgb: NDArray[np.uint8], face: FaceLandmarks
) -> tuple[NDArray[np.uint8], FaceLandmarks]:
    side = CROP_SHARE * float(np.ptp(face.points[:, :2], axis=0).max())
    warp = level_warp(face.centre, (SIDE / 2, SIDE / 2), SIDE / side, face.tilt)
    crop = cv2.warpAffine(
        rgb, warp, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8), face.warped(warp)


def _eyes(lab: NDArray[np.float64], face: FaceLandmarks) -> str:
    """What is wrong with the eyes."""
    skin = np.median(lab[_spot(face, 151, 0.07) | _spot(face, 9, 0.05)], 0)
    dull: list[bool] = []
    flat: list[bool] = []
    for outline in (topology.LEFT_EYE, topology.RIGHT_EYE):
        eye = _filled(face, outline)
        around = np.median(lab[_filled(face, outline, 0.12) & ~_filled(face, outline, 0.03)], 0)
        spread = float(np.std(lab[eye][:, 0])) if eye.any() else 0.0
        foreign = float(np.hypot(*(around - skin)[1:])) >= FOREIGN
        dull.append(foreign and spread < DULL)
        flat.append(spread < FLAT)
    if face.blink > SHUT:
        return CLOSED_EYES
    if all(dull):
        return f"{COVERED_EYES} (sunglasses?): they are guessed; take it off"
    if any(dull):
        return "something covers an eye: it is guessed; take it off"
    return CLOSED_EYES if all(flat) else ""


def _mouth(crop: NDArray[np.uint8], lab: NDArray[np.float64], face: FaceLandmarks) -> str:
    """What is wrong with the mouth."""
    lips = _filled(face, topology.LIPS)
    skin = _filled(face, topology.LIPS, 0.16) & ~_filled(face, topology.LIPS, 0.05)
    red = lips & ~_filled(face, topology.MOUTH_OPENING)
    contrast = float(np.linalg.norm(np.median(lab[red], 0) - np.median(lab[skin], 0)))
    if contrast < NO_LIPS:
        return f"{COVERED_MOUTH} (a mask, a scarf?): it is guessed; take it off"
    mirrored = np.ascontiguousarray(crop[:, ::-1])
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), BLUR * SIDE), np.uint8)
    overlap = [_overlap(_lips_in(mirrored)[:, ::-1], lips), _overlap(_lips_in(blurred), lips)]
    if np.mean(overlap) < STEADY:
        return "something hides the mouth (a hand, a cup?): it is guessed; show it"
    return ""


def _lips_in(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The lips that are found in another version of the crop, [S, S]; none without a face."""
    faces = detect_faces(picture)
    return _filled(faces[0], topology.LIPS) if faces else np.zeros((SIDE, SIDE), bool)


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(1, (one | other).sum()))


def _filled(face: FaceLandmarks, outline: Sequence[int], grown: float = 0.0) -> NDArray[np.bool_]:
    """Pixels within landmarks, grown by a share of the face's width: [S, S]."""
    corners = np.round(face.points[list(outline), :2]).astype(np.int32)
    mask = np.asarray(cv2.fillPoly(np.zeros((SIDE, SIDE), np.uint8), [corners], 1))
    size = round(grown * face.width) | 1
    return cv2.dilate(mask, np.ones((size, size), np.uint8)) > 0 if grown else mask > 0


def _spot(face: FaceLandmarks, landmark: int, radius: float) -> NDArray[np.bool_]:
    """Pixels around a landmark; the radius is a share of the face's width: [S, S]."""
    x, y = np.round(face.points[landmark, :2]).astype(int)
    away = np.hypot(*(np.indices((SIDE, SIDE))[::-1] - np.array([x, y])[:, None, None]))
    return away <= max(1.0, radius * face.width)


def _cut(face: FaceLandmarks, shape: Sequence[int]) -> tuple[str, ...]:
    """What of the face lies beyond the picture's edge."""
    height, width = shape[:2]
    slack = BEYOND * face.width
    cut = [
        name
        for name, landmark in OUTLINE.items()
        if not (
            -slack <= face.points[landmark, 0] <= width + slack
            and -slack <= face.points[landmark, 1] <= height + slack
        )
    ]
    if not cut:
        return ()
    return (f"the picture cuts off the face's {' and '.join(cut)}: it is completed by guessing",)
