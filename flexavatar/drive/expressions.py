"""Expressions by ARKit's names: where the eyes look, and what VRM's presets look like."""

from __future__ import annotations

from collections.abc import Mapping

from flexavatar.drive.names import without_prefix
from flexavatar.head.arkit import GAZE_PITCH, GAZE_YAW, SIDES

Gaze = tuple[float, float]
"""Yaw to the person's left and pitch upwards of one eye in the head, radians."""


def both(name: str, weight: float = 1.0) -> dict[str, float]:
    """Both sides of an ARKit shape."""
    return {f"{name}Left": weight, f"{name}Right": weight}


GAZE_LEFT = {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}
GAZE_RIGHT = {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0}
GAZE_UP = both("eyeLookUp")
GAZE_DOWN = both("eyeLookDown")
BROWS_UP = {"browInnerUp": 1.0} | both("browOuterUp")


def gaze_weights(left: Gaze, right: Gaze) -> dict[str, float]:
    """Angles of the eyes -> eyeLook weights by ARKit's name, 0..1."""
    weights = {}
    for side, outward, (yaw, pitch) in zip(SIDES, (1, -1), (left, right), strict=True):
        across, up = outward * yaw / GAZE_YAW, pitch / GAZE_PITCH
        shown = {"Out": across, "In": -across, "Up": up, "Down": -up}
        weights |= {f"eyeLook{to}{side}": min(max(v, 0.0), 1.0) for to, v in shown.items()}
    return weights


def gaze_angles(weights: Mapping[str, float]) -> tuple[Gaze, Gaze]:
    """eyeLook weights by ARKit's name -> angles of the left and the right eye."""
    angles = []
    for side, outward in zip(SIDES, (1, -1), strict=True):
        look = {to: weights.get(f"eyeLook{to}{side}", 0.0) for to in ("Out", "In", "Up", "Down")}
        yaw = outward * GAZE_YAW * (look["Out"] - look["In"])
        angles.append((yaw, GAZE_PITCH * (look["Up"] - look["Down"])))
    return angles[0], angles[1]


def add_gaze(weights: dict[str, float], gaze: tuple[Gaze, Gaze] | None) -> dict[str, float]:
    """The same, and the eyeLook weights that the eyes' angles mean if none were sent."""
    if gaze is None or any(name.startswith("eyeLook") for name in weights):
        return weights
    return weights | gaze_weights(*gaze)


_SMILE = both("mouthSmile", 0.8) | both("cheekSquint", 0.4)
_RELAXED = both("mouthSmile", 0.5) | both("eyeSquint", 0.2)
_SAD = both("mouthFrown", 0.6) | {"browInnerUp": 0.7}

VRM_PRESETS: Mapping[str, Mapping[str, float]] = {
    "a": {"jawOpen": 0.6},
    "i": both("mouthStretch", 0.4) | both("mouthSmile", 0.2) | {"jawOpen": 0.12},
    "u": {"mouthPucker": 0.6, "mouthFunnel": 0.2, "jawOpen": 0.12},
    "e": both("mouthStretch", 0.3) | both("mouthLowerDown", 0.2) | {"jawOpen": 0.25},
    "o": {"mouthFunnel": 0.5, "mouthPucker": 0.2, "jawOpen": 0.35},
    "blink": both("eyeBlink"),
    "blink_l": {"eyeBlinkLeft": 1.0},
    "blink_r": {"eyeBlinkRight": 1.0},
    "joy": _SMILE,
    "fun": _RELAXED,
    "sorrow": _SAD,
    "angry": both("browDown", 0.8) | both("mouthPress", 0.3) | both("noseSneer", 0.2),
    "surprised": both("browOuterUp", 0.7)
    | both("eyeWide", 0.7)
    | {"browInnerUp": 0.7, "jawOpen": 0.2},
    "lookup": GAZE_UP,
    "lookdown": GAZE_DOWN,
    "lookleft": GAZE_LEFT,
    "lookright": GAZE_RIGHT,
}
"""VRM 0's presets, lower case -> weights at 1. Ours: VRM leaves their look to each model."""

VRM1_NAMES = {
    "aa": "a", "ih": "i", "ou": "u", "ee": "e", "oh": "o", "blinkleft": "blink_l",
    "blinkright": "blink_r", "happy": "joy", "relaxed": "fun", "sad": "sorrow",
}  # fmt: skip
"""VRM 1's names of the same, lower case."""


def preset_name(sent: str) -> str | None:
    """The key in VRM_PRESETS of a VRM preset, None if it is none that shows."""
    plain = without_prefix(sent).lower()
    name = VRM1_NAMES.get(plain, plain)
    return name if name in VRM_PRESETS else None


def preset_weights(values: Mapping[str, float]) -> dict[str, float]:
    """Presets by their keys -> ARKit weights; every shape that any of them touches is there."""
    weights: dict[str, float] = {}
    for preset, value in values.items():
        for name, weight in VRM_PRESETS[preset].items():
            weights[name] = weights.get(name, 0.0) + value * weight
    return weights
