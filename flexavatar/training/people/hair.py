"""Hair and hats: where they are on the template, how far they stand off, how they look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flexavatar.training.people.canvas import Array, Canvas, smooth
from flexavatar.training.people.noise import f32, fractal, noise
from flexavatar.training.people.paint import Paint
from flexavatar.training.people.traits import Traits

CROWN = np.array((0.0, 0.02, -0.015), np.float32)
"""The middle of the skull; hair stands away from it."""
LINE_Z = (-0.12, -0.06, -0.03, -0.01, 0.005, 0.02, 0.032, 0.045, 0.06, 0.075, 0.1)
LINE_Y = (-0.078, -0.068, -0.05, -0.032, -0.018, 0.0, 0.014, 0.040, 0.066, 0.084, 0.09)
"""The hairline's height by depth, from the nape round the ear to the forehead."""
CAP_Z = (-0.12, -0.03, 0.0, 0.05, 0.09, 0.12)
CAP_Y = (-0.01, 0.03, 0.048, 0.056, 0.066, 0.068)
"""The edge of caps and beanies."""
SOFT_M = 0.003


def above_hairline(p: Array, ears: Array, traits: Traits) -> Array:
    """Metres above the hairline of template points [N, 3]; ears [N] 0..1 are below it: [N]."""
    hair = traits.hair
    front = smooth(p[:, 2], 0.035, 0.07)
    line = np.interp(p[:, 2], LINE_Z, LINE_Y).astype(np.float32)
    temple = hair.temples * front * np.exp(-0.5 * ((np.abs(p[:, 0]) - 0.042) / 0.014) ** 2)
    line = line + hair.receding * front + temple - hair.fringe * front
    ragged = 0.0035 * fractal(p, 300, traits.seed + 20, 2) + 0.004 * noise(p, 60, traits.seed + 21)
    return f32(p[:, 1] - line + ragged - 0.05 * ears * (p[:, 1] < 0.05))


def hanging(p: Array, traits: Traits) -> Array:
    """1 where long hair hangs over ears, neck and nape: template points [N, 3] -> [N]."""
    if traits.hair.style != "long":
        return np.zeros(len(p), np.float32)
    side = np.degrees(np.arctan2(np.abs(p[:, 0]), p[:, 2] + 0.005))
    inner = np.interp(p[:, 1], (-0.2, -0.1, -0.02, 0.03, 0.08), (66, 68, 74, 76, 70))
    bottom = -0.05 - traits.hair.length
    ragged = 3.0 * noise(p, 80, traits.seed + 22)
    round_side = smooth((side - inner + ragged).astype(np.float32), -2.0, 4.0)
    return round_side * smooth(p[:, 1], bottom - 0.012, bottom) * smooth(p[:, 1], 0.09, 0.05)


def hat_share(p: Array, traits: Traits) -> Array:
    """1 under a hat: template points [N, 3] -> [N]."""
    hat = traits.wear.hat
    if hat == "none":
        return np.zeros(len(p), np.float32)
    if hat == "scarf":
        side = np.hypot(p[:, 0] / 0.066, (p[:, 1] + 0.012) / 0.096)
        face = np.where(p[:, 2] > 0.005, side, 2.0)
        return smooth(face.astype(np.float32), 0.98, 1.02) * smooth(p[:, 1], -0.19, -0.185)
    edge = np.interp(p[:, 2], CAP_Z, CAP_Y).astype(np.float32)
    edge = edge - (0.012 if hat == "beanie" else 0.0)
    return smooth(p[:, 1] - edge, -0.0008, 0.0008)


def lifted(neutral: Array, template: Array, ears: Array, outer: Array, traits: Traits) -> Array:
    """The head with its hair or hat: neutral [V, 3], ears and outer skin [V] 0..1 -> [V, 3]."""
    hair = traits.hair
    above = above_hairline(template, ears, traits)
    rise = hair.depth * smooth(above, 0.0, 0.04 if hair.style != "buzz" else 0.012)
    rise *= 1 + 0.25 * fractal(template, 28, traits.seed + 23, 2) * (1 + hair.curl)
    part = np.exp(-0.5 * ((template[:, 0] - hair.parting) / 0.006) ** 2)
    rise -= 0.35 * rise * part * (template[:, 2] > -0.03)
    cap = hat_share(template, traits)
    under = 0.007 if traits.wear.hat != "cap" else 0.009
    rise = np.where(cap > 0.5, np.minimum(rise, 0.006) + under, rise) * outer
    away = neutral - CROWN
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    raised = neutral + rise[:, None].astype(np.float32) * away
    shell = np.maximum(hanging(template, traits), cap * (traits.wear.hat == "scarf"))
    return _draped(raised, template, shell * outer, max(hair.depth, 0.006))


