"""Who a synthetic person is: shape, skin, hair, eyes, clothes, and the light they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.evaluation.people.rig import IctRig
from flexavatar.render.light import Color, Lamp, Light, lamp_direction

IDENTITY_STD = 1.1
"""Of the 100 identity modes, which have unit variance over the people that ICT scanned."""
HAIR: tuple[Color, ...] = (
    (0.010, 0.008, 0.007), (0.028, 0.015, 0.009), (0.075, 0.038, 0.018), (0.16, 0.095, 0.045),
    (0.33, 0.23, 0.12), (0.14, 0.045, 0.016), (0.30, 0.29, 0.28),
)  # fmt: skip
IRIS: tuple[Color, ...] = (
    (0.050, 0.022, 0.010), (0.10, 0.050, 0.020), (0.12, 0.11, 0.045), (0.08, 0.14, 0.07),
    (0.10, 0.17, 0.26), (0.16, 0.19, 0.21),
)  # fmt: skip


@dataclass(frozen=True)
class Appearance:
    """All that expressions do not move."""

    melanin: float
    """Of the skin: 0 palest, 1 darkest."""
    flush: float
    """Redness of cheeks, nose and ears, 0..1."""
    freckles: float
    stubble: float
    hair: Color
    hair_depth: float
    """Metres above the scalp where hair is fullest."""
    hair_length: float
    """Metres below the ears to which it hangs at sides and back; 0 for short hair."""
    hairline: float
    """Metres that the hairline is shifted up."""
    iris: Color
    lips: float
    """How red, 0..1."""
    brows: float
    """How thick, about 1."""
    cloth: Color
    neckline: float
    """Metres that the collar is shifted up."""
    seed: int
    """Of all noise."""


@dataclass(frozen=True)
class Person:
    """One synthetic person before a plain wall."""

    name: str
    betas: NDArray[np.float64]  # [100]
    appearance: Appearance
    light: Light
    wall: Color
    mood: Mapping[str, float]
    """ARKit weights of the face in photos: nobody is perfectly neutral."""


def sample_person(rig: IctRig, seed: int, number: int) -> Person:
    """Person `number` of those that `seed` gives; the same for ever."""
    rng = np.random.default_rng((seed, number))
    betas = rng.normal(0, IDENTITY_STD, len(rig.identity)).clip(-2.2, 2.2)
    appearance = _sample_appearance(rng)
    light = _sample_light(rng)
    grey = float(rng.uniform(0.25, 0.6))
    wall = _color(grey * rng.uniform(0.85, 1.1, 3))
    smile, squint, brow = rng.uniform(0, 1, 3) * (0.3, 0.2, 0.25)
    mood = {
        "mouthSmileLeft": float(smile),
        "mouthSmileRight": float(smile),
        "eyeSquintLeft": float(squint),
        "eyeSquintRight": float(squint),
        "browInnerUp": float(brow),
    }
    return Person(f"person {seed}-{number}", betas, appearance, light, wall, mood)


def _sample_appearance(rng: np.random.Generator) -> Appearance:
    melanin = float(rng.beta(1.1, 1.6))
    dark = melanin > 0.45
    hair = HAIR[int(rng.integers(0, 3 if dark else len(HAIR)))]
    iris = IRIS[int(rng.integers(0, 2 if dark else len(IRIS)))]
    long = float(rng.uniform()) < 0.4
    return Appearance(
        melanin=melanin,
        flush=float(rng.uniform(0.2, 1.0)),
        freckles=float(rng.uniform() ** 3),
        stubble=0.0 if long else float(rng.uniform(0, 0.9)),
        hair=hair,
        hair_depth=float(rng.uniform(0.012, 0.024) if long else rng.uniform(0.002, 0.02)),
        hair_length=float(rng.uniform(0.02, 0.12)) if long else 0.0,
        hairline=float(rng.uniform(-0.005, 0.008 if long else 0.018)),
        iris=iris,
        lips=float(rng.uniform(0.5, 1.0) if long else rng.uniform(0.3, 0.6)),
        brows=float(rng.uniform(0.7, 1.25)),
        cloth=_color(rng.uniform(0.02, 0.5, 3)),
        neckline=float(rng.uniform(-0.012, 0.02)),
        seed=int(rng.integers(1, 10_000)),
    )


def _sample_light(rng: np.random.Generator) -> Light:
    """A key from above on either side, a broad fill on the other, and the room."""
    side = float(rng.choice((-1, 1)))
    warmth = float(rng.uniform(-0.08, 0.12))
    key = lamp_direction(side * rng.uniform(10, 50), rng.uniform(15, 45))
    fill = lamp_direction(-side * rng.uniform(30, 80), rng.uniform(-5, 25))
    strength = float(rng.uniform(1.6, 2.6))
    return Light(
        sky=_color(rng.uniform(0.45, 0.65) * np.array((1.0, 1.02, 1.06))),
        ground=_color(rng.uniform(0.2, 0.35) * np.array((1.05, 1.0, 0.93))),
        lamps=(
            Lamp(key, _color(strength * np.array((1 + warmth, 1, 1 - warmth))), 8.0),
            Lamp(fill, _color(rng.uniform(0.4, 0.9) * np.ones(3)), 3.0),
        ),
    )


def _color(values: NDArray[np.float64]) -> Color:
    r, g, b = (float(v) for v in values)
    return r, g, b
