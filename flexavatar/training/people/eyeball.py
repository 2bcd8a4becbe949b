"""What lids and cornea do to eyes: shade and mirror images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flexavatar.head.flame import FlameHead, PosedHead
from flexavatar.training.people.canvas import Array, Canvas
from flexavatar.training.people.noise import f32

LID_SHADE, LID_REACH = 0.6, 0.0024
"""How dark the eyeball is under the upper lid, and metres over which that fades."""
CORNEA_DEG, CORNEA_CURVE = 30.0, 1.5
"""Half angle of the cornea seen from the eye's centre, and how much rounder it is."""
EYES = (("leye", "left", 3), ("reye", "right", 4))


def lid_shade(canvas: Canvas, posed: PosedHead) -> Array:
    """What the upper lids' shadow multiplies texels by: [T]."""
    head = canvas.head
    local = _upright(posed)
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


def _upright(posed: PosedHead) -> NDArray[np.float32]:
    """Vertices with the turn of head and neck taken back: [V, 3]."""
    turn = posed.transforms[1]
    return f32(((posed.vertices - turn[:3, 3]) @ turn[:3, :3]).numpy())
