"""Everything that makes one synthetic person, sampled from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.render.light import Color, Light
from flexavatar.training.people.appearance import (
    Beard,
    Brows,
    CameraTone,
    Clothing,
    Eyes,
    Hair,
    Makeup,
    Mouth,
    Skin,
    as_color,
    choose_name,
    sample_beard,
    sample_brows,
    sample_clothing,
    sample_eyes,
    sample_hair,
    sample_light,
    sample_makeup,
    sample_mouth,
    sample_skin,
    sample_tone,
)

SHAPE_STD = 1.15
"""Of the rig's identity coefficients: wider than the tracker expects."""
SHAPE_MOST = 3.0


@dataclass(frozen=True)
class Traits:
    """One person, the light they stand in, the camera's tone and the wall behind."""

    seed: int
    betas: tuple[float, ...]  # of the rig's identity
    warp: float
    """Metres of smooth distortion that the identity basis lacks."""
    skin: Skin
    makeup: Makeup
    hair: Hair
    beard: Beard
    brows: Brows
    eyes: Eyes
    mouth: Mouth
    clothing: Clothing
    light: Light
    tone: CameraTone
    wall: Color
    """Display-referred."""
    wall_kind: str
    """plain, slope or blur."""


def sample_traits(seed: int) -> Traits:
    """The person of this seed; the same for ever."""
    rng = np.random.default_rng((seed, 4711))
    womanly = bool(rng.uniform() < 0.5)
    skin = sample_skin(rng)
    hair = sample_hair(rng, skin.melanin, skin.age, womanly)
    betas = rng.normal(0, SHAPE_STD * rng.uniform(0.6, 1.1), 72).clip(-SHAPE_MOST, SHAPE_MOST)
    return Traits(
        seed=seed,
        betas=tuple(float(b) for b in betas),
        warp=float(rng.uniform(0.0005, 0.002)),
        skin=skin,
        makeup=sample_makeup(rng, womanly and bool(rng.uniform() < 0.7)),
        hair=hair,
        beard=sample_beard(rng, hair, womanly),
        brows=sample_brows(rng, hair, womanly),
        eyes=sample_eyes(rng, skin.melanin),
        mouth=sample_mouth(rng, skin.melanin, womanly),
        clothing=sample_clothing(rng, womanly),
        light=sample_light(rng),
        tone=sample_tone(rng),
        wall=as_color(rng.uniform(0.1, 0.95) * rng.uniform(0.8, 1.1, 3).clip(0, 1)),
        wall_kind=choose_name(rng, {"plain": 0.4, "slope": 0.3, "blur": 0.3}),
    )
