"""A z-buffer for triangle meshes: which face covers each pixel, and where in it.

Used to see what a camera sees of the rig (visibility, unprojection, tracing of landmarks); splats
are drawn by `rasterize`.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.render import native
from flexavatar.render.camera import project
from flexavatar.render.reference import NEAR
from flexavatar.types import Camera, check_ids, check_shape

EDGE_ON = 1e-9
"""Faces whose double area is below this, pixels^2, are seen edge-on and not drawn."""
ON_EDGE = -1e-9
"""A centre whose barycentrics are all above this counts as inside."""


@dataclass(frozen=True)
class MeshView:
    """Faces of a mesh at the pixels of one camera."""

    face_ids: Tensor  # [H, W] int64, -1 where empty
    bary: Tensor  # [H, W, 3] perspective-correct
    depth: Tensor  # [H, W] metres, inf where empty


def render_mesh(vertices: Tensor, faces: Tensor, camera: Camera) -> MeshView:
    """Nearest face at every pixel centre: [V, 3], [F, 3] -> MeshView. Both sides are drawn.

    Of faces at the same depth the first is seen. Faces nearer than 1 cm or with a corner that is
    not finite are left out. Raises InputError if shapes or indices do not fit.
    """
    check_shape("vertices", vertices, None, 3)
    check_shape("faces", faces, None, 3)
    check_ids("faces", faces, len(vertices))
    seen = project(camera, vertices.detach()).double().contiguous()  # [V, 3] pixels, metres
    corners = faces.long().contiguous()
    library = native.library()
    if library is None:
        arrays = render_mesh_reference(seen.numpy(), corners.numpy(), camera.width, camera.height)
        return MeshView(*map(torch.from_numpy, arrays))
    return _draw(library, seen, corners, camera)


def _draw(library: ctypes.CDLL, seen: Tensor, corners: Tensor, camera: Camera) -> MeshView:
    """The same by the compiled library. Raises MemoryError."""
    size = camera.height, camera.width
    view = MeshView(torch.empty(size, dtype=torch.int64), torch.empty(*size, 3), torch.empty(size))
    mesh = native.ProjectedMesh(seen.data_ptr(), corners.data_ptr(), len(corners))
    pointers = (x.data_ptr() for x in (view.face_ids, view.bary, view.depth))
    picture = native.MeshPicture(*pointers, camera.width, camera.height)
    if library.flex_mesh(ctypes.byref(mesh), ctypes.byref(picture)):
        raise MemoryError(f"no memory to draw {len(corners)} faces")
    return view


def render_mesh_reference(
    seen: NDArray[np.float64],  # [V, 3] pixels and depth in metres
    faces: NDArray[np.int64],  # [F, 3]
    width: int,
    height: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Face ids [H, W], barycentrics [H, W, 3] and depth [H, W] of the nearest faces."""
    usable = np.isfinite(seen).all(1) & (seen[:, 2] > NEAR)
    drawn = np.flatnonzero(usable[faces].all(1))
    pixel, chosen, weights, depth = _covered_pixels(seen[faces[drawn]], width, height)
    order = np.lexsort((depth, pixel))  # stable: of equal depths, the first face
    pixel, first = np.unique(pixel[order], return_index=True)
    nearest = order[first]
    face_ids = np.full(height * width, -1, np.int64)
    bary = np.zeros((height * width, 3), np.float32)
    depths = np.full(height * width, np.inf, np.float32)
    face_ids[pixel], bary[pixel] = drawn[chosen[nearest]], weights[nearest]
    depths[pixel] = depth[nearest]
    shape = height, width
    return face_ids.reshape(shape), bary.reshape(*shape, 3), depths.reshape(shape)


def _covered_pixels(
    corners: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float32]]:
    """Every (pixel, face) pair where the centre lies inside: pixel, face, bary [P, 3], depth."""
    low = np.ceil(corners[..., :2].min(1) - 0.5).clip(0, (width, height)).astype(np.int64)
    high = (
        np.floor(corners[..., :2].max(1) - 0.5).clip(-1, (width - 1, height - 1)).astype(np.int64)
    )
    size = (high - low + 1).clip(0)
    count = size[:, 0] * size[:, 1]
    face = np.repeat(np.arange(len(corners)), count)
    local = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    x = low[face, 0] + local % np.maximum(size[face, 0], 1)
    y = low[face, 1] + local // np.maximum(size[face, 0], 1)
    flat = _planar_bary(corners[:, :, :2], face, x + 0.5, y + 0.5)
    keep = (flat >= ON_EDGE).all(1)
    face, x, y, flat = face[keep], x[keep], y[keep], flat[keep].clip(0)
    over_depth = flat / corners[face, :, 2]
    depth = 1 / over_depth.sum(1)
    return y * width + x, face, over_depth * depth[:, None], depth.astype(np.float32)


def _planar_bary(
    corners: NDArray[np.float64],
    face: NDArray[np.int64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Barycentrics in the picture plane; NaN-free, outside for faces seen edge-on."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    usable = np.abs(area) > EDGE_ON
    inverse = np.where(usable, 1 / np.where(usable, area, 1), 0)
    ax, ay = a[face, 0], a[face, 1]
    u = ((x - ax) * (c - a)[face, 1] - (y - ay) * (c - a)[face, 0]) * inverse[face]
    v = ((y - ay) * (b - a)[face, 0] - (x - ax) * (b - a)[face, 1]) * inverse[face]
    w = np.where(usable[face], 1 - u - v, -1.0)
    return np.stack((w, u, v), 1)
