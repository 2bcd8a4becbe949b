"""Hair and hats: where they are on the template, and how far they stand off."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from flexavatar.head.masks import auricle_mask
from flexavatar.head.open_head import load_open_head
from flexavatar.training.people.canvas import Array, smooth
from flexavatar.training.people.noise import f32, fractal_noise, value_noise
from flexavatar.training.people.traits import Traits

CROWN = np.array((0.0, 0.02, -0.015), np.float32)
"""The middle of the skull; hair stands away from it."""
LINE_Z = (-0.12, -0.06, -0.03, -0.01, 0.005, 0.02, 0.032, 0.045, 0.06, 0.075, 0.1)
LINE_Y = (-0.078, -0.068, -0.05, -0.032, -0.018, 0.0, 0.014, 0.040, 0.066, 0.084, 0.09)
"""The hairline's height by depth, from the nape round the ear to the forehead."""
CAP_Z = (-0.12, -0.03, 0.0, 0.05, 0.09, 0.12)
CAP_Y = (-0.01, 0.03, 0.048, 0.056, 0.066, 0.068)
"""The edge of caps and beanies."""


def above_hairline(p: Array, ears: Array, traits: Traits) -> Array:
    """Metres above the hairline of template points [N, 3]; ears [N] 0..1 are below it: [N]."""
    hair = traits.hair
    front = smooth(p[:, 2], 0.035, 0.07)
    line = np.interp(p[:, 2], LINE_Z, LINE_Y).astype(np.float32)
    temple = hair.temples * front * np.exp(-0.5 * ((np.abs(p[:, 0]) - 0.042) / 0.014) ** 2)
    line = line + hair.receding * front + temple - hair.fringe * front
    ragged = 0.0035 * fractal_noise(p, 300, traits.seed + 20, 2) + 0.004 * value_noise(
        p, 60, traits.seed + 21
    )
    return f32(p[:, 1] - line + ragged - 0.05 * ears * (p[:, 1] < 0.05))


def hanging_hair(p: Array, traits: Traits, inset_deg: float = 0.0) -> Array:
    """1 where long hair hangs over ears, neck and nape: template points [N, 3] -> [N].

    `inset_deg` keeps so far from its front edge.
    """
    if traits.hair.style != "long":
        return np.zeros(len(p), np.float32)
    side = np.degrees(np.arctan2(np.abs(p[:, 0]), p[:, 2] + 0.005))
    inner = np.interp(p[:, 1], (-0.2, -0.1, -0.02, 0.03, 0.08), (66, 68, 74, 76, 70)) + inset_deg
    bottom = -0.05 - traits.hair.length + inset_deg * 1e-3
    ragged = 3.0 * value_noise(p, 80, traits.seed + 22)
    round_side = smooth(side - inner + ragged, -2.0, 4.0)
    return round_side * smooth(p[:, 1], bottom - 0.012, bottom) * smooth(p[:, 1], 0.09, 0.05)


def inside_hat(p: Array, traits: Traits) -> Array:
    """Metres inside a hat's edge: template points [N, 3] -> [N]."""
    hat = traits.clothing.hat
    if hat == "none":
        return np.full(len(p), -1, np.float32)
    if hat == "scarf":
        side = np.hypot(p[:, 0] / 0.066, (p[:, 1] + 0.012) / 0.096)
        around = np.where(p[:, 2] > 0.005, side - 1, 1.0) * 0.07
        return np.minimum(f32(around), p[:, 1] + 0.19)
    edge = np.interp(p[:, 2], CAP_Z, CAP_Y).astype(np.float32)
    return p[:, 1] - edge + (0.012 if hat == "beanie" else 0.0)


def hair_on_template(traits: Traits) -> Array:
    """The template with this person's hair: [V, 3]."""
    template = load_open_head().template.numpy()
    return add_hair(template, traits)


def add_hair(neutral: Array, traits: Traits) -> Array:
    """A head with this person's hair or hat: [V, 3] -> [V, 3]."""
    hair, hat = traits.hair, traits.clothing.hat
    template, ears, outer = _regions()
    above = above_hairline(template, ears, traits)
    rise = hair.depth * smooth(above, 0.0, 0.04 if hair.style != "buzz" else 0.012)
    rise *= 1 + 0.25 * fractal_noise(template, 28, traits.seed + 23, 2) * (1 + hair.curl)
    part = np.exp(-0.5 * ((template[:, 0] - hair.parting) / 0.006) ** 2)
    rise -= 0.35 * rise * part * (template[:, 2] > -0.03)
    inside = inside_hat(template, traits)
    cloth = smooth(inside, 0.0, 0.004) * (0.009 if hat == "cap" else 0.007)
    rise = np.where(inside > 0, np.minimum(rise, 0.006) + cloth, rise) * outer
    away = neutral - CROWN
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    raised = neutral + f32(rise)[:, None] * away
    shell = hanging_hair(template, traits, 8.0)
    if hat == "scarf":
        shell = smooth(inside, 0.010, 0.026) * smooth(template[:, 1], 0.085, 0.05)
    return _drape(raised, template, shell * outer, max(hair.depth, 0.006))


@lru_cache(maxsize=1)
def _regions() -> tuple[Array, Array, Array]:
    """The template [V, 3], its ears and all that is outside [V], 0..1."""
    head = load_open_head()
    inner = torch.stack([head.masks[n] for n in ("eyes", "teeth", "tongue", "cavity")]).amax(0)
    return head.template.numpy(), auricle_mask(head).numpy(), (1 - inner).numpy()


def _drape(points: Array, template: Array, share: Array, depth: float) -> Array:
    """Ears, jaw and neck pushed out to a curtain that hangs from the skull: [V, 3] -> [V, 3]."""
    if not share.any():
        return points
    axis = f32((0, -0.015))
    arm = points[:, (0, 2)] - axis
    radius = np.linalg.norm(arm, axis=1)
    turn = np.arctan2(np.abs(arm[:, 0]), arm[:, 1])
    shell = _reach(turn, template[:, 1]) + 0.6 * f32(depth)
    target = np.maximum(shell, radius)
    moved = points.copy()
    stretch = 1 + share * (target / np.maximum(radius, 1e-3) - 1)
    moved[:, (0, 2)] = axis + arm * stretch[:, None]
    return moved


def _reach(turn: Array, height: Array) -> Array:
    """How far a curtain hangs from the axis, by angle from ahead and by height: [V] metres."""
    wide = np.interp(turn, np.radians((60, 90, 120, 150, 180)), (0.07, 0.078, 0.083, 0.085, 0.085))
    drop = np.interp(height, (-0.2, -0.14, -0.08, 0.0, 0.06), (-0.005, 0.0, 0.002, 0.004, 0.0))
    return (wide + drop).astype(np.float32)
