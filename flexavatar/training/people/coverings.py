"""Hair, hats and clothes: how they look, and what of the skin they hide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.training.people.canvas import Array, Paint, PaintCanvas, smooth
from flexavatar.training.people.hair import (
    CROWN,
    above_hairline,
    hair_on_template,
    hanging_hair,
    inside_hat,
)
from flexavatar.training.people.noise import f32, fractal_noise, value_noise
from flexavatar.training.people.traits import Traits

SOFT_M = 0.004
"""Over which hair begins."""
SHAVEN = 0.72
"""How much of the scalp buzzed hair hides."""


@dataclass(frozen=True)
class Coverage:
    """How much of each texel hair, hat and clothes hide, each [T] 0..1."""

    hair: Array
    hat: Array
    cloth: Array

    @property
    def bare(self) -> Array:
        """Share of skin that nothing hides, [T]."""
        return (1 - self.hair) * (1 - self.hat) * (1 - self.cloth)


def make_coverage(canvas: PaintCanvas, traits: Traits) -> Coverage:
    """Where this person's hair, hat and clothes are."""
    p, outside = canvas.points, canvas.skin.astype(np.float32)
    hair = np.zeros(len(p), np.float32)
    if traits.hair.style != "bald":
        above = above_hairline(p, canvas.masks["ear"], traits)
        soft = SOFT_M * (2.0 if traits.hair.style == "buzz" else 1.0)
        nape = canvas.masks["neck"] * (p[:, 1] < -0.075)
        hair = canvas.soft_edge(above, soft) * (1 - nape)
        hair = np.maximum(hair, hanging_hair(p, traits))
    hat = canvas.soft_edge(inside_hat(p, traits), 0.0008)
    cloth = canvas.soft_edge(below_collar(p, traits), 0.0006)
    return Coverage(hair * outside, hat * outside, cloth * outside)


def paint_hair(canvas: PaintCanvas, traits: Traits, covers: Coverage, paint: Paint) -> None:
    """Strands over the scalp, and over ears and neck where hair is long."""
    hair, p = traits.hair, canvas.points
    if hair.style == "bald":
        above = above_hairline(p, canvas.masks["ear"], traits)
        paint.absorb(0.12 * smooth(above, -0.002, 0.004), (1.0, 0.9, 0.8))
        return
    shade, relief, fine = _strand_fields(canvas, traits)
    tone = f32(hair.color)
    bleached = np.clip(hair.grey * (1 + 0.35 * fine), 0, 1)
    tone = tone + bleached[:, None] * (f32((0.33, 0.325, 0.32)) - tone)
    full = SHAVEN if hair.style == "buzz" else 1.0
    share = full * np.clip(covers.hair * (1 + 0.5 * fine * (covers.hair < 0.98)), 0, 1)
    paint.cover(share, tone * shade[:, None], 0.035, relief * (hair.style != "buzz"))


def _strand_fields(canvas: PaintCanvas, traits: Traits) -> tuple[Array, Array, Array]:
    """Strands from the parting outwards and down: brightness, relief and grain, [T] each."""
    hair, p = traits.hair, canvas.points
    shift = hair.parting * smooth(p[:, 1], 0.04, 0.1)
    around = np.arctan2(p[:, 0] - shift, p[:, 2] - CROWN[2])
    bend = 0.15 * fractal_noise(p, 25, traits.seed + 25, 2) * (1 + 3 * hair.curl)
    lanes = f32(np.stack((np.sin(around + bend), p[:, 1] * 2, np.cos(around + bend)), 1))
    coarse, fine = _strand_noise(lanes, traits)
    spacing = canvas.spacing
    if hair.style == "long":
        hung = canvas.at_texels(hair_on_template(traits))
        share = hanging_hair(p, traits)
        own = _strand_noise(f32(hung * (16, 2, 16) + 0.1 * bend[:, None]), traits)
        coarse, fine = coarse + share * (own[0] - coarse), fine + share * (own[1] - fine)
        spacing = np.maximum(spacing, share * canvas.stretched_spacing(hung))
    coarse, fine = coarse * smooth(spacing * 110, 1.1, 0.5), fine * smooth(spacing * 220, 1.1, 0.5)
    part = np.exp(-0.5 * ((p[:, 0] - hair.parting) / 0.0022) ** 2) * smooth(p[:, 1], 0.08, 0.09)
    part *= canvas.noise_visibility(250)
    shade = np.exp(hair.contrast * (0.26 * coarse + 0.34 * fine) + 0.08) * (1 + 0.5 * part)
    return f32(shade), f32(3e-4 * coarse + 1.5e-4 * fine), f32(fine)


