"""The names that capture apps give to ARKit's shapes, and what VRM's presets look like in them.

Apple writes `jawOpen` and `eyeBlinkLeft`. Live Link Face, VTube Studio and some VMC senders write
`JawOpen`, iFacialMocap and MeowFace `eyeBlink_L`; the case of the first letter differs even within
one app. Always by name: the order differs between apps.
"""

from __future__ import annotations

from collections.abc import Mapping

from flexavatar.head.arkit import ARKIT_NAMES, SIDES


def pascal_case(name: str) -> str:
    """ARKit's `jawOpen` as Live Link Face writes it: `JawOpen`."""
    return name[0].upper() + name[1:]


def snake_side(name: str) -> str:
    """ARKit's `eyeBlinkLeft` as iFacialMocap writes it: `eyeBlink_L`. `mouthLeft` stays."""
    stem = name.removesuffix("Left").removesuffix("Right")
    return name if stem in ("jaw", "mouth", name) else f"{stem}_{name[len(stem)]}"


SPELLINGS: Mapping[str, str] = {
    spelling.lower(): name for name in ARKIT_NAMES for spelling in (name, snake_side(name))
}
"""Lower case, as any app writes it -> ARKit's own."""


def arkit_name(sent: str) -> str | None:
    """ARKit's name of a shape in whatever spelling, None if it is none of the 52."""
    return SPELLINGS.get(sent.lower())


def _both(**stems: float) -> dict[str, float]:
    return {f"{stem}{side}": weight for stem, weight in stems.items() for side in SIDES}


_SMILE = _both(mouthSmile=0.8, cheekSquint=0.4)
_RELAXED = _both(mouthSmile=0.5, eyeSquint=0.2)
_SAD = _both(mouthFrown=0.6) | {"browInnerUp": 0.7}
_LEFT = {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}
_RIGHT = {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0}

PRESETS: Mapping[str, Mapping[str, float]] = {
    "a": {"jawOpen": 0.6},
    "i": _both(mouthStretch=0.4, mouthSmile=0.2) | {"jawOpen": 0.12},
    "u": {"mouthPucker": 0.6, "mouthFunnel": 0.2, "jawOpen": 0.12},
    "e": _both(mouthStretch=0.3, mouthLowerDown=0.2) | {"jawOpen": 0.25},
    "o": {"mouthFunnel": 0.5, "mouthPucker": 0.2, "jawOpen": 0.35},
    "blink": _both(eyeBlink=1.0),
    "blink_l": {"eyeBlinkLeft": 1.0},
    "blink_r": {"eyeBlinkRight": 1.0},
    "joy": _SMILE,
    "fun": _RELAXED,
    "sorrow": _SAD,
    "angry": _both(browDown=0.8, mouthPress=0.3, noseSneer=0.2),
    "surprised": _both(browOuterUp=0.7, eyeWide=0.7) | {"browInnerUp": 0.7, "jawOpen": 0.2},
    "lookup": _both(eyeLookUp=1.0),
    "lookdown": _both(eyeLookDown=1.0),
    "lookleft": _LEFT,
    "lookright": _RIGHT,
}
"""VRM 0's presets, lower case -> weights at 1. Ours: VRM leaves their look to each model."""

VRM1 = {
    "aa": "a", "ih": "i", "ou": "u", "ee": "e", "oh": "o", "blinkleft": "blink_l",
    "blinkright": "blink_r", "happy": "joy", "relaxed": "fun", "sad": "sorrow",
}  # fmt: skip
"""VRM 1's names of the same, lower case."""


def preset_name(sent: str) -> str | None:
    """The key in PRESETS of a VRM preset, None if it is none that shows."""
    name = VRM1.get(sent.lower(), sent.lower())
    return name if name in PRESETS else None


def from_presets(values: Mapping[str, float]) -> dict[str, float]:
    """Presets by their keys -> ARKit weights; every shape that any of them touches is there."""
    weights: dict[str, float] = {}
    for preset, value in values.items():
        for name, weight in PRESETS[preset].items():
            weights[name] = weights.get(name, 0.0) + value * weight
    return weights
