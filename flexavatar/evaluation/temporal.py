"""How an avatar moves from frame to frame, beside the truth.

No JOD: FovVideoVDP, which defines it, may not be used commercially, and its free successor needs
more than this package installs. Trembling of the landmarks and error of the motion stand in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.cropped_frame import FACE_LANDMARKS, CroppedFrame, crop_to_crop
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.formats.picture import to_uint8
from flexavatar.render.composite import RgbImage

RUN_FRAMES = 25
"""Consecutive frames: a second of most videos."""
WHITE_NOISE_GAIN = math.sqrt(6)
"""Of a second difference: 1, -2, 1."""


@dataclass(frozen=True)
class DrawnFrame:
    """One of several consecutive frames: the true one, and the avatar drawn like it."""

    frame: CroppedFrame
    shown: RgbImage
    face: FaceLandmarks  # in `shown`


def temporal_figures(run: Sequence[DrawnFrame]) -> dict[str, float]:
    """Jitter and flow error of consecutive frames; NaN if they are fewer than three."""
    if len(run) < 3:
        return dict.fromkeys(("jitter_px", "truth_jitter_px", "tof_px"), math.nan)
    still = [crop_to_crop(instant.frame, run[0].frame) for instant in run]
    pairs = list(zip(run, still, strict=True))
    return {
        "jitter_px": jitter_px([_stabilised_landmarks(i.face, m) for i, m in pairs]),
        "truth_jitter_px": jitter_px(
            [_stabilised_landmarks(i.frame.portrait.face, m) for i, m in pairs]
        ),
        "tof_px": _flow_error(run, still),
    }


def jitter_px(points: Sequence[NDArray[np.float64]]) -> float:
    """How much landmarks [N, 2] tremble over three or more frames, pixels.

    Root mean square of the second difference over time, divided by the root of 6, so that points
    which stand still under noise of σ pixels have a jitter of σ a coordinate. Smooth motion adds
    only its acceleration: compare with the truth's, in the same pixels.
    """
    path = np.stack(points)
    bend = path[:-2] - 2 * path[1:-1] + path[2:]
    return float(np.sqrt((bend**2).mean()) / WHITE_NOISE_GAIN)


def _stabilised_landmarks(face: FaceLandmarks, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks moved into the first frame's crop: [468, 2] pixels."""
    return face.points[FACE_LANDMARKS, :2] @ matrix[:, :2].T + matrix[:, 2]


def _flow_error(run: Sequence[DrawnFrame], still: Sequence[NDArray[np.float64]]) -> float:
    """Mean distance in the head between the optical flow of avatar and truth, pixels a frame.

    Chu, Xie, Mayer, Leal-Taixé and Thuerey, "Learning temporal coherence via self-supervision for
    GAN-based video generation" (tOF), SIGGRAPH 2020; with dense inverse search for the flow.
    """
    pictures = [
        (_stabilised_grey(i.shown, m), _stabilised_grey(i.frame.on_grey, m))
        for i, m in zip(run, still, strict=True)
    ]
    errors: list[float] = []
    for k in range(1, len(run)):
        shown, truth = (_optical_flow(pictures[k - 1][side], pictures[k][side]) for side in (0, 1))
        head = run[k].frame.head_mask.astype(np.uint8)
        where = cv2.warpAffine(head, still[k], head.shape[::-1]) > 0
        errors.append(float(np.linalg.norm(shown - truth, axis=-1)[where].mean()))
    return float(np.mean(errors))


def _stabilised_grey(picture: RgbImage, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey levels of a picture, moved into the first frame's crop: [S, S]."""
    grey = cv2.cvtColor(to_uint8(picture), cv2.COLOR_RGB2GRAY)
    size = (grey.shape[1], grey.shape[0])
    return np.asarray(cv2.warpAffine(grey, matrix, size, borderValue=(128.0,)), np.uint8)


def _optical_flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Optical flow between two pictures [S, S]: [S, S, 2] pixels."""
    search = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_MEDIUM)
    flow = search.calc(before, after, np.zeros((*before.shape, 2), np.float32))
    return np.asarray(flow, np.float32)
