"""The One-Euro filter: what trembles is smoothed, what moves is followed.

Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012: a low-pass filter whose cutoff grows with the speed. Steps are in
seconds and may vary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.head_angles import Quaternion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Smoothing:
    """How much is smoothed. A lag of about 1 / (2 pi cutoff) is the price."""

    cutoff_hz: float = 1.5
    """Of what hardly moves; lower is smoother."""
    follow: float = 6.0
    """Hertz by which the cutoff grows for each unit (a whole weight, a radian) a second."""
    speed_cutoff_hz: float = 8.0
    """Of the speed itself."""


WEIGHT_SMOOTHING = Smoothing()
NO_SMOOTHING = Smoothing(cutoff_hz=1e3)
HEAD_SMOOTHING = Smoothing(cutoff_hz=1.0, follow=8.0)
"""A head of 1 radian a second is turned fast."""


def low_pass_share(cutoff_hz: Array | float, step_s: float) -> Array | float:
    """Share of the new value in a first-order low-pass after a step."""
    reach = 2 * math.pi * cutoff_hz * step_s
    return reach / (reach + 1)


class WeightFilter:
    """One filter a channel."""

    def __init__(self, smoothing: Smoothing = WEIGHT_SMOOTHING) -> None:
        self._smoothing = smoothing
        self._value: Array | None = None
        self._speed: Array | float = 0.0

    def step(self, value: Array, step_s: float) -> Array:
        """The smoothed value [N] of the newest one [N], `step_s` after the one before."""
        if self._value is None:
            self._value = value
            return value
        own, speed = self._smoothing, (value - self._value) / step_s
        self._speed += low_pass_share(own.speed_cutoff_hz, step_s) * (speed - self._speed)
        cutoff_hz = own.cutoff_hz + own.follow * np.abs(self._speed)
        self._value = self._value + low_pass_share(cutoff_hz, step_s) * (value - self._value)
        return self._value


class RotationFilter:
    """The same for a turn: along the shortest way, by the angle's speed."""

    def __init__(self, smoothing: Smoothing = HEAD_SMOOTHING) -> None:
        self._smoothing = smoothing
        self._value: Quaternion | None = None
        self._speed = np.zeros(3)

    def step(self, value: Quaternion, step_s: float) -> Quaternion:
        """The smoothed turn of the newest one, `step_s` after the one before."""
        if self._value is None:
            self._value = value
            return value
        own, way = self._smoothing, (value @ self._value.inverse()).axis_angle()
        speed = np.array(way) / step_s
        self._speed += low_pass_share(own.speed_cutoff_hz, step_s) * (speed - self._speed)
        cutoff_hz = own.cutoff_hz + own.follow * math.hypot(*self._speed)
        share = float(low_pass_share(cutoff_hz, step_s))
        self._value = way.scale(share).quaternion() @ self._value
        return self._value
