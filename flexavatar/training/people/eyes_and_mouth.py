"""Eyes, teeth, tongue and the mouth's inside: their paint, and what lids and cornea do to light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flexavatar.head.flame import FlameHead, PosedHead
from flexavatar.training.people.canvas import Array, Paint, PaintCanvas, smooth
from flexavatar.training.people.noise import f32, fractal_noise, value_noise
from flexavatar.training.people.traits import Traits

LID_SHADE, LID_REACH = 0.6, 0.0024
"""How dark the eyeball is under the upper lid, and metres over which that fades."""
CORNEA_DEG, CORNEA_CURVE = 30.0, 1.5
"""Half angle of the cornea seen from the eye's centre, and how much rounder it is."""
EYES = (("leye", "left", 3), ("reye", "right", 4))


def lid_shade(canvas: PaintCanvas, posed: PosedHead) -> Array:
    """What the upper lids' shadow multiplies texels by: [T]."""
    head = canvas.head
    local = _without_head_turn(posed)
    shade = np.ones(len(canvas), np.float32)
    for mask, side, _ in EYES:
        index = np.flatnonzero(canvas.masks[mask] > 0.5)
        points = np.einsum("nk,nkd->nd", canvas.bary[index], local[canvas.ids[index]])
        rim = local[head.rings[f"{side}_upper_lid_outer"].numpy()]
        order = np.argsort(rim[:, 0])
        gap = np.interp(points[:, 0], rim[order, 0], rim[order, 1]) - points[:, 1]
        shade[index] = 1 - LID_SHADE * np.exp(-np.maximum(gap, 0) / LID_REACH)
    return shade


def eye_normals(head: FlameHead, posed: PosedHead, normals: Array) -> Array:
    """Vertex normals with eyes as true spheres and their corneas rounder still: [V, 3]."""
    smooth = normals.copy()
    vertices = posed.vertices.numpy()
    for mask, _, joint in EYES:
        own = head.masks[mask].numpy() > 0.5
        out = vertices[own] - vertices[own].mean(0)
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        ahead = posed.transforms[joint, :3, 2].numpy()
        inside = out @ ahead > np.cos(np.radians(CORNEA_DEG))
        curved = ahead + CORNEA_CURVE * (out - ahead)
        curved /= np.linalg.norm(curved, axis=1, keepdims=True)
        smooth[own] = np.where(inside[:, None], curved, out)
    return smooth


def _without_head_turn(posed: PosedHead) -> NDArray[np.float32]:
    """Vertices with the turn of head and neck taken back: [V, 3]."""
    turn = posed.transforms[1]
    return f32(((posed.vertices - turn[:3, 3]) @ turn[:3, :3]).numpy())


def paint_inner(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    """Paint eyes, teeth, tongue and the mouth's inside."""
    p, masks = canvas.points, canvas.masks
    flesh = np.array(traits.mouth.flesh, np.float32)
    wet = flesh * (1 + 0.15 * fractal_noise(p, 250, traits.seed + 40, 2))[:, None]
    inside = (masks["cavity"] > 0.5).astype(np.float32)
    paint.cover(inside, 0.6 * wet, 0.03, 0.0)
    rough = 1 + 0.12 * value_noise(p, 900, traits.seed + 41)
    paint.cover((masks["tongue"] > 0.5).astype(np.float32), 1.15 * wet * rough[:, None], 0.06, 0.0)
    _paint_teeth(canvas, traits, paint)
    _paint_eyes(canvas, traits, paint)


def _paint_teeth(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    p = canvas.points
    share = (canvas.masks["teeth"] > 0.5).astype(np.float32)
    turn = np.arctan2(p[:, 0], p[:, 2] - 0.045)
    gaps = np.abs(np.sin(turn * 17.5))
    lines = 1 - 0.5 * np.exp(-((gaps / 0.22) ** 2))
    edge = np.abs(p[:, 1] + 0.0505)
    gum = smooth(edge, 0.0095, 0.0115) * 0.9
    tone = np.array(traits.mouth.teeth, np.float32)
    shade = (lines * (1 + 0.05 * fractal_noise(p, 200, traits.seed + 42, 2)))[:, None]
    pink = f32(1.25) * np.array(traits.mouth.flesh, np.float32)
    paint.cover(share, tone * shade + gum[:, None] * (pink - tone * shade), 0.10, 0.0)


def _paint_eyes(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    centres = canvas.head.joints(canvas.head.template)[3:].numpy()
    for name, centre in (("leye", centres[0]), ("reye", centres[1])):
        index = np.flatnonzero(canvas.masks[name] > 0.5)
        color = eye_color(canvas.points[index] - centre, traits)
        paint.albedo[index], paint.gloss[index], paint.relief[index] = color, 0.06, 0


def eye_color(arm: Array, traits: Traits) -> Array:
    """Albedo of places on an eyeball that looks ahead, from its centre: [N, 3] m -> [N, 3]."""
    eyes, seed = traits.eyes, traits.seed
    away = np.hypot(arm[:, 0], arm[:, 1])
    away = np.where(arm[:, 2] > 0, away, 0.012)
    turn = np.arctan2(arm[:, 1], arm[:, 0])
    spokes = np.stack((np.cos(turn), np.sin(turn), away * 60), 1).astype(np.float32)
    shade = np.exp(0.5 * fractal_noise(spokes, (9, 9, 3), seed + 43, 2))
    ring = np.exp(-0.5 * ((away - eyes.pupil - 0.0008) / 0.0007) ** 2)
    iris = np.array(eyes.iris, np.float32) * (shade * (1 + 0.5 * ring))[:, None]
    limbus = smooth(away, 0.78 * eyes.radius, 1.02 * eyes.radius)[:, None]
    iris = iris * (1 - 0.8 * limbus)
    iris *= smooth(away, eyes.pupil - 0.0002, eyes.pupil + 0.0003)[:, None]
    white = np.array(eyes.white, np.float32) * np.ones((len(arm), 1), np.float32)
    red = smooth(away, 0.007, 0.0115) * (0.8 + 0.6 * value_noise(spokes, (14, 14, 5), seed + 44))
    white = white * np.exp(-np.outer(red, f32((0.12, 0.42, 0.42))))
    outside = smooth(away, eyes.radius - 0.0003, eyes.radius + 0.0005)[:, None]
    return (iris + outside * (white - iris)).astype(np.float32)
