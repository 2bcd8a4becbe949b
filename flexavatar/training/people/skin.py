"""Skin: tone, blood, spots, hair of the face, lips and make-up."""

from __future__ import annotations

import numpy as np

from flexavatar.capture import topology
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.training.people.canvas import (
    Array,
    Paint,
    PaintCanvas,
    gaussian_spot,
    polyline_distance,
    scatter_texels,
    smooth,
)
from flexavatar.training.people.noise import f32, fractal_noise, value_noise
from flexavatar.training.people.traits import Traits

PALE = np.array((0.76, 0.51, 0.39), np.float32)
ABSORBED = np.array((1.9, 2.35, 2.5), np.float32)
"""By melanin 1: pale skin is darkened by exp(-ABSORBED)."""
BLOOD = (0.03, 0.36, 0.30)
LIP = np.array((0.66, 0.30, 0.29), np.float32)
"""What lips multiply skin by, at their reddest."""
MOUSTACHE = np.array(((0.0, -0.037), (0.011, -0.0375), (0.020, -0.042), (0.027, -0.050)))
"""Its middle line, of either side."""
BROW_INNER = (285, 295, 282, 283, 276)
BROW_OUTER = (336, 296, 334, 293, 300)
"""MediaPipe's lower and upper edge of the left brow, from the nose outwards."""


