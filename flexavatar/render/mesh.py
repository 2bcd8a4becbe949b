"""A z-buffer for triangle meshes: which face covers each pixel, and where in it.

Used to see what a camera sees of the rig (visibility, unprojection, landmark embedding); splats
are drawn by `rasterize`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.render.camera import project
from flexavatar.types import Camera

NEAR = 0.01  # metres


@dataclass(frozen=True)
class MeshView:
    """What one camera sees of a mesh."""

    face_ids: Tensor  # [H, W] int64, -1 where empty
    bary: Tensor  # [H, W, 3] perspective-correct
    depth: Tensor  # [H, W] metres, inf where empty


def render_mesh(vertices: Tensor, faces: Tensor, camera: Camera) -> MeshView:
    """Nearest face at every pixel centre: [V, 3], [F, 3] -> MeshView. Both sides are drawn."""
    seen = project(camera, vertices.detach()).double().numpy()
    corners = seen[faces.numpy()]  # [F, 3, 3]
    height, width = camera.height, camera.width
    pixel, face, weights, depth = _covered(corners, width, height)
    order = np.lexsort((depth, pixel))
    pixel, first = np.unique(pixel[order], return_index=True)
    chosen = order[first]
    face_ids = np.full(height * width, -1, np.int64)
    bary = np.zeros((height * width, 3), np.float32)
    nearest = np.full(height * width, np.inf, np.float32)
    face_ids[pixel], bary[pixel], nearest[pixel] = face[chosen], weights[chosen], depth[chosen]
    return MeshView(
        torch.from_numpy(face_ids).view(height, width),
        torch.from_numpy(bary).view(height, width, 3),
        torch.from_numpy(nearest).view(height, width),
    )


def _covered(
    corners: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Every (pixel, face) pair where the centre lies inside: pixel, face, bary [P, 3], depth."""
    low = np.ceil(corners[..., :2].min(1) - 0.5).clip(0, (width, height)).astype(np.int64)
    high = (
        np.floor(corners[..., :2].max(1) - 0.5).clip(-1, (width - 1, height - 1)).astype(np.int64)
    )
    size = (high - low + 1).clip(0)
    count = size[:, 0] * size[:, 1] * (corners[..., 2] > NEAR).all(1)
    face = np.repeat(np.arange(len(corners)), count)
    local = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    x = low[face, 0] + local % np.maximum(size[face, 0], 1)
    y = low[face, 1] + local // np.maximum(size[face, 0], 1)
    flat = _planar_bary(corners[:, :, :2], face, x + 0.5, y + 0.5)
    keep = (flat >= -1e-9).all(1)
    face, x, y, flat = face[keep], x[keep], y[keep], flat[keep]
    over_depth = flat / corners[face, :, 2]
    depth = 1 / over_depth.sum(1)
    return y * width + x, face, over_depth * depth[:, None], depth


def _planar_bary(
    corners: NDArray[np.float64],
    face: NDArray[np.int64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Barycentrics in the picture plane; NaN-free, outside for faces seen edge-on."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    usable = np.abs(area) > 1e-9
    inverse = np.where(usable, 1 / np.where(usable, area, 1), 0)
    ax, ay = a[face, 0], a[face, 1]
    u = ((x - ax) * (c - a)[face, 1] - (y - ay) * (c - a)[face, 0]) * inverse[face]
    v = ((y - ay) * (b - a)[face, 0] - (x - ax) * (b - a)[face, 1]) * inverse[face]
    w = np.where(usable[face], 1 - u - v, -1.0)
    return np.stack((w, u, v), 1)
