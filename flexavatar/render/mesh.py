"""A z-buffer for triangle meshes: which face covers each pixel, and where in it.

Used to see what a camera sees of the rig (visibility, unprojection, landmark embedding); splats
are drawn by `rasterize`.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.render import native
from flexavatar.render.camera import project
from flexavatar.render.mesh_reference import render_mesh_reference
from flexavatar.types import Camera, check_ids, check_shape


@dataclass(frozen=True)
class MeshView:
    """What one camera sees of a mesh."""

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