def _strand_noise(lanes: Array, traits: Traits) -> tuple[Array, Array]:
    """Locks and strands along the second axis: [T] each."""
    curl, seed = traits.hair.curl, traits.seed
    coarse = fractal_noise(lanes, (26, 3 + 20 * curl, 26), seed + 26, 2)
    return coarse, value_noise(lanes, (100, 9 + 60 * curl, 100), seed + 27)


def paint_hat(canvas: PaintCanvas, traits: Traits, covers: Coverage, paint: Paint) -> None:
    """Knitted, sewn or draped cloth."""
    p, hat = canvas.points, traits.clothing.hat
    if hat == "none":
        return
    if hat == "beanie":
        turn = np.arctan2(p[:, 0], p[:, 2] + 0.015)
        ribs = np.cos(turn * 70) * smooth(p[:, 1], 0.125, 0.1)
        relief, shade = 5e-4 * ribs, 1 + 0.12 * ribs
    else:
        folds = fractal_noise(p, (40, 14, 40), traits.seed + 28, 2)
        relief = (8e-4 if hat == "scarf" else 1e-4) * folds
        shade = (
            1
            + 0.06 * folds
            + 0.05 * value_noise(p, 500, traits.seed + 29) * canvas.noise_visibility(500)
        )
    tone = f32(traits.clothing.hat_color)
    paint.cover(covers.hat, tone * f32(shade)[:, None], 0.012, f32(relief))


def paint_clothes(canvas: PaintCanvas, traits: Traits, share: Array, paint: Paint) -> None:
    """A shirt where `share` [T] says."""
    wear, p = traits.clothing, canvas.points
    one, two = np.array(wear.cloth, np.float32), np.array(wear.second, np.float32)
    mix = np.zeros(len(p), np.float32)
    if wear.pattern in ("stripes", "checks"):
        mix = smooth(np.sin(p[:, 1] * 230), -0.2, 0.2)
        if wear.pattern == "checks":
            mix = 0.5 * mix + 0.5 * smooth(np.sin(p[:, 0] * 230), -0.2, 0.2)
    elif wear.pattern == "speckle":
        mix = smooth(value_noise(p, 110, traits.seed + 50), 0.1, 0.3)
        mix = 0.35 + canvas.noise_visibility(110) * (mix - 0.35)
    folds = fractal_noise(p, (22, 12, 22), traits.seed + 51, 2)
    weave = (
        1
        + 0.12 * value_noise(p, 260, traits.seed + 52) * canvas.noise_visibility(260)
        + 0.08 * folds
    )
    color = (one + mix[:, None] * (two - one)) * weave[:, None]
    paint.cover(share, color, 0.006, (1.2e-3 * folds + 1e-3).astype(np.float32))


def below_collar(p: Array, traits: Traits) -> Array:
    """Metres below the collar: template points [N, 3] -> [N]."""
    wear = traits.clothing
    cut = wear.vee * np.clip(1 - np.abs(p[:, 0]) / (0.35 * wear.vee + 0.03), 0, 1) * (p[:, 2] > 0)
    return f32(-0.128 + wear.collar - 0.30 * p[:, 2].clip(-0.06, 0.06) - cut - p[:, 1])
