"""Gaussians made of a photo's pixels: laid on the posed head, then brought back to the neutral one.

What the first guess adds to the skin is made with these: hair, clothes, lashes, teeth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.create.pixels import Mask, hexagonal_grid, inside_photo
from flexavatar.create.posed_views import PosedView
from flexavatar.head.binding import (
    Binding,
    LocalSplats,
    SurfaceMotion,
    blend_quats,
    matrix_to_quat,
    quat_multiply,
)
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import hair_and_clothes_mask
from flexavatar.render.camera import camera_position
from flexavatar.render.mesh import MeshView

GRAZING = 0.5
"""Cosine to the line of sight below which a fine splat is not made any wider."""
ASKANCE = 0.3
"""Cosine below which there are none: from the side they would be dots."""
LIFT = 4e-4
"""Metres that fine splats lie above the surface they refine."""


@dataclass(frozen=True)
class BoundSplats:
    """Gaussians of no texel, in the neutral head, bound to its mesh."""

    binding: Binding
    local: LocalSplats
    colors: Tensor  # [N, 3]
    opacities: Tensor  # [N]


def detail_splats(
    view: PosedView, mesh: MeshView, head: FlameHead, spacing_px: float
) -> BoundSplats:
    """Fine splats on hair, neck and clothes, where the chart is coarser than the photo."""
    coarse = hair_and_clothes_mask(head.masks)[head.faces].all(1)[mesh.face_ids.clamp_min(0)] & (
        mesh.face_ids >= 0
    )
    return surface_splats(view, mesh, head, coarse.numpy(), spacing_px)


def surface_splats(
    view: PosedView, mesh: MeshView, head: FlameHead, pixels: Mask, spacing_px: float
) -> BoundSplats:
    """Fine splats on the mesh, where these pixels [S, S] show the person."""
    normals, cosines = _face_normals(view, head.faces)
    square_on = (cosines > ASKANCE)[mesh.face_ids.clamp_min(0)] & (mesh.face_ids >= 0)
    wanted = pixels & square_on.numpy() & (view.portrait.matte > 0.5) & inside_photo(view.portrait)
    x, y = hexagonal_grid(wanted, spacing_px).T
    face = mesh.face_ids[y, x]
    binding = Binding(head.faces[face], mesh.bary[y, x])
    posed = view.motion.vertices[binding.vertex_ids]  # [N, 3, 3]
    points = (posed * binding.bary[..., None]).sum(1)
    normals, facing = normals[face], cosines[face].clamp_min(GRAZING)
    footprint = mesh.depth[y, x] / view.camera.K[0, 0] * spacing_px / facing
    scales = torch.stack((footprint, footprint, 0.3 * footprint), -1) * 0.6
    splats = unpose(points + LIFT * normals, quats_facing(normals), scales, binding, view.motion)
    colors = torch.from_numpy(view.portrait.colors[y, x])
    return BoundSplats(binding, splats, colors, torch.full((len(x),), 0.9))


def _face_normals(view: PosedView, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normals of posed faces and their cosines to the line of sight: [F, 3], [F]."""
    corners = view.motion.vertices[faces]
    sides = corners[:, 1:] - corners[:, :1]
    normals = torch.nn.functional.normalize(torch.linalg.cross(sides[:, 0], sides[:, 1]), dim=-1)
    toward = torch.nn.functional.normalize(camera_position(view.camera) - corners.mean(1), dim=-1)
    return normals, (normals * toward).sum(-1).abs()


def quats_facing(normals: Tensor) -> Tensor:
    """Any rotation whose third axis is the normal: [N, 3] -> [N, 4]."""
    upright = normals[:, 1:2].abs() < 0.9
    helper = torch.where(upright, torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0]))
    tangent = torch.nn.functional.normalize(torch.linalg.cross(helper, normals), dim=-1)
    frame = torch.stack((tangent, torch.linalg.cross(normals, tangent), normals), -1)
    return matrix_to_quat(frame)


def bind_to_faces(points: Tensor, vertices: Tensor, faces: Tensor) -> Binding:
    """The middle of the nearest of these faces: [N, 3], [V, 3], [F, 3] -> Binding."""
    _, nearest = cKDTree(vertices[faces].mean(1).numpy()).query(points.numpy())
    chosen = faces[torch.from_numpy(np.asarray(nearest, np.int64))]
    return Binding(chosen, torch.full((len(points), 3), 1 / 3))


def unpose(
    points: Tensor, quats: Tensor, scales: Tensor, binding: Binding, motion: SurfaceMotion
) -> LocalSplats:
    """Undo one photo's pose: splats in its head frame -> local splats."""
    ids, bary = binding.vertex_ids, binding.bary
    base = (motion.vertices[ids] * bary[..., None]).sum(1)
    gradients = (motion.gradients[ids] * bary[..., None, None]).sum(1)
    offsets, _ = torch.linalg.solve_ex(gradients, (points - base)[..., None])
    turn = blend_quats(motion.quats[ids], bary)
    inverse = turn * torch.tensor([1.0, -1, -1, -1])
    return LocalSplats(offsets.squeeze(-1), quat_multiply(inverse, quats), scales)


def unmoved(neutral: Tensor) -> SurfaceMotion:
    """No motion at all: what is placed in the neutral head [V, 3] is local already."""
    count = len(neutral)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(count, 4)
    return SurfaceMotion(neutral, torch.eye(3).expand(count, 3, 3), quats)
