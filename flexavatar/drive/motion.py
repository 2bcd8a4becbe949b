"""How quick a face is: lids and saccades."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flexavatar.easing import minimum_jerk

Array = NDArray[np.float64]

LID_CLOSING_S, LID_CLOSED_S, LID_OPENING_S = 0.055, 0.02, 0.115
BLINK_PULLS = {"eyeBlink": 1.0, "eyeSquint": 0.2, "browDown": 0.06, "cheekSquint": 0.08}
"""A blink pulls brows and cheeks along a little; both sides."""


def lids_down(since_s: Array | float) -> Array:
    """How far one blink has closed the lids, by the time since they met: 0..1."""
    down = minimum_jerk(1 + np.asarray(since_s) / LID_CLOSING_S)
    up = minimum_jerk(1 - (np.asarray(since_s) - LID_CLOSED_S) / LID_OPENING_S)
    return np.where(np.asarray(since_s) < 0, down, up)


def saccade_s(size_deg: float) -> float:
    """How long a saccade lasts: Bahill, Clark and Stark, "The main sequence", 1975."""
    return 0.021 + 0.0022 * size_deg
