"""The parts of a person's appearance: each a frozen record, each sampled at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from flexavatar.render.light import Color, Lamp, Light, lamp_direction

HAIR_TONES: tuple[Color, ...] = (
    (0.010, 0.008, 0.007), (0.016, 0.011, 0.009), (0.030, 0.017, 0.011), (0.055, 0.030, 0.016),
    (0.095, 0.055, 0.028), (0.16, 0.10, 0.05), (0.30, 0.20, 0.10), (0.42, 0.32, 0.19),
    (0.14, 0.045, 0.016), (0.24, 0.09, 0.03),
)  # fmt: skip
DYES: tuple[Color, ...] = (
    (0.40, 0.03, 0.05), (0.06, 0.07, 0.35), (0.45, 0.10, 0.25), (0.04, 0.22, 0.18),
    (0.20, 0.06, 0.30), (0.55, 0.48, 0.36),
)  # fmt: skip
IRISES: tuple[Color, ...] = (
    (0.030, 0.013, 0.007), (0.055, 0.024, 0.010), (0.10, 0.050, 0.020), (0.13, 0.085, 0.035),
    (0.12, 0.12, 0.05), (0.08, 0.14, 0.07), (0.10, 0.17, 0.26), (0.17, 0.24, 0.30),
    (0.16, 0.19, 0.21),
)  # fmt: skip


@dataclass(frozen=True)
class Skin:
    """Skin of face, ears and neck."""

    melanin: float
    """0 palest, 1 darkest."""
    warmth: float
    """Undertone: -1 pink, 1 yellow."""
    flush: float
    """Redness of cheeks, nose and ears, 0..1."""
    blotches: float
    pores: float
    freckles: float
    moles: int
    bags: float
    """Darkness under the eyes, 0..1."""
    age: float
    """0 young, 1 old: lines that stay when the face rests."""
    lines: float
    """How deep lines get as the face moves, about 1."""
    oil: float
    """How glossy, about 1."""


@dataclass(frozen=True)
class Makeup:
    """Make-up, 0 for none, 1 for heavy."""

    lips: float
    lip_color: Color
    lids: float
    lid_color: Color
    blush: float
    liner: float


@dataclass(frozen=True)
class Hair:
    """Hair of the head."""

    color: Color
    root: Color
    """What it would be without dye."""
    grey: float
    """Share of grey strands, 0..1."""
    style: str
    """bald, buzz, short, medium or long."""
    depth: float
    """Metres above the scalp where it is fullest."""
    length: float
    """Metres below the ears to which it hangs; long hair only."""
    receding: float
    """Metres that the hairline has moved up; negative for a low one."""
    temples: float
    """Metres by which temples have thinned."""
    parting: float
    """Where hair is parted, metres to the person's left of the middle."""
    fringe: float
    """Metres that a fringe hangs below the hairline; 0 for none."""
    curl: float
    """0 straight, 1 curly."""
    contrast: float


@dataclass(frozen=True)
class Beard:
    """Hair of the face."""

    stubble: float
    cheeks: float
    chin: float
    moustache: float
    """Each 0 shaved .. 1 full."""
    color: Color


@dataclass(frozen=True)
class Brows:
    """Eyebrows and lashes."""

    thick: float
    lift: float
    """Metres."""
    arch: float
    """Metres by which the middle is higher."""
    density: float
    color: Color
    lashes: float


@dataclass(frozen=True)
class Eyes:
    """Iris, white and lid."""

    iris: Color
    radius: float
    pupil: float
    """Metres each."""
    white: Color
    crease: float


@dataclass(frozen=True)
class Mouth:
    """Lips, teeth and what is behind them."""

    lips: float
    """How red, 0..1."""
    brown: float
    """How much darker than skin."""
    full: float
    """How wide the red is, about 1."""
    teeth: Color
    flesh: Color


