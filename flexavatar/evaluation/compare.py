"""A drawn avatar against the truth: the figures that the protocols share, and their pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.capture.cropped_frame import FACE, Sight, find_face
from flexavatar.capture.identity import face_descriptor
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.portrait import Portrait
from flexavatar.create.fit import ssim_map
from flexavatar.create.likeness import psnr_db
from flexavatar.evaluation.codes import Actor, Drive, aed, apd_deg, gaze_deg, pose_in
from flexavatar.evaluation.perceptual import haarpsi_distance
from flexavatar.evaluation.report import Picture
from flexavatar.formats.picture import to_uint8
from flexavatar.render.backdrop import RgbImage, over_mid_grey

TILE = 288
FACE_FIGURES = ("identity_distance", "aed", "apd_deg", "gaze_deg")
ERROR_GAIN = 4.0
"""An error of a quarter of the range is white in the pictures."""


def compare(shown: RgbImage, sight: Sight, actor: Actor, drive: Drive) -> dict[str, float]:
    """All figures of one drawn avatar [S, S, 3] in the crop of the truth."""
    face = find_face(shown)
    truth = sight.portrait.face
    return {
        **picture_figures(shown, sight),
        **face_figures(shown, face, sight.portrait, actor, drive),
        "akd_px": math.nan if face is None else landmark_distance_px(face, truth),
    }


def picture_figures(shown: RgbImage, sight: Sight) -> dict[str, float]:
    """PSNR and SSIM in head and face hull, and how different the head looks."""
    truth, head, hull = sight.truth, sight.head, sight.hull
    alike = ssim_map(torch.from_numpy(shown), torch.from_numpy(truth)).mean(-1).numpy()
    return {
        "head_psnr": psnr_db(shown[head], truth[head]),
        "head_ssim": float(alike[head].mean()),
        "hull_psnr": psnr_db(shown[hull], truth[hull]),
        "hull_ssim": float(alike[hull].mean()),
        "haarpsi_distance": haarpsi_distance(shown, truth, head),
    }


def face_figures(
    shown: RgbImage, face: FaceLandmarks | None, portrait: Portrait, actor: Actor, drive: Drive
) -> dict[str, float]:
    """Likeness to a photo, and expression, gaze and pose against the drive.

    `face` is the one found in the drawn picture; if there is none, NaN and `unseen` 1.
    """
    if face is None:
        return dict.fromkeys(FACE_FIGURES, math.nan) | {"unseen": 1.0}
    found = pose_in(face, portrait, actor.betas)
    return {
        "identity_distance": identity_distance(shown, face, portrait),
        "aed": aed(found, drive.pose),
        "apd_deg": apd_deg(found, drive.pose),
        "gaze_deg": gaze_deg(found, drive.pose),
        "unseen": 0.0,
    }


def landmark_distance_px(one: FaceLandmarks, other: FaceLandmarks) -> float:
    """Mean distance of the 468 landmarks of a face, pixels."""
    apart = one.points[FACE, :2] - other.points[FACE, :2]
    return float(np.linalg.norm(apart, axis=1).mean())


def identity_distance(shown: RgbImage, face: FaceLandmarks, portrait: Portrait) -> float:
    """Of dlib's descriptors of a drawn face and of a photo with its background."""
    one, other = (
        face_descriptor(to_uint8(shown), face),
        face_descriptor(to_uint8(portrait.rgb), portrait.face),
    )
    return float(np.linalg.norm(one - other))


def moved_by(matrix: NDArray[np.float64], source: Sight) -> RgbImage:
    """A true picture moved in its plane, over mid grey: a baseline that knows no 3D. [2, 3]."""
    portrait = source.portrait
    size = (portrait.rgb.shape[1], portrait.rgb.shape[0])
    rgb = cv2.warpAffine(portrait.rgb, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    matte = cv2.warpAffine(portrait.matte, matrix, size)
    return over_mid_grey(np.asarray(rgb, np.float32), np.asarray(matte, np.float32))


def similarity(source: Sight, target: Sight) -> NDArray[np.float64]:
    """One portrait to another by the best turn, size and shift of the landmarks: [2, 3]."""
    one, other = (np.ascontiguousarray(s.portrait.face.points[FACE, :2]) for s in (source, target))
    matrix, _ = cv2.estimateAffinePartial2D(one, other, method=cv2.LMEDS)
    return np.asarray(matrix, np.float64)


def baseline_psnr(picture: RgbImage, sight: Sight) -> float:
    """In the head, dB."""
    return psnr_db(picture[sight.head], sight.truth[sight.head])


def error_of(shown: RgbImage, sight: Sight) -> RgbImage:
    """Absolute error, brightened, black outside the crop's photo."""
    error = np.abs(shown - sight.truth) * ERROR_GAIN
    return np.asarray(error.clip(0, 1) * sight.portrait.inside[..., None], np.float32)


def strip(caption: str, pictures: Sequence[NDArray[np.float32]]) -> Picture:
    """Square pictures side by side as one."""
    tiles = [cv2.resize(p, (TILE, TILE), interpolation=cv2.INTER_AREA) for p in pictures]
    return Picture(caption, to_uint8(np.concatenate(tiles, 1)))
