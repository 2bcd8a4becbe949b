"""Lids, lips and irises measured on landmarks, as shares of a length in the same face.

MediaPipe's scores say that an eye is shut; its landmarks say how far. A share does not depend on
how large the face is drawn.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.drive.expressions import GAZE_DOWN, GAZE_LEFT, GAZE_RIGHT, GAZE_UP, both
from flexavatar.evaluation.contact_sheet import CLOSED_JAW
from flexavatar.evaluation.readback import ExpressionProbe, Readback

EYES = ((33, 133, 159, 145, 468), (263, 362, 386, 374, 473))
"""Right and left: outer corner, inner corner, upper lid, lower lid, centre of the iris."""
LIPS_INNER = ((13, 14), (82, 87), (312, 317))
"""Upper and lower, in the middle and beside it."""


def aperture_figures(probe: ExpressionProbe) -> dict[str, float]:
    """How far lids and lips close, and how far the irises travel."""
    shut, opened = probe.read_back(both("eyeBlink")), probe.read_back({"jawOpen": 1.0})
    closed = probe.read_back(CLOSED_JAW)
    left, right, up, down = (
        _iris_offset(probe.read_back(gaze)) for gaze in (GAZE_LEFT, GAZE_RIGHT, GAZE_UP, GAZE_DOWN)
    )
    gaps = [_lip_gap(readback) for readback in (probe.rest, opened, closed)]
    lids = [_lid_gap(readback) for readback in (probe.rest, shut)]
    return {
        "lid_gap_rest": lids[0],
        "lid_gap_blink": lids[1],
        "lid_closure": 1 - lids[1] / lids[0],
        "lip_gap_rest": gaps[0],
        "lip_gap_open": gaps[1],
        "lip_gap_closed": gaps[2],
        "lip_closure": 1 - gaps[2] / gaps[1],
        "gaze_span_x": float(abs(left[0] - right[0])),
        "gaze_span_y": float(abs(up[1] - down[1])),
    }


def lip_gap(face: FaceLandmarks) -> float:
    """Mean distance of the inner lips over the distance of the eyes' outer corners."""
    points = face.points[:, :2]
    gaps = [np.linalg.norm(points[upper] - points[lower]) for upper, lower in LIPS_INNER]
    return float(np.mean(gaps) / np.linalg.norm(points[EYES[0][0]] - points[EYES[1][0]]))


def lid_gap(face: FaceLandmarks) -> float:
    """Distance of the lids over the eye's width, mean of both eyes."""
    points = face.points[:, :2]
    return float(
        np.mean(
            [
                np.linalg.norm(points[upper] - points[lower])
                / np.linalg.norm(points[outer] - points[inner])
                for outer, inner, upper, lower, _ in EYES
            ]
        )
    )


def iris_offset(face: FaceLandmarks) -> NDArray[np.float64]:
    """Irises from the middle of their eyes' corners, over the eye's width: [2] mean of both eyes.

    x to the right of the picture, y down, along the line between the eyes.
    """
    points = face.points[:, :2].astype(np.float64)
    across = points[EYES[1][0]] - points[EYES[0][0]]
    axis = across / np.linalg.norm(across)
    frame = np.array([axis, (-axis[1], axis[0])])
    places = [
        frame @ (points[iris] - 0.5 * (points[outer] + points[inner]))
        / np.linalg.norm(points[outer] - points[inner])
        for outer, inner, _, _, iris in EYES
    ]  # fmt: skip
    return np.mean(places, axis=0)


def _lip_gap(readback: Readback) -> float:
    return math.nan if readback.face is None else lip_gap(readback.face)


def _lid_gap(readback: Readback) -> float:
    return math.nan if readback.face is None else lid_gap(readback.face)


def _iris_offset(readback: Readback) -> NDArray[np.float64]:
    return np.full(2, math.nan) if readback.face is None else iris_offset(readback.face)
