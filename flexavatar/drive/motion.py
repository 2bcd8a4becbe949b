"""How quick a face is: lids and saccades, and the smooth way between two states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LID_CLOSING_S, LID_CLOSED_S, LID_OPENING_S = 0.055, 0.02, 0.115
BLINK_PULLS = {"eyeBlink": 1.0, "eyeSquint": 0.2, "browDown": 0.06, "cheekSquint": 0.08}
"""A blink pulls brows and cheeks along a little; both sides."""


def smoothstep(x: Array | float) -> Array:
    """Minimum-jerk way from 0 to 1."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def lids_down(since_s: Array | float) -> Array:
    """How far one blink has closed the lids, by the time since they met: 0..1."""
    down = smoothstep(1 + np.asarray(since_s) / LID_CLOSING_S)
    up = smoothstep(1 - (np.asarray(since_s) - LID_CLOSED_S) / LID_OPENING_S)
    return np.where(np.asarray(since_s) < 0, down, up)


def saccade_s(size_deg: float) -> float:
    """How long a saccade lasts: Bahill, Clark and Stark, "The main sequence", 1975."""
    return 0.021 + 0.0022 * size_deg
