"""Writes the performance that ships: `python -m flexavatar.demo.make_performance`.

Speech is co-articulated with dominance functions (Cohen and Massaro, "Modeling coarticulation in
synthetic visual speech", 1993): each phone pulls the face to its viseme with a strength that falls
off exponentially before and after it, and the face follows the weighted mean. Gaze moves in
saccades whose duration grows with their size; while the head turns, the eyes hold their target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import tyro
from scipy.ndimage import gaussian_filter1d

from flexavatar.demo.performance_script import (
    BLINKS,
    DURATION_S,
    GAZE,
    HEAD,
    MOODS,
    PHONES,
    VISEMES,
)
from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.idle import BLINK_WEIGHTS, Array, lid_closure, saccade_s
from flexavatar.drive.performance import (
    FRAME_RATE,
    SHIPPED_PERFORMANCE,
    write_performance,
)
from flexavatar.drive.signal import ALL_SENT, HeadPose, Signal
from flexavatar.easing import minimum_jerk
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import NS_PER_S

COARTICULATION_S = 0.038
SPEECH_SMOOTHING_S = 0.016
EYE_YAW_DEG, EYE_PITCH_DEG = 28.6, 20.1
"""Turn of an eye at weight 1: 0.5 and 0.35 rad."""
SWAY_DEG = 0.7


@dataclass(frozen=True)
class PerformanceConfig:
    """Where the performance goes."""

    out: Path = SHIPPED_PERFORMANCE
    """A Live Link Face CSV file."""


def interpolate_keys(times: Array, keys: Sequence[tuple[float, ...]]) -> Array:
    """Keys (instant, values...) -> values at `times`, minimum jerk between keys: [T, len - 1]."""
    table = np.array(keys)
    after = np.clip(np.searchsorted(table[:, 0], times, side="right"), 1, len(table) - 1)
    a, b = table[after - 1], table[after]
    share = minimum_jerk((times - a[:, 0]) / (b[:, 0] - a[:, 0]))
    return a[:, 1:] + share[:, None] * (b[:, 1:] - a[:, 1:])


def arkit_vector(weights: dict[str, float]) -> Array:
    """ARKit weights by name -> [52]."""
    return np.array([weights.get(name, 0.0) for name in ARKIT_NAMES])


def speech_weights(times: Array) -> Array:
    """Co-articulated visemes: [T, 52]."""
    starts = np.array([start for start, _ in PHONES])
    ends = np.append(starts[1:], DURATION_S)
    targets = np.array([arkit_vector(dict(VISEMES[phone][0])) for _, phone in PHONES])
    strength = np.array([VISEMES[phone][1] for _, phone in PHONES])
    t = times[:, None]
    away = np.maximum(np.maximum(starts - t, t - ends), 0)
    dominance = strength * np.exp(-away / COARTICULATION_S)  # [T, P]
    mouth = dominance @ targets / dominance.sum(1, keepdims=True)
    return gaussian_filter1d(mouth, SPEECH_SMOOTHING_S * FRAME_RATE, axis=0)


def mood_weights(times: Array) -> Array:
    """Smile, brows, pucker and the like: [T, 52]."""
    return sum(
        (interpolate_keys(times, keys) * arkit_vector(dict(weights)) for weights, keys in MOODS),
        np.zeros((len(times), len(ARKIT_NAMES))),
    )


def blink_closure(times: Array) -> Array:
    """How far the lids are down: fast to close, slower to open: [T]."""
    return np.max([lid_closure(times - instant) for instant in BLINKS], axis=0)


def gaze_angles(times: Array) -> Array:
    """Direction of the eyes in the room, in saccades: yaw, pitch in degrees [T, 2]."""
    way = np.zeros((len(times), 2))
    for (_, *before), (start, *after) in pairwise(GAZE):
        step = np.subtract(after, before)
        way += minimum_jerk((times - start) / saccade_s(float(np.hypot(*step))))[:, None] * step
    return way


def head_angles(times: Array) -> Array:
    """Yaw, pitch, roll in degrees [T, 3]: the script, and a sway that rests at both ends."""
    rest = minimum_jerk(times) * minimum_jerk(DURATION_S - times)
    rates = ((0.31, 0.83), (0.43, 1.07), (0.37, 0.71))  # Hz, without a common beat
    sway = [np.sin(2 * np.pi * f * times) + 0.5 * np.sin(2 * np.pi * g * times) for f, g in rates]
    return interpolate_keys(times, HEAD) + SWAY_DEG / 1.5 * rest[:, None] * np.stack(sway, 1)


def gaze_weights(eyes: Array) -> Array:
    """Eye yaw and pitch in the head, degrees [T, 2] -> eyeLook weights [T, 52]."""
    left, up = eyes[:, 0] / EYE_YAW_DEG, eyes[:, 1] / EYE_PITCH_DEG
    weights = np.zeros((len(eyes), len(ARKIT_NAMES)))
    for names, value in (
        (("eyeLookOutLeft", "eyeLookInRight"), left),
        (("eyeLookInLeft", "eyeLookOutRight"), -left),
        (("eyeLookUpLeft", "eyeLookUpRight"), up),
        (("eyeLookDownLeft", "eyeLookDownRight"), -up),
        (("eyeWideLeft", "eyeWideRight"), 0.2 * up),
    ):
        for name in names:
            weights[:, ARKIT_NAMES.index(name)] = np.clip(value, 0, 1)
    return weights


def blink_weights(closed: Array) -> Array:
    """A blink pulls brows and cheeks along a little: [T] -> [T, 52]."""
    return closed[:, None] * BLINK_WEIGHTS


def make_performance() -> list[Signal]:
    """The whole performance, ten seconds at 60 frames a second."""
    times = np.arange(round(DURATION_S * FRAME_RATE)) / FRAME_RATE
    turns, closed = head_angles(times), blink_closure(times)
    limits = np.array([EYE_YAW_DEG, EYE_PITCH_DEG])
    eyes = np.clip(gaze_angles(times) - turns[:, :2], -limits, limits)  # the eyes hold their target
    weights = (
        speech_weights(times) + mood_weights(times) + gaze_weights(eyes) + blink_weights(closed)
    )
    wide = [ARKIT_NAMES.index(f"eyeWide{side}") for side in ("Left", "Right")]
    weights[:, wide] *= 1 - closed[:, None]
    weights = np.clip(weights, 0, 1)
    return [
        Signal(
            np.array([round(w, 4) for w in row.tolist()], np.float32),  # as a file has them
            ALL_SENT,
            head=HeadPose(HeadAngles(*turn.tolist()).axis_angle()),
            pts_ns=round(t * NS_PER_S),
        )
        for t, row, turn in zip(times, weights, np.radians(turns), strict=True)
    ]


def main(config: PerformanceConfig) -> None:
    """Write it."""
    write_performance(config.out, make_performance())


if __name__ == "__main__":
    main(tyro.cli(PerformanceConfig))