@dataclass(frozen=True)
class Clothing:
    """Clothes and what is put on the head."""

    cloth: Color
    second: Color
    pattern: str
    """plain, stripes, checks or speckle."""
    collar: float
    """Metres that the collar is shifted up."""
    vee: float
    """How deep the front is cut, metres."""
    hat: str
    """none, beanie, cap or scarf."""
    hat_color: Color
    glasses: str
    """none, round, square or half."""
    glasses_color: Color


@dataclass(frozen=True)
class CameraTone:
    """How a camera turns light into stored colours."""

    exposure: float
    """About 1; the camera meters the face."""
    metering: float
    """Share of the skin's darkness that the camera makes up for; a dark room's it does."""
    gains: Color
    """White balance."""
    contrast: float
    saturation: float


def as_color(values: NDArray[np.floating]) -> Color:
    """Three numbers as a colour, 0 at least."""
    r, g, b = (max(float(v), 0.0) for v in values)
    return r, g, b


def choose_name(rng: Generator, options: dict[str, float]) -> str:
    """One of the names, with the probability that its number says."""
    chances = np.array(list(options.values()))
    return str(rng.choice(list(options), p=chances / chances.sum()))


def zero_or_uniform(rng: Generator, chance: float, low: float = 0.3, high: float = 1.0) -> float:
    """0, or with this probability uniform between two numbers."""
    value = float(rng.uniform(low, high))
    return value if rng.uniform() < chance else 0.0


def sample_skin(rng: Generator) -> Skin:
    """Any tone there is, any age from sixteen to eighty."""
    age = float(rng.beta(1.1, 1.7))
    return Skin(
        melanin=float(rng.beta(0.9, 1.3)),
        warmth=float(rng.normal(0, 0.5)),
        flush=float(rng.uniform(0.1, 1.0)),
        blotches=float(rng.uniform(0.3, 1.0) + 0.5 * age),
        pores=float(rng.uniform(0.3, 1.3)),
        freckles=zero_or_uniform(rng, 0.3, 0.1),
        moles=int(rng.poisson(2.5)),
        bags=float(np.clip(rng.uniform(0, 0.7) + 0.4 * age, 0, 1)),
        age=age,
        lines=float(rng.uniform(0.35, 1.0) + 0.5 * age),
        oil=float(rng.uniform(0.4, 1.9)),
    )


def sample_makeup(rng: Generator, worn: bool) -> Makeup:
    """Everything, something or nothing."""
    much = float(worn)
    reds = np.array((rng.uniform(0.3, 0.6), rng.uniform(0.02, 0.16), rng.uniform(0.03, 0.2)))
    lids = rng.uniform(0.03, 0.3, 3)
    return Makeup(
        lips=much * zero_or_uniform(rng, 0.7),
        lip_color=as_color(reds * rng.uniform(0.35, 1.0)),
        lids=much * zero_or_uniform(rng, 0.6, 0.15, 0.7),
        lid_color=as_color(lids),
        blush=much * zero_or_uniform(rng, 0.6),
        liner=much * zero_or_uniform(rng, 0.7),
    )


