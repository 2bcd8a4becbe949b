"""Sets of MediaPipe's 478 landmarks by the part they lie on. Left and right are the person's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COUNT = 478
FACE_COUNT = 468
"""The others are the irises."""

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LEFT_CONTOUR = (338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377)
RIGHT_CONTOUR = (109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148)

LIPS_OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LIPS_OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIPS_INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIPS_INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)

LEFT_LID_LOWER = (263, 249, 390, 373, 374, 380, 381, 382, 362)
LEFT_LID_UPPER = (263, 466, 388, 387, 386, 385, 384, 398, 362)
RIGHT_LID_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
RIGHT_LID_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)

LEFT_BROW = (276, 283, 282, 295, 285, 300, 293, 334, 296, 336)
RIGHT_BROW = (46, 53, 52, 65, 55, 70, 63, 105, 66, 107)

CHIN = 152

RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
"""Centre, then four points of the rim."""
IRIS_RADIUS = 0.0059
"""Metres, of nearly every adult (Rüfer, Schröder and Erb, "White-to-white corneal diameter",
Cornea 2005): the one length in a face that a photo can be measured by."""


def polygon(lower: tuple[int, ...], upper: tuple[int, ...]) -> tuple[int, ...]:
    """Two chains between the same corners as one closed outline."""
    return lower + upper[-2:0:-1]


LEFT_EYE = polygon(LEFT_LID_LOWER, LEFT_LID_UPPER)
RIGHT_EYE = polygon(RIGHT_LID_LOWER, RIGHT_LID_UPPER)
MOUTH_OPENING = polygon(LIPS_INNER_LOWER, LIPS_INNER_UPPER)
LIPS = polygon(LIPS_OUTER_LOWER, LIPS_OUTER_UPPER)


def tracking_weights() -> NDArray[np.float64]:
    """Weight of each landmark in the fit, [478]: eyes, lips and iris count most."""
    weights = np.ones(COUNT)
    weights[list(LEFT_EYE + RIGHT_EYE)] = 2.5
    weights[list(LIPS + MOUTH_OPENING)] = 2.0
    weights[list(LEFT_IRIS + RIGHT_IRIS)] = 4.0
    weights[list(OVAL)] = 0.3
    return weights
