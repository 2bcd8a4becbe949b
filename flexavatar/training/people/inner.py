"""Eyes, teeth, tongue and the mouth's inside, and clothes."""

from __future__ import annotations

import numpy as np

from flexavatar.training.people.canvas import Array, Canvas, smooth
from flexavatar.training.people.noise import f32, fractal, noise
from flexavatar.training.people.paint import Paint
from flexavatar.training.people.traits import Traits


def paint_inner(canvas: Canvas, traits: Traits, paint: Paint) -> None:
    """All that is not skin."""
    p, masks = canvas.points, canvas.masks
    flesh = np.array(traits.mouth.flesh, np.float32)
    wet = flesh * (1 + 0.15 * fractal(p, 250, traits.seed + 40, 2))[:, None]
    inside = (masks["cavity"] > 0.5).astype(np.float32)
    paint.cover(inside, 0.6 * wet, 0.03, 0.0)
    rough = 1 + 0.12 * noise(p, 900, traits.seed + 41)
    paint.cover((masks["tongue"] > 0.5).astype(np.float32), 1.15 * wet * rough[:, None], 0.06, 0.0)
    _teeth(canvas, traits, paint)
    _eyes(canvas, traits, paint)


def _teeth(canvas: Canvas, traits: Traits, paint: Paint) -> None:
    p = canvas.points
    share = (canvas.masks["teeth"] > 0.5).astype(np.float32)
    turn = np.arctan2(p[:, 0], p[:, 2] - 0.045)
    gaps = np.abs(np.sin(turn * 17.5))
    lines = 1 - 0.5 * np.exp(-((gaps / 0.22) ** 2))
    edge = np.abs(p[:, 1] + 0.0505)
    gum = smooth(edge, 0.0095, 0.0115) * 0.9
    tone = np.array(traits.mouth.teeth, np.float32)
    shade = (lines * (1 + 0.05 * fractal(p, 200, traits.seed + 42, 2)))[:, None]
    pink = f32(1.25) * np.array(traits.mouth.flesh, np.float32)
    paint.cover(share, tone * shade + gum[:, None] * (pink - tone * shade), 0.10, 0.0)


def _eyes(canvas: Canvas, traits: Traits, paint: Paint) -> None:
    centres = canvas.head.joints(canvas.head.template)[3:].numpy()
    for name, centre in (("leye", centres[0]), ("reye", centres[1])):
        index = np.flatnonzero(canvas.masks[name] > 0.5)
        color = eye_color(canvas.points[index] - centre, traits)
        paint.albedo[index], paint.gloss[index], paint.relief[index] = color, 0.06, 0


def eye_color(arm: Array, traits: Traits) -> Array:
    """Of places on an eyeball that looks ahead, from its centre: [N, 3] metres -> [N, 3]."""
    eyes, seed = traits.eyes, traits.seed
    away = np.hypot(arm[:, 0], arm[:, 1])
    away = np.where(arm[:, 2] > 0, away, 0.012)
    turn = np.arctan2(arm[:, 1], arm[:, 0])
    spokes = np.stack((np.cos(turn), np.sin(turn), away * 60), 1).astype(np.float32)
    shade = np.exp(0.5 * fractal(spokes, (9, 9, 3), seed + 43, 2))
    ring = np.exp(-0.5 * ((away - eyes.pupil - 0.0008) / 0.0007) ** 2)
    iris = np.array(eyes.iris, np.float32) * (shade * (1 + 0.5 * ring))[:, None]
    limbus = smooth(away, 0.78 * eyes.radius, 1.02 * eyes.radius)[:, None]
    iris = iris * (1 - 0.8 * limbus)
    iris *= smooth(away, eyes.pupil - 0.0002, eyes.pupil + 0.0003)[:, None]
    white = np.array(eyes.white, np.float32) * np.ones((len(arm), 1), np.float32)
    red = smooth(away, 0.007, 0.0115) * (0.8 + 0.6 * noise(spokes, (14, 14, 5), seed + 44))
    white = white * np.exp(-np.outer(red, f32((0.12, 0.42, 0.42))))
    outside = smooth(away, eyes.radius - 0.0003, eyes.radius + 0.0005)[:, None]
    return (iris + outside * (white - iris)).astype(np.float32)


def paint_clothes(canvas: Canvas, traits: Traits, share: Array, paint: Paint) -> None:
    """A shirt where `share` [T] says."""
    wear, p = traits.wear, canvas.points
    one, two = np.array(wear.cloth, np.float32), np.array(wear.second, np.float32)
    mix = np.zeros(len(p), np.float32)
    if wear.pattern in ("stripes", "checks"):
        mix = smooth(np.sin(p[:, 1] * 230), -0.2, 0.2)
        if wear.pattern == "checks":
            mix = 0.5 * mix + 0.5 * smooth(np.sin(p[:, 0] * 230), -0.2, 0.2)
    elif wear.pattern == "speckle":
        mix = smooth(noise(p, 110, traits.seed + 50), 0.1, 0.3)
        mix = 0.35 + canvas.fine(110) * (mix - 0.35)
    folds = fractal(p, (22, 12, 22), traits.seed + 51, 2)
    weave = 1 + 0.12 * noise(p, 260, traits.seed + 52) * canvas.fine(260) + 0.08 * folds
    color = (one + mix[:, None] * (two - one)) * weave[:, None]
    paint.cover(share, color, 0.006, (1.2e-3 * folds + 1e-3).astype(np.float32))


def below_collar(p: Array, traits: Traits) -> Array:
    """Metres below the collar: template points [N, 3] -> [N]."""
    wear = traits.wear
    cut = wear.vee * np.clip(1 - np.abs(p[:, 0]) / (0.35 * wear.vee + 0.03), 0, 1) * (p[:, 2] > 0)
    return f32(-0.128 + wear.collar - 0.30 * p[:, 2].clip(-0.06, 0.06) - cut - p[:, 1])
