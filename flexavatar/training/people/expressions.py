"""Faces that people make, as ARKit weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from flexavatar.drive.expressions import (
    BROWS_UP,
    GAZE_DOWN,
    GAZE_LEFT,
    GAZE_RIGHT,
    GAZE_UP,
    both,
)
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
from flexavatar.head.arkit import ARKIT_NAMES, mirrored_name

Weights = Mapping[str, float]

ANCHORS: Mapping[str, Weights] = {
    "smile": both("mouthSmile") | both("cheekSquint", 0.7) | both("eyeSquint", 0.3),
    "laugh": both("mouthSmile", 0.9) | both("cheekSquint", 0.8) | {"jawOpen": 0.55}
    | both("mouthUpperUp", 0.5) | both("eyeSquint", 0.5),
    "scream": {"jawOpen": 1.0} | both("mouthStretch", 0.6) | both("browDown", 0.6)
    | both("mouthLowerDown", 0.7) | both("mouthUpperUp", 0.6) | both("eyeSquint", 0.5),
    "pucker": {"mouthPucker": 1.0},
    "kiss": {"mouthFunnel": 0.9, "mouthPucker": 0.5, "jawOpen": 0.25},
    "frown": both("mouthFrown") | {"browInnerUp": 0.7, "mouthShrugLower": 0.4},
    "anger": both("browDown") | both("noseSneer", 0.7) | both("mouthPress", 0.6)
    | both("eyeSquint", 0.5),
    "surprise": BROWS_UP | both("eyeWide") | {"jawOpen": 0.6, "mouthFunnel": 0.2},
    "blink": both("eyeBlink"),
    "wink left": {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.7, "mouthSmileLeft": 0.5},
    "wink right": {"eyeBlinkRight": 1.0, "cheekSquintRight": 0.7, "mouthSmileRight": 0.5},
    "puff": {"cheekPuff": 1.0} | both("mouthPress", 0.4),
    "mouth left": {"mouthLeft": 1.0, "jawLeft": 0.5, "mouthSmileLeft": 0.2},
    "mouth right": {"mouthRight": 1.0, "jawRight": 0.5, "mouthSmileRight": 0.2},
    "lower lip out": {"mouthShrugLower": 1.0, "jawForward": 0.5, "mouthRollUpper": 0.3},
    "upper lip up": both("mouthUpperUp") | both("noseSneer", 0.4) | {"jawOpen": 0.15},
    "disgust": both("noseSneer") | both("mouthUpperUp", 0.6) | both("browDown", 0.6)
    | both("mouthFrown", 0.4) | both("eyeSquint", 0.6),
    "look left": GAZE_LEFT | both("eyeSquint", 0.4),
    "look down": GAZE_DOWN,
    "tongue": {"jawOpen": 0.6, "tongueOut": 1.0},
}  # fmt: skip
"""Twenty strong faces. Left is the person's."""

GAZES: tuple[Weights, ...] = (GAZE_LEFT, GAZE_RIGHT, GAZE_UP, GAZE_DOWN)
MILD: Mapping[str, Weights] = {
    "smile": both("mouthSmile", 0.6) | both("cheekSquint", 0.25),
    "talk": {"jawOpen": 0.3, "mouthFunnel": 0.15} | both("mouthLowerDown", 0.3),
    "open": {"jawOpen": 0.5},
    "press": both("mouthPress", 0.5),
    "brows up": {"browInnerUp": 0.5} | both("browOuterUp", 0.4),
    "brows down": both("browDown", 0.5),
    "round": {"mouthPucker": 0.5, "mouthFunnel": 0.2},
    "stretch": both("mouthStretch", 0.3) | {"jawOpen": 0.1},
}
BLINK_CHANCE, GAZE_CHANCE = 0.2, 0.5


def natural_weights(rng: np.random.Generator) -> dict[str, float]:
    """What people mostly do: recorded speech, mild mixtures, glances and blinks."""
    weights: dict[str, float] = {}
    if rng.uniform() < 0.5:
        frames = _recorded_weights()
        weights = dict(frames[int(rng.integers(len(frames)))])
    else:
        for name in rng.choice(list(MILD), int(rng.integers(1, 3)), replace=False):
            _add_scaled(weights, MILD[name], float(rng.uniform(0.2, 1.0)))
    if rng.uniform() < GAZE_CHANCE:
        for gaze in (GAZES[int(rng.integers(2))], GAZES[2 + int(rng.integers(2))]):
            _add_scaled(weights, gaze, float(rng.uniform(0, 0.5)))
    if rng.uniform() < BLINK_CHANCE:
        _add_scaled(weights, both("eyeBlink"), float(rng.uniform(0.2, 1.0)))
    return _plausible(weights)


def random_weights(rng: np.random.Generator) -> dict[str, float]:
    """A few shapes at once, sometimes strong; both sides mostly go together."""
    weights: dict[str, float] = {}
    strength = float(rng.uniform(0.3, 1.0))
    for name in rng.choice(ARKIT_NAMES, int(rng.integers(2, 8)), replace=False):
        value = float(strength * rng.uniform(0.2, 1.0))
        weights[str(name)] = value
        if (other := mirrored_name(str(name))) != name and rng.uniform() < 0.75:
            weights[other] = float(np.clip(value + rng.normal(0, 0.08), 0, 1))
    if rng.uniform() < 0.4:
        weights["jawOpen"] = float(rng.uniform(0, 1))
    return _plausible(weights)


def _add_scaled(weights: dict[str, float], more: Weights, share: float) -> None:
    for name, value in more.items():
        weights[name] = weights.get(name, 0.0) + share * value


def _plausible(weights: dict[str, float]) -> dict[str, float]:
    """Clamped, and without what excludes itself."""
    jaw = weights.get("jawOpen", 0.0)
    weights = {name: float(np.clip(value, 0, 1)) for name, value in weights.items()}
    if "mouthClose" in weights:
        weights["mouthClose"] = min(weights["mouthClose"], jaw)
    if weights.get("tongueOut", 0.0) > 0:
        weights["jawOpen"] = max(weights.get("jawOpen", 0.0), 0.6 * weights["tongueOut"])
    for side in ("Left", "Right"):
        one, two = weights.get(f"eyeLookIn{side}", 0.0), weights.get(f"eyeLookOut{side}", 0.0)
        if one and two:
            weights[f"eyeLookIn{side}"] = max(one - two, 0.0)
            weights[f"eyeLookOut{side}"] = max(two - one, 0.0)
        if weights.get(f"eyeBlink{side}", 0.0) > 0.5:
            weights.pop(f"eyeWide{side}", None)
    return weights


@lru_cache(maxsize=1)
def _recorded_weights() -> tuple[Weights, ...]:
    return tuple(frame.named() for frame in read_performance(SHIPPED_PERFORMANCE))
