"""A face that nobody drives but that lives: it blinks, looks around, sways a little and breathes.

Everything follows from the seed and the time, so any instant can be asked for, in any order, and
comes out the same. Time is cut into slots, and in each something happens at an instant of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.expressions import gaze_weights
from flexavatar.drive.head_angles import AxisAngle, HeadAngles
from flexavatar.easing import minimum_jerk
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES, SIDES

Array = NDArray[np.float64]

LID_CLOSING_S, LID_CLOSED_S, LID_OPENING_S = 0.055, 0.02, 0.115
BLINK_PULLS = {"eyeBlink": 1.0, "eyeSquint": 0.2, "browDown": 0.06, "cheekSquint": 0.08}
"""A blink pulls brows and cheeks along a little; both sides."""
_PULLS = {f"{name}{side}": pull for name, pull in BLINK_PULLS.items() for side in SIDES}
BLINK_WEIGHTS = np.array([_PULLS.get(name, 0.0) for name in ARKIT_NAMES])  # [52]
BLINK_SLOT_S, BLINK_SPREAD_S = 4.0, 3.4
DOUBLE_BLINK_SHARE, DOUBLE_BLINK_AFTER_S = 0.15, 0.32
"""Share of blinks that come as a pair, and how far apart they are."""
GAZE_SLOT_S, GAZE_SPREAD_S = 1.8, 1.4
GAZE_DEG = (3.5, 2.0)
"""Spread of where the eyes rest, in yaw and pitch."""
SWAY_DEG = (1.6, 1.0, 0.8)
"""Of yaw, pitch and roll, at most."""
SWAY_HZ = ((0.067, 0.161), (0.083, 0.197), (0.059, 0.139))
"""Slow and quick part of each, without a common beat."""
BREATH_HZ = 0.24
BREATH_NOD_DEG, BREATH_RISE_M = 0.35, 0.0012
BLINK, GAZE, SWAY = range(3)


@dataclass(frozen=True, eq=False)
class IdleFace:
    """One instant of a face that idles."""

    weights: Array  # [52] in the order of ARKIT_NAMES, 0..1
    neck_pose: AxisAngle
    rise_m: float
    """How far the breath has lifted head and shoulders."""


class IdleAnimator:
    """Blinks, gaze, sway and breath of one face, all from one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._phases = _slot_rng(seed, SWAY, 0).uniform(0, 2 * math.pi, (3, 2))

    def face_at(self, time_s: float) -> IdleFace:
        """The face at an instant, 0 or later."""
        breath = math.sin(2 * math.pi * BREATH_HZ * time_s)
        yaw, pitch, roll = self._sway_deg(time_s)
        look_yaw, look_pitch = self._gaze_deg(time_s)
        look = (math.radians(look_yaw - yaw), math.radians(look_pitch - pitch))
        weights = self._blink(time_s)
        for name, weight in gaze_weights(look, look).items():  # the eyes hold their target
            weights[ARKIT_INDEX[name]] = weight
        head = HeadAngles(*map(math.radians, (yaw, pitch + BREATH_NOD_DEG * breath, roll)))
        return IdleFace(weights, head.axis_angle(), BREATH_RISE_M * breath)

    def _sway_deg(self, time_s: float) -> list[float]:
        """Yaw, pitch, roll."""
        waves = np.sin(2 * np.pi * np.array(SWAY_HZ) * time_s + self._phases)
        return list(np.array(SWAY_DEG) * (waves @ (0.65, 0.35)))

    def _gaze_deg(self, time_s: float) -> tuple[float, float]:
        """Where the eyes look in the room: a saccade in each slot, rest in between."""
        slot = int(time_s // GAZE_SLOT_S)
        before, after = _gaze_target(self._seed, slot - 1), _gaze_target(self._seed, slot)
        size = math.dist(before[1:], after[1:])
        share = float(minimum_jerk((time_s - after[0]) / saccade_s(size)))
        yaw, pitch = (a + share * (b - a) for a, b in zip(before[1:], after[1:], strict=True))
        return yaw, pitch

    def _blink(self, time_s: float) -> Array:
        """What a blink does to the whole face: [52]."""
        slot = int(time_s // BLINK_SLOT_S)
        instants = [at for s in (slot - 1, slot, slot + 1) for at in _blink_times(self._seed, s)]
        closed = float(np.max(lid_closure(time_s - np.array(instants))))
        return closed * BLINK_WEIGHTS


def lid_closure(since_s: Array | float) -> Array:
    """How far one blink has closed the lids, by the time since they met: 0..1."""
    down = minimum_jerk(1 + np.asarray(since_s) / LID_CLOSING_S)
    up = minimum_jerk(1 - (np.asarray(since_s) - LID_CLOSED_S) / LID_OPENING_S)
    return np.where(np.asarray(since_s) < 0, down, up)


def saccade_s(size_deg: float) -> float:
    """How long a saccade lasts: Bahill, Clark and Stark, "The main sequence", 1975."""
    return 0.021 + 0.0022 * size_deg


def _slot_rng(seed: int, what: int, slot: int) -> np.random.Generator:
    return np.random.default_rng((seed, what, slot + 1))  # slots begin at -1


@lru_cache(64)
def _gaze_target(seed: int, slot: int) -> tuple[float, float, float]:
    """When the eyes move in a slot, and the yaw and pitch that they move to, in degrees."""
    rng = _slot_rng(seed, GAZE, slot)
    yaw, pitch = np.clip(rng.normal(0, GAZE_DEG), -3 * np.array(GAZE_DEG), 3 * np.array(GAZE_DEG))
    return slot * GAZE_SLOT_S + rng.uniform(0, GAZE_SPREAD_S), float(yaw), float(pitch)


@lru_cache(64)
def _blink_times(seed: int, slot: int) -> tuple[float, ...]:
    """When the lids meet in a slot."""
    rng = _slot_rng(seed, BLINK, slot)
    first = slot * BLINK_SLOT_S + rng.uniform(0, BLINK_SPREAD_S)
    return (first, first + DOUBLE_BLINK_AFTER_S) if rng.random() < DOUBLE_BLINK_SHARE else (first,)
