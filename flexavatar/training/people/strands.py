"""How hair and hats look, and what of the skin they hide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.training.people.canvas import Array, Canvas, smooth
from flexavatar.training.people.hair import (
    CROWN,
    above_hairline,
    hanging,
    lifted_template,
    under_hat,
)
from flexavatar.training.people.inner import below_collar
from flexavatar.training.people.noise import f32, fractal, noise
from flexavatar.training.people.paint import Paint
from flexavatar.training.people.traits import Traits

SOFT_M = 0.004
"""Over which hair begins."""
SHAVEN = 0.72
"""How much of the scalp buzzed hair hides."""


@dataclass(frozen=True)
class Covers:
    """What hides skin, each [T] 0..1."""

    hair: Array
    hat: Array
    cloth: Array

    @property
    def bare(self) -> Array:
        """What is left."""
        return (1 - self.hair) * (1 - self.hat) * (1 - self.cloth)


def make_covers(canvas: Canvas, traits: Traits) -> Covers:
    """Where hair, hat and clothes are."""
    p, outside = canvas.points, canvas.skin.astype(np.float32)
    hair = np.zeros(len(p), np.float32)
    if traits.hair.style != "bald":
        above = above_hairline(p, canvas.masks["ear"], traits)
        soft = SOFT_M * (2.0 if traits.hair.style == "buzz" else 1.0)
        nape = canvas.masks["neck"] * (p[:, 1] < -0.075)
        hair = canvas.edge(above, soft) * (1 - nape)
        hair = np.maximum(hair, hanging(p, traits))
    hat = canvas.edge(under_hat(p, traits), 0.0008)
    cloth = canvas.edge(below_collar(p, traits), 0.0006)
    return Covers(hair * outside, hat * outside, cloth * outside)


def paint_hair(canvas: Canvas, traits: Traits, covers: Covers, paint: Paint) -> None:
    """Strands over the scalp, and over ears and neck where hair is long."""
    hair, p = traits.hair, canvas.points
    if hair.style == "bald":
        above = above_hairline(p, canvas.masks["ear"], traits)
        paint.absorb(0.12 * smooth(above, -0.002, 0.004), (1.0, 0.9, 0.8))
        return
    shade, relief, fine = _strands(canvas, traits)
    tone = f32(hair.color)
    bleached = np.clip(hair.grey * (1 + 0.35 * fine), 0, 1)
    tone = tone + bleached[:, None] * (f32((0.33, 0.325, 0.32)) - tone)
    full = SHAVEN if hair.style == "buzz" else 1.0
    share = full * np.clip(covers.hair * (1 + 0.5 * fine * (covers.hair < 0.98)), 0, 1)
    paint.cover(share, tone * shade[:, None], 0.035, relief * (hair.style != "buzz"))


def _strands(canvas: Canvas, traits: Traits) -> tuple[Array, Array, Array]:
    """Strands from the parting outwards and down: brightness, relief and grain, [T] each."""
    hair, p = traits.hair, canvas.points
    shift = hair.parting * smooth(p[:, 1], 0.04, 0.1)
    around = np.arctan2(p[:, 0] - shift, p[:, 2] - CROWN[2])
    bend = 0.15 * fractal(p, 25, traits.seed + 25, 2) * (1 + 3 * hair.curl)
    lanes = f32(np.stack((np.sin(around + bend), p[:, 1] * 2, np.cos(around + bend)), 1))
    coarse, fine = _grain(lanes, traits)
    spacing = canvas.spacing
    if hair.style == "long":
        hung = canvas.spread(lifted_template(traits))
        share = hanging(p, traits)
        own = _grain(f32(hung * (16, 2, 16) + 0.1 * bend[:, None]), traits)
        coarse, fine = coarse + share * (own[0] - coarse), fine + share * (own[1] - fine)
        spacing = np.maximum(spacing, share * canvas.stretched(hung))
    coarse, fine = coarse * smooth(spacing * 110, 1.1, 0.5), fine * smooth(spacing * 220, 1.1, 0.5)
    part = np.exp(-0.5 * ((p[:, 0] - hair.parting) / 0.0022) ** 2) * smooth(p[:, 1], 0.08, 0.09)
    part *= canvas.fine(250)
    shade = np.exp(hair.contrast * (0.26 * coarse + 0.34 * fine) + 0.08) * (1 + 0.5 * part)
    return f32(shade), f32(3e-4 * coarse + 1.5e-4 * fine), f32(fine)


def _grain(lanes: Array, traits: Traits) -> tuple[Array, Array]:
    """Locks and strands along the second axis: [T] each."""
    curl, seed = traits.hair.curl, traits.seed
    coarse = fractal(lanes, (26, 3 + 20 * curl, 26), seed + 26, 2)
    return coarse, noise(lanes, (100, 9 + 60 * curl, 100), seed + 27)


def paint_hat(canvas: Canvas, traits: Traits, covers: Covers, paint: Paint) -> None:
    """Knitted, sewn or draped cloth."""
    p, hat = canvas.points, traits.wear.hat
    if hat == "none":
        return
    if hat == "beanie":
        turn = np.arctan2(p[:, 0], p[:, 2] + 0.015)
        ribs = np.cos(turn * 70) * smooth(p[:, 1], 0.125, 0.1)
        relief, shade = 5e-4 * ribs, 1 + 0.12 * ribs
    else:
        folds = fractal(p, (40, 14, 40), traits.seed + 28, 2)
        relief = (8e-4 if hat == "scarf" else 1e-4) * folds
        shade = 1 + 0.06 * folds + 0.05 * noise(p, 500, traits.seed + 29) * canvas.fine(500)
    tone = f32(traits.wear.hat_color)
    paint.cover(covers.hat, tone * f32(shade)[:, None], 0.012, f32(relief))
