"""A drawn avatar against the true picture: the figures that protocols share, and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.capture.cropped_frame import FACE_LANDMARKS, CroppedFrame
from flexavatar.capture.identity import face_descriptor
from flexavatar.capture.landmarks import FaceLandmarks, find_face
from flexavatar.capture.portrait import Portrait
from flexavatar.create.image_metrics import psnr_db, ssim_map
from flexavatar.evaluation.perceptual import haarpsi_distance
from flexavatar.evaluation.report import Picture
from flexavatar.evaluation.tracked_avatar import (
    DrivingPose,
    TrackedAvatar,
    aed,
    apd_deg,
    gaze_deg,
    track_drawn_pose,
)
from flexavatar.formats.picture import to_uint8
from flexavatar.render.composite import RgbImage, over_mid_grey

TILE_PX = 288
FACE_FIGURES = ("identity_distance", "aed", "apd_deg", "gaze_deg")
ERROR_GAIN = 4.0
"""An error of a quarter of the range is white in the pictures."""


def frame_figures(
    shown: RgbImage, frame: CroppedFrame, avatar: TrackedAvatar, driving: DrivingPose
) -> dict[str, float]:
    """All figures of one drawn avatar [S, S, 3] in the crop of the truth."""
    face = find_face(to_uint8(shown))
    truth = frame.portrait.face
    return {
        **picture_figures(shown, frame),
        **face_figures(shown, face, frame.portrait, avatar, driving),
        "akd_px": math.nan if face is None else landmark_distance_px(face, truth),
    }


def picture_figures(shown: RgbImage, frame: CroppedFrame) -> dict[str, float]:
    """PSNR and SSIM in head and face hull, and how different the head looks."""
    truth, head = frame.on_grey, frame.head_mask
    return {
        **region_figures(shown, truth, {"head": head, "hull": frame.hull_mask}),
        "haarpsi_distance": haarpsi_distance(shown, truth, head),
    }


def region_figures(
    shown: RgbImage, truth: RgbImage, regions: Mapping[str, NDArray[np.bool_]]
) -> dict[str, float]:
    """PSNR in dB and SSIM of two pictures [H, W, 3] in each region [H, W], by its name."""
    ssim = ssim_map(torch.from_numpy(shown), torch.from_numpy(truth)).mean(-1).numpy()
    figures: dict[str, float] = {}
    for name, region in regions.items():
        figures[f"{name}_psnr"] = psnr_db(shown[region], truth[region])
        figures[f"{name}_ssim"] = float(ssim[region].mean())
    return figures


def face_figures(
    shown: RgbImage,
    face: FaceLandmarks | None,
    portrait: Portrait,
    avatar: TrackedAvatar,
    driving: DrivingPose,
) -> dict[str, float]:
    """Likeness to a photo, and expression, gaze and pose against the driving pose.

    `face` is the one found in the drawn picture; if there is none, NaN and `unseen` 1.
    """
    if face is None:
        return dict.fromkeys(FACE_FIGURES, math.nan) | {"unseen": 1.0}
    found = track_drawn_pose(face, portrait, avatar.betas)
    return {
        "identity_distance": identity_distance(
            to_uint8(shown), face, to_uint8(portrait.rgb), portrait.face
        ),
        "aed": aed(found, driving.tracked),
        "apd_deg": apd_deg(found, driving.tracked),
        "gaze_deg": gaze_deg(found, driving.tracked),
        "unseen": 0.0,
    }


def landmark_distance_px(one: FaceLandmarks, other: FaceLandmarks) -> float:
    """Mean distance of the 468 landmarks of a face, pixels."""
    apart = one.points[FACE_LANDMARKS, :2] - other.points[FACE_LANDMARKS, :2]
    return float(np.linalg.norm(apart, axis=1).mean())


def identity_distance(
    rgb: NDArray[np.uint8],
    face: FaceLandmarks,
    other_rgb: NDArray[np.uint8],
    other_face: FaceLandmarks,
) -> float:
    """Distance of dlib's descriptors of two faces, each in its picture [H, W, 3]."""
    return float(
        np.linalg.norm(face_descriptor(rgb, face) - face_descriptor(other_rgb, other_face))
    )


def warp_on_grey(matrix: NDArray[np.float64], source: CroppedFrame) -> RgbImage:
    """A true picture moved by a 2D transform [2, 3], over mid grey: a baseline without 3D."""
    portrait = source.portrait
    size = (portrait.rgb.shape[1], portrait.rgb.shape[0])
    rgb = cv2.warpAffine(portrait.rgb, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    matte = cv2.warpAffine(portrait.matte, matrix, size)
    return over_mid_grey(np.asarray(rgb, np.float32), np.asarray(matte, np.float32))


def landmark_similarity(source: CroppedFrame, target: CroppedFrame) -> NDArray[np.float64]:
    """The best turn, size and shift from one portrait's landmarks to another's: [2, 3]."""
    one, other = (
        np.ascontiguousarray(s.portrait.face.points[FACE_LANDMARKS, :2]) for s in (source, target)
    )
    matrix, _ = cv2.estimateAffinePartial2D(one, other, method=cv2.LMEDS)
    return np.asarray(matrix, np.float64)


def head_psnr(picture: RgbImage, frame: CroppedFrame) -> float:
    """PSNR of a picture in the head of a true one, dB."""
    return psnr_db(picture[frame.head_mask], frame.on_grey[frame.head_mask])


def error_picture(shown: RgbImage, frame: CroppedFrame) -> RgbImage:
    """Absolute error, brightened, black outside the crop's photo."""
    error = np.abs(shown - frame.on_grey) * ERROR_GAIN
    return np.asarray(error.clip(0, 1) * frame.portrait.inside[..., None], np.float32)


def side_by_side(caption: str, pictures: Sequence[NDArray[np.float32]]) -> Picture:
    """Square pictures side by side as one."""
    tiles = [cv2.resize(p, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA) for p in pictures]
    return Picture(caption, to_uint8(np.concatenate(tiles, 1)))