def sample_hair(rng: Generator, melanin: float, age: float, womanly: bool) -> Hair:
    """Dark skin mostly comes with dark hair, age with grey."""
    tones = HAIR_TONES[: 4 if melanin > 0.45 and rng.uniform() < 0.92 else None]
    tone = np.array(tones[int(rng.integers(len(tones)))]) * rng.uniform(0.7, 1.35)
    root = as_color(tone)
    if rng.uniform() < 0.04:
        tone = np.array(DYES[int(rng.integers(len(DYES)))])
    chances = (
        {"bald": 0.02, "buzz": 0.04, "short": 0.2, "medium": 0.3, "long": 0.5}
        if womanly
        else {"bald": 0.12, "buzz": 0.2, "short": 0.5, "medium": 0.2, "long": 0.08}
    )
    style = choose_name(rng, chances)
    depths = {"bald": (0, 0), "buzz": (0.001, 0.003), "short": (0.006, 0.02),
              "medium": (0.013, 0.03), "long": (0.010, 0.026)}  # fmt: skip
    grey = float(np.clip(rng.normal(1.5 * age - 0.65, 0.2), 0, 0.95))
    return Hair(
        color=as_color(tone),
        root=root,
        grey=grey,
        style=style,
        depth=float(rng.uniform(*depths[style])),
        length=float(rng.uniform(0.0, 0.13)),
        receding=float(rng.normal(0.0, 0.006)) + (0 if womanly else 0.014 * age),
        temples=float(rng.uniform(0, 0.004 if womanly else 0.016)),
        parting=float(rng.normal(0, 0.025)),
        fringe=zero_or_uniform(rng, 0.2, 0.008, 0.03)
        if style in ("short", "medium", "long")
        else 0.0,
        curl=float(rng.uniform() ** (1.0 if melanin > 0.6 else 2.5)),
        contrast=float(rng.uniform(0.6, 1.3)),
    )


def sample_beard(rng: Generator, hair: Hair, womanly: bool) -> Beard:
    """Shaved, shadowed or grown."""
    can = 0.0 if womanly else 1.0
    grown = can * zero_or_uniform(rng, 0.35, 0.5)
    tone = np.array(hair.root) * rng.uniform(0.7, 1.2) * (1 - 0.8 * hair.grey)
    return Beard(
        stubble=can * zero_or_uniform(rng, 0.6, 0.1),
        cheeks=grown * zero_or_uniform(rng, 0.6),
        chin=grown,
        moustache=can * zero_or_uniform(rng, 0.25 + 0.5 * (grown > 0), 0.5),
        color=as_color(tone + 0.5 * hair.grey * np.ones(3) * 0.5),
    )


def sample_brows(rng: Generator, hair: Hair, womanly: bool) -> Brows:
    """Mostly darker than the hair."""
    tone = np.minimum(np.array(hair.root), 0.12) * rng.uniform(0.5, 1.1)
    return Brows(
        thick=float(rng.uniform(0.6, 1.1) if womanly else rng.uniform(0.8, 1.5)),
        lift=float(rng.normal(0.0008, 0.0014)),
        arch=float(rng.normal(0.001 if womanly else 0, 0.0012)),
        density=float(rng.uniform(0.55, 1.0)),
        color=as_color(tone + 0.15 * hair.grey * hair.grey),
        lashes=float(rng.uniform(0.6, 1.0) if womanly else rng.uniform(0.3, 0.8)),
    )


def sample_eyes(rng: Generator, melanin: float) -> Eyes:
    """Dark skin mostly comes with brown eyes."""
    irises = IRISES[: 3 if melanin > 0.45 and rng.uniform() < 0.94 else None]
    iris = np.array(irises[int(rng.integers(len(irises)))]) * rng.uniform(0.75, 1.3, 3)
    white = np.array((0.62, 0.585, 0.56)) * rng.uniform(0.85, 1.1)
    return Eyes(
        iris=as_color(iris),
        radius=float(rng.normal(0.0059, 0.0002)),
        pupil=float(rng.uniform(0.0013, 0.0028)),
        white=as_color(white * (1, rng.uniform(0.93, 1.0), rng.uniform(0.86, 1.0))),
        crease=float(rng.uniform(0.1, 1.0)),
    )


def sample_mouth(rng: Generator, melanin: float, womanly: bool) -> Mouth:
    """Lips go brown with the skin."""
    ivory = np.array((0.76, 0.71, 0.61)) * rng.uniform(0.75, 1.1)
    flesh = np.array((0.40, 0.14, 0.13)) * rng.uniform(0.75, 1.1) * (1 - 0.35 * melanin)
    return Mouth(
        lips=float(rng.uniform(0.45, 0.95) if womanly else rng.uniform(0.25, 0.75)),
        brown=float(rng.uniform(0, 0.5) * (0.3 + melanin)),
        full=float(rng.normal(1.05 if womanly else 0.92, 0.12)),
        teeth=as_color(ivory * (1, rng.uniform(0.93, 1.02), rng.uniform(0.8, 1.05))),
        flesh=as_color(flesh),
    )