def _draped(points: Array, template: Array, share: Array, depth: float) -> Array:
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


def paint_hair(canvas: Canvas, traits: Traits, paint: Paint) -> None:
    """Strands over the scalp, and over ears and neck where hair is long."""
    hair, p = traits.hair, canvas.points
    if hair.style == "bald" and traits.wear.hat != "scarf":
        above = above_hairline(p, canvas.masks["ear"], traits)
        paint.absorb(0.12 * smooth(above, -0.002, 0.004), (1.0, 0.9, 0.8))
        return
    above = above_hairline(p, canvas.masks["ear"], traits)
    soft = SOFT_M * (3.0 if hair.style == "buzz" else 1.3)
    share = smooth(above, -soft, soft)
    share = np.maximum(share * (1 - canvas.masks["neck"] * (p[:, 1] < -0.075)), hanging(p, traits))
    share = share * canvas.skin
    shade, relief = _strands(p, traits)
    tone = np.array(hair.color, np.float32)
    grey = hair.grey * smooth(noise(p, (500, 60, 60), traits.seed + 24), -0.4, 0.4)
    tone = tone + grey[:, None] * (f32((0.34, 0.335, 0.33)) - tone)
    full = 1.0 if hair.style != "buzz" else 0.72
    paint.cover(full * share, tone * shade[:, None], 0.05, relief * (hair.style != "buzz"))


def _strands(p: Array, traits: Traits) -> tuple[Array, Array]:
    """Brightness and relief of strands that run from the parting outwards and down: [N], [N]."""
    hair, seed = traits.hair, traits.seed
    around = np.arctan2(p[:, 0] - hair.parting * (p[:, 1] > 0.06), p[:, 2] - CROWN[2])
    bend = 0.15 * fractal(p, 25, seed + 25, 2) * (1 + 3 * hair.curl)
    lanes = np.stack((np.sin(around + bend), np.cos(around + bend), p[:, 1] * 2), 1)
    lanes = lanes.astype(np.float32)
    coarse = fractal(lanes, (28, 28, 3 + 20 * hair.curl), seed + 26, 2)
    fine = noise(lanes, (95, 95, 9 + 60 * hair.curl), seed + 27)
    part = np.exp(-0.5 * ((p[:, 0] - hair.parting) / 0.0022) ** 2) * (p[:, 1] > 0.085)
    shade = np.exp(hair.contrast * (0.38 * coarse + 0.3 * fine) + 0.1) * (1 + 0.6 * part)
    return shade.astype(np.float32), (4e-4 * coarse + 2e-4 * fine).astype(np.float32)


def paint_hat(canvas: Canvas, traits: Traits, paint: Paint) -> None:
    """Knitted, sewn or draped cloth."""
    p, hat = canvas.points, traits.wear.hat
    if hat == "none":
        return
    share = hat_share(p, traits) * canvas.skin
    tone = np.array(traits.wear.hat_color, np.float32)
    if hat == "beanie":
        turn = np.arctan2(p[:, 0], p[:, 2] + 0.015)
        ribs = np.cos(turn * 70) * smooth(p[:, 1], 0.125, 0.1)
        relief, shade = 5e-4 * ribs, 1 + 0.12 * ribs
    else:
        folds = fractal(p, (40, 14, 40), traits.seed + 28, 2)
        relief = (8e-4 if hat == "scarf" else 1e-4) * folds
        shade = 1 + 0.06 * folds + 0.05 * noise(p, 900, traits.seed + 29)
    paint.cover(share, tone * shade.astype(np.float32)[:, None], 0.012, relief.astype(np.float32))


def sides(values: NDArray[np.floating]) -> Array:
    """Either side of the head alike."""
    return np.abs(values).astype(np.float32)