def paint_skin(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    """Paint skin, and what grows and is put on it."""
    mirrored = canvas.points * f32((1, 1, 1))
    mirrored[:, 0] = np.abs(mirrored[:, 0])
    _tone(canvas, traits, paint)
    _blood(mirrored, traits, paint)
    _spots(canvas, traits, paint)
    _under_eyes(mirrored, canvas, traits, paint)
    _lids(canvas, traits, paint)
    _beard(canvas, mirrored, traits, paint)
    _lips(canvas, mirrored, traits, paint)
    _brows(canvas, mirrored, traits, paint)
    _lashes(canvas, traits, paint)


def _tone(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    skin, p, seed = traits.skin, canvas.points, traits.seed
    tone = PALE * np.exp(-ABSORBED * f32(skin.melanin))
    tone = tone * np.exp(f32((0.0, 0.05, -0.12)) * f32(skin.warmth))
    pores = value_noise(p, 750, seed + 1) * canvas.noise_visibility(750)
    paint.albedo[:] = tone
    paint.albedo *= np.exp(0.05 * skin.pores * pores)[:, None]
    paint.absorb(skin.blotches * 0.16 * fractal_noise(p, 70, seed), (0.4, 1.0, 0.9))
    paint.absorb(skin.blotches * 0.10 * fractal_noise(p, 25, seed + 2, 2), (1.0, 1.1, 1.3))
    paint.gloss[:] = 0.03 * skin.oil * (1 + 0.3 * pores)
    shiny = gaussian_spot(p, (0, 0.06, 0.095), 0.02) + gaussian_spot(p, (0, -0.01, 0.115), 0.012)
    paint.gloss *= 0.8 + 0.8 * shiny
    paint.relief[:] = 1.2e-5 * skin.pores * pores


def _blood(p: Array, traits: Traits, paint: Paint) -> None:
    cheeks = gaussian_spot(p, (0.042, -0.012, 0.085), (0.016, 0.014, 0.03))
    nose = gaussian_spot(p, (0, -0.018, 0.116), 0.010)
    ears = smooth(p[:, 0], 0.074, 0.08)
    chin = gaussian_spot(p, (0, -0.08, 0.1), 0.012)
    patchy = 1 + 0.5 * fractal_noise(p, 90, traits.seed + 3, 2)
    flush = (cheeks + nose + 0.8 * ears + 0.4 * chin) * patchy
    paint.absorb(traits.skin.flush * flush * (1 - 0.5 * traits.skin.melanin), BLOOD)
    blush = traits.makeup.blush * gaussian_spot(p, (0.048, -0.002, 0.075), (0.014, 0.011, 0.03))
    paint.absorb(blush, (0.05, 0.6, 0.45))


def _spots(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    p, skin = canvas.points, traits.skin
    if skin.freckles:
        spots = np.clip(value_noise(p, 450, traits.seed + 4) - 0.35, 0, 1) * 2.5
        where = gaussian_spot(p, (0, 0.0, 0.1), (0.045, 0.03, 0.05)) + 0.25
        paint.absorb(0.6 * skin.freckles * spots * where, (0.35, 0.8, 1.05))
    if skin.age > 0.5:
        old = np.clip(value_noise(p, 160, traits.seed + 5) - 0.5, 0, 1) * 2
        paint.absorb((skin.age - 0.4) * old, (0.5, 0.8, 0.9))
    rng = np.random.default_rng((traits.seed, 1))
    on_face = np.flatnonzero((canvas.masks["face"] > 0.5) & canvas.skin)
    for _ in range(skin.moles):
        centre = p[on_face[int(rng.integers(len(on_face)))]]
        size = float(rng.uniform(0.0005, 0.0014))
        near = np.flatnonzero(np.abs(p - centre).max(1) < 4 * size)
        share = np.exp(-0.5 * (((p[near] - centre) ** 2).sum(1) / size**2) ** 1.5)
        share = scatter_texels(len(p), near, share)
        paint.absorb(share * float(rng.uniform(0.5, 1.4)), (0.9, 1.2, 1.3))
        paint.relief += share * f32(rng.uniform(0, 2e-4))


def _under_eyes(p: Array, canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    arc = np.array([[0.019, 0.010], [0.024, 0.004], [0.031, 0.0015], [0.040, 0.005]])
    far, _ = polyline_distance(p[:, :2], arc)
    dark = np.exp(-0.5 * (far / 0.004) ** 2) * smooth(p[:, 2], 0.06, 0.075)
    paint.absorb(traits.skin.bags * dark, (0.28, 0.36, 0.26))
    socket = gaussian_spot(p, (0.031, 0.020, 0.088), (0.014, 0.009, 0.02))
    paint.absorb(0.35 * (0.5 + traits.skin.bags) * socket, (0.16, 0.30, 0.28))
    paint.relief -= 3e-4 * traits.skin.bags * np.exp(-0.5 * (far / 0.0022) ** 2)


def _lids(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    makeup = traits.makeup
    if not makeup.lids:
        return
    share = makeup.lids * canvas.masks["lids"]
    above = np.zeros(len(canvas), np.float32)
    for side in ("left", "right"):
        rim = canvas.head.template[canvas.head.rings[f"{side}_upper_lid_outer"]].numpy()
        far, _ = polyline_distance(canvas.points, rim)
        higher = canvas.points[:, 1] > rim[:, 1].mean() - 0.003
        above = np.maximum(above, np.exp(-0.5 * (far / 0.005) ** 2) * higher)
    paint.tint(0.8 * share * above, makeup.lid_color)


def _beard(canvas: PaintCanvas, p: Array, traits: Traits, paint: Paint) -> None:
    beard = traits.beard
    if not (beard.stubble or beard.chin or beard.moustache):
        return
    seed = traits.seed
    edge = p[:, 1] + 0.004 * fractal_noise(canvas.points, 120, seed + 6, 2)
    low = np.interp(
        p[:, 0], (0, 0.02, 0.035, 0.05, 0.066, 0.08), (-0.070, -0.063, -0.050, -0.040, -0.012, 0.0)
    )
    jaw = smooth(edge - low.astype(np.float32), 0.006, -0.010)
    neck = smooth(edge + 0.45 * (0.06 - p[:, 2]).clip(0), -0.118, -0.1)
    reach = smooth(p[:, 2], 0.012, 0.022)
    far, _ = polyline_distance(p[:, :2], MOUSTACHE)
    lip = smooth(far, 0.0062, 0.0035) * smooth(p[:, 2], 0.07, 0.085)
    bridge = gaussian_spot(p, (0.027, -0.052), (0.004, 0.012))
    where = jaw * neck * reach
    chin = where * smooth(p[:, 0], 0.042, 0.03)
    cheeks = where * smooth(p[:, 0], 0.028, 0.04)
    strand = value_noise(canvas.points, (900, 350, 900), seed + 7)
    full = np.maximum(beard.cheeks * cheeks, beard.chin * chin)
    full = np.maximum(full, beard.moustache * np.clip(1.6 * lip, 0, 1))
    full = np.maximum(full, min(beard.chin, beard.moustache) * bridge)
    shadow = beard.stubble * np.clip(where + lip + bridge, 0, 1)
    lips = 1 - _lip_share(canvas, 1.0)
    tone = np.array(beard.color, np.float32)
    paint.tint(lips * shadow * np.clip(0.30 + 0.22 * strand, 0, 1), 0.5 * tone + 0.01)
    hairs = np.clip(1.5 * full - 0.3 + 0.55 * strand, 0, 1) * smooth(full, 0, 0.15) * lips
    shade = np.exp(0.5 * strand)[:, None]
    paint.cover(0.93 * hairs, tone * shade, 0.02, 4e-4 * (1 + strand) + 1e-3 * full)


def _lip_share(canvas: PaintCanvas, full: float) -> Array:
    """1 on the red of the lips: [T]."""
    p = canvas.points
    near = np.flatnonzero((canvas.masks["mouth"] > 0.05) & canvas.skin)
    marks = load_landmark_rig().points
    upper = marks[list(topology.LIPS_OUTER_UPPER)]
    lower = marks[list(topology.LIPS_OUTER_LOWER)]
    middle = -0.0525
    q = p[near]
    top = np.interp(q[:, 0], upper[:, 0], upper[:, 1], left=middle, right=middle)
    bottom = np.interp(q[:, 0], lower[:, 0], lower[:, 1], left=middle, right=middle)
    top, bottom = middle + full * (top - middle), middle + full * (bottom - middle)
    inside = np.minimum(top - q[:, 1], q[:, 1] - bottom) + 0.0006
    inside = np.where(np.abs(q[:, 0]) > 0.027, -1, inside)
    return scatter_texels(len(p), near, smooth(inside.astype(np.float32), -0.0007, 0.0009))


def _lips(canvas: PaintCanvas, mirrored: Array, traits: Traits, paint: Paint) -> None:
    mouth, makeup = traits.mouth, traits.makeup
    share = _lip_share(canvas, mouth.full)
    red = LIP ** f32(0.3 + 0.7 * mouth.lips) * f32(1 - 0.45 * mouth.brown)
    grain = 1 + 0.12 * value_noise(canvas.points, (1100, 250, 250), traits.seed + 8)
    paint.albedo *= 1 - share[:, None] * (1 - red * grain[:, None])
    paint.tint(0.9 * makeup.lips * share, makeup.lip_color)
    paint.gloss += share * (0.03 + 0.06 * makeup.lips)
    paint.relief += share * 4e-5 * value_noise(canvas.points, (900, 120, 120), traits.seed + 9)


def _brows(canvas: PaintCanvas, p: Array, traits: Traits, paint: Paint) -> None:
    brows = traits.brows
    marks = load_landmark_rig().points
    low, high = marks[list(BROW_INNER)], marks[list(BROW_OUTER)]
    line = (low + high) / 2
    line[:, 1] += brows.lift - 0.0005 + brows.arch * np.array((-0.5, 0.3, 1.0, 0.5, -0.8))
    half = np.array((0.0030, 0.0036, 0.0034, 0.0026, 0.0010)) * brows.thick
    near = np.flatnonzero((np.abs(p[:, 1] - 0.037) < 0.02) & (p[:, 2] > 0.05) & canvas.skin)
    far, along = polyline_distance(p[near], line)
    width = np.interp(along, np.linspace(0, 1, 5), half)
    q = canvas.points[near]
    slant = q + f32((0.0, 0, 0)) + np.abs(q[:, :1]) * f32((0, -0.5, 0))
    strands = value_noise(slant, (650, 1500, 200), traits.seed + 10)
    edge = (width - far).astype(np.float32) / 0.0022
    share = np.clip(edge + 0.3 + 0.5 * strands, 0, 1) * (edge > -0.8)
    share = scatter_texels(len(p), near, brows.density * (0.7 + 0.3 * (strands > 0)) * share)
    paint.cover(np.clip(share, 0, 1), brows.color, 0.01, 2e-4)


def _lashes(canvas: PaintCanvas, traits: Traits, paint: Paint) -> None:
    """The dark roots of the lashes, and liner, on the rims of the lids."""
    rings = canvas.head.rings
    near = np.flatnonzero(canvas.masks["lids"] > 0.3)
    for side in ("left", "right"):
        for half, width, dark in (("upper", 0.0016, 0.9), ("lower", 0.0009, 0.45)):
            rim = canvas.head.template[rings[f"{side}_{half}_lid_outer"]].numpy()
            far, along = polyline_distance(canvas.points[near], rim)
            strength = dark * traits.brows.lashes * (0.5 + 0.5 * smooth(along, 0.0, 0.4))
            strength = np.maximum(strength, 0.9 * traits.makeup.liner * (half == "upper"))
            share = strength * np.exp(-((far / width) ** 2))
            paint.tint(scatter_texels(len(canvas), near, share), (0.012, 0.009, 0.008))
