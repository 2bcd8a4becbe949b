"""What the parts of a mouth do, and ARKit's weights for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.expressions import both
from flexavatar.drive.signal import Weights
from flexavatar.easing import minimum_jerk
from flexavatar.head.arkit import ARKIT_NAMES, JAW_OPEN, MOUTH_CLOSE

Array = NDArray[np.float64]

ARTICULATORS = ("jaw", "shut", "tuck", "round", "funnel", "spread", "upper", "lower", "tongue")
"""Jaw down; lips shut (p, b, m); lower lip under the teeth (f, v); lips round (w, u) and like a
funnel (sh); corners apart (i); upper lip up; lower lip down; tongue forward (th, l). Each 0..1."""
JAW, SHUT = 0, 1

SHUT_FROM, SHUT_AT = 0.15, 0.45
"""Lips begin to shut and are shut: two lips that nearly meet do meet."""


ARTICULATOR_SHAPES: Mapping[str, Mapping[str, float]] = {
    "jaw": {"jawOpen": 0.52},
    "tuck": {"mouthRollLower": 0.75} | both("mouthUpperUp", 0.22),
    "round": {"mouthPucker": 0.85},
    "funnel": {"mouthFunnel": 0.7},
    "spread": both("mouthStretch", 0.42) | both("mouthDimple", 0.16) | both("mouthSmile", 0.16),
    "upper": both("mouthUpperUp", 0.4),
    "lower": both("mouthLowerDown", 0.55),
    "tongue": {"tongueOut": 0.12},
}
"""ARKit's weights of each articulator at 1, but for `shut`, which acts on all the others."""
SHUT_LIPS = {"mouthRollLower": 0.2, "mouthRollUpper": 0.14} | both("mouthPress", 0.35)
KEPT_WHEN_SHUT = {"jawOpen": 1.0, "mouthPucker": 0.6} | both("mouthDimple", 1.0)
"""Share of other shapes that stays when lips are shut; of the others nothing does."""

EMOTION_SHAPES: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "happy": both("mouthSmile", 0.6) | both("cheekSquint", 0.4) | {"browInnerUp": 0.1},
    "sad": both("mouthFrown", 0.55) | {"browInnerUp": 0.6, "mouthShrugLower": 0.2},
    "angry": both("browDown", 0.75) | both("noseSneer", 0.3) | both("mouthPress", 0.15),
    "surprised": both("browOuterUp", 0.6) | {"browInnerUp": 0.7},
}
"""Added at full strength."""


def _vector(weights: Mapping[str, float]) -> Array:
    """Weights by ARKit's name -> [52]."""
    return np.array([weights.get(name, 0.0) for name in ARKIT_NAMES])


_SHAPES = np.array([_vector(ARTICULATOR_SHAPES.get(name, {})) for name in ARTICULATORS])  # [9, 52]
_SHUT_LIPS, _KEPT_WHEN_SHUT = _vector(SHUT_LIPS), _vector(KEPT_WHEN_SHUT)  # [52]
EMOTION_WEIGHTS = {name: _vector(weights) for name, weights in EMOTION_SHAPES.items()}  # [52] each
SPEECH_MASK = (
    _SHAPES.sum(0) + _SHUT_LIPS + _vector({"mouthClose": 1.0})
) > 0  # [52] what speech moves


def arkit_weights(
    articulators: NDArray[np.floating], intensity: float = 1.0, emotion: Array | None = None
) -> Weights:
    """Articulators [9], 0..1, and an emotion's weights [52] -> ARKit's weights [52].

    Lips that are shut stay so whatever the intensity and the emotion.
    """
    shut = float(minimum_jerk((articulators[SHUT] - SHUT_FROM) / (SHUT_AT - SHUT_FROM)))
    kept = 1 - shut * (1 - _KEPT_WHEN_SHUT)
    weights = intensity * kept * (articulators @ _SHAPES) + shut * _SHUT_LIPS
    if emotion is not None:
        weights += emotion
    weights[MOUTH_CLOSE] = shut * min(weights[JAW_OPEN], 1.0)
    return weights.clip(0, 1).astype(np.float32)