def sample_clothing(rng: Generator, womanly: bool) -> Clothing:
    """Mostly a bare head and no glasses."""
    hat = choose_name(
        rng, {"none": 0.87, "beanie": 0.05, "cap": 0.05, "scarf": 0.05 if womanly else 0.0}
    )
    frames = {"none": 0.83, "round": 0.06, "square": 0.07, "half": 0.04}
    dark = rng.uniform(0.005, 0.06, 3) if rng.uniform() < 0.7 else rng.uniform(0.02, 0.4, 3)
    return Clothing(
        cloth=as_color(rng.uniform(0.01, 0.7) * rng.uniform(0.4, 1.0, 3)),
        second=as_color(rng.uniform(0.01, 0.7) * rng.uniform(0.4, 1.0, 3)),
        pattern=choose_name(rng, {"plain": 0.6, "stripes": 0.15, "checks": 0.1, "speckle": 0.15}),
        collar=float(rng.normal(0.0, 0.014)),
        vee=zero_or_uniform(rng, 0.4, 0.02, 0.06),
        hat=hat,
        hat_color=as_color(rng.uniform(0.01, 0.5) * rng.uniform(0.3, 1.0, 3)),
        glasses=choose_name(rng, frames),
        glasses_color=as_color(dark),
    )


def sample_light(rng: Generator) -> Light:
    """A key from anywhere in front or aside, now and then a fill and a rim, and the room."""
    side = float(rng.choice((-1, 1)))
    warmth = float(rng.normal(0.02, 0.12))
    warm = np.array((1 + warmth, 1, 1 - 1.2 * warmth))
    strength = float(rng.uniform(0.2, 2.8))
    lamps = [
        Lamp(
            lamp_direction(side * abs(rng.normal(0, 38)), rng.uniform(-5, 60)),
            as_color(strength * warm),
            float(np.exp(rng.uniform(np.log(3), np.log(40)))) if rng.uniform() < 0.4 else 5.0,
        )
    ]
    if rng.uniform() < 0.6:
        fill = rng.uniform(0.2, 0.9) * rng.uniform(0.8, 1.2, 3)
        lamps.append(Lamp(lamp_direction(-side * rng.uniform(20, 90), rng.uniform(-20, 40)),
                          as_color(fill), 3.0))  # fmt: skip
    if rng.uniform() < 0.3:
        rim = rng.uniform(0.6, 2.5) * rng.uniform(0.7, 1.3, 3)
        lamps.append(Lamp(lamp_direction(side * rng.uniform(110, 170), rng.uniform(5, 45)),
                          as_color(rim), 8.0))  # fmt: skip
    scaled = [Lamp(x.direction, as_color(np.array(x.color) * x.tightness / 6), x.tightness)
              for x in lamps]  # fmt: skip
    room = rng.uniform(0.25, 0.8)
    return Light(
        sky=as_color(room * rng.uniform(0.85, 1.15, 3)),
        ground=as_color(room * rng.uniform(0.2, 0.8) * rng.uniform(0.85, 1.15, 3)),
        lamps=tuple(scaled),
    )


def sample_tone(rng: Generator) -> CameraTone:
    """No two cameras agree."""
    warmth, tint = rng.normal(0, 0.06), rng.normal(0, 0.025)
    return CameraTone(
        exposure=float(np.exp(rng.normal(0, 0.22))),
        metering=float(rng.uniform(0.3, 0.75)),
        gains=(float(1 + warmth), float(1 + tint), float(1 - warmth)),
        contrast=float(rng.uniform(0.95, 1.3)),
        saturation=float(rng.uniform(0.75, 1.2)),
    )
