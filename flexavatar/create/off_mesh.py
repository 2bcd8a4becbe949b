"""Gaussians for what is outside the head's mesh: long hair, hats, collars, clothes.

Each is put where the photo shows it, at a depth continued from the mesh, and sways with head and
shoulders, so that hair follows the head and a collar stays on the shoulders.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.capture.inpaint import push_pull
from flexavatar.create.evidence import View
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
from flexavatar.head.off_mesh_binding import off_mesh_binding
from flexavatar.render.camera import camera_position, unproject
from flexavatar.render.mesh import MeshView
from flexavatar.types import Camera

GRAZING = 0.5
"""Cosine to the line of sight below which a fine splat is not made any wider."""
ASKANCE = 0.3
"""Cosine below which there are none: from the side they would be dots."""
LIFT = 4e-4
"""Metres that fine splats lie above the surface they refine."""
STEEPEST = 2.5
"""Metres of depth per metre across up to which loose splats lie along their surface."""
THICK, DISC = 0.5, 0.6
"""Thickness of loose splats in their widths, and standard deviation in their spacing."""
RECEDE = 0.35
"""Metres back per metre away from the mesh's outline: hair and cloth curve away."""


@dataclass(frozen=True)
class Loose:
    """Splats outside the mesh, in the neutral head."""

    binding: Binding
    splats: LocalSplats
    colors: Tensor  # [N, 3]
    opacities: Tensor  # [N]


def loose_splats(view: View, seen: MeshView, head: FlameHead, spacing_px: float) -> Loose:
    """One splat every `spacing_px` pixels where the matte is person and the mesh is not."""
    covered = (seen.face_ids >= 0).numpy()
    matte = view.portrait.matte
    edge = cv2.erode(covered.astype(np.uint8), np.ones((3, 3))).astype(bool)
    wanted = (matte > 0.3) & ~edge & within(view)
    depth = continued_depth(seen, view.camera)
    pixels = grid_points(wanted, spacing_px)
    x, y = pixels.T
    z = torch.from_numpy(depth[y, x])
    points = unproject(view.camera, torch.from_numpy(pixels).float() + 0.5, z)
    quats, scales = laid_out(depth, view.camera, pixels, spacing_px)
    binding = off_mesh_binding(points, view.motion.vertices, head)
    splats = to_neutral(points, quats, scales, binding, view.motion)
    colors = torch.from_numpy(view.portrait.colors[y, x])
    return Loose(binding, splats, colors, torch.from_numpy(matte[y, x]).clamp(0.3, 0.95))


def laid_out(
    depth: NDArray[np.float32], camera: Camera, pixels: NDArray[np.int64], spacing: float
) -> tuple[Tensor, Tensor]:
    """Turns [N, 4] and scales [N, 3] that lay splats along a depth map [H, W] at pixels [N, 2].

    From the camera each is as round as a disc that faces it; from the side they meet.
    """
    z = torch.from_numpy(depth[pixels[:, 1], pixels[:, 0]])
    width = z / camera.K[0, 0] * spacing  # [N] metres
    step = max(round(spacing), 1)
    rise = [(_shifted(depth, pixels, axis, step) - z) * spacing / step for axis in (0, 1)]
    slope = torch.stack([(r / width).clamp(-STEEPEST, STEEPEST) for r in rise], -1)  # [N, 2]
    tilted = torch.diag_embed(torch.ones(len(z), 3))
    tilted[:, 2, :2] = slope  # columns: what a step across, a step down and thickness add
    tilted[:, 2, 2] = THICK
    axes, lengths, _ = torch.linalg.svd(tilted)
    axes = axes * torch.linalg.det(axes)[:, None, None]
    quats = matrix_to_quat(camera.viewmat[:3, :3].T @ axes)
    return quats, DISC * width[:, None] * lengths


def _shifted(depth: NDArray[np.float32], pixels: NDArray[np.int64], axis: int, step: int) -> Tensor:
    """The depth some pixels to the right (axis 0) or below (axis 1): [N] metres."""
    x, y = (pixels + step * np.eye(2, dtype=np.int64)[axis]).T
    height, width = depth.shape
    return torch.from_numpy(depth[y.clip(0, height - 1), x.clip(0, width - 1)])


def detail_splats(view: View, seen: MeshView, head: FlameHead, spacing_px: float) -> Loose:
    """Fine splats on hair, neck and clothes, where the chart is coarser than the photo."""
    coarse = hair_and_clothes_mask(head.masks)[head.faces].all(1)[seen.face_ids.clamp_min(0)] & (
        seen.face_ids >= 0
    )
    return surface_splats(view, seen, head, coarse.numpy(), spacing_px)


def surface_splats(
    view: View, seen: MeshView, head: FlameHead, pixels: NDArray[np.bool_], spacing_px: float
) -> Loose:
    """Fine splats on the mesh, where these pixels [S, S] show the person."""
    normals, cosines = _normals(view, head.faces)
    square_on = (cosines > ASKANCE)[seen.face_ids.clamp_min(0)] & (seen.face_ids >= 0)
    wanted = pixels & square_on.numpy() & (view.portrait.matte > 0.5) & within(view)
    x, y = grid_points(wanted, spacing_px).T
    face = seen.face_ids[y, x]
    binding = Binding(head.faces[face], seen.bary[y, x])
    posed = view.motion.vertices[binding.vertex_ids]  # [N, 3, 3]
    points = (posed * binding.bary[..., None]).sum(1)
    normals, facing = normals[face], cosines[face].clamp_min(GRAZING)
    footprint = seen.depth[y, x] / view.camera.K[0, 0] * spacing_px / facing
    scales = torch.stack((footprint, footprint, 0.3 * footprint), -1) * 0.6
    splats = to_neutral(
        points + LIFT * normals, facing_quats(normals), scales, binding, view.motion
    )
    colors = torch.from_numpy(view.portrait.colors[y, x])
    return Loose(binding, splats, colors, torch.full((len(x),), 0.9))


def _normals(view: View, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normals of posed faces and their cosines to the line of sight: [F, 3], [F]."""
    corners = view.motion.vertices[faces]
    sides = corners[:, 1:] - corners[:, :1]
    normals = torch.nn.functional.normalize(torch.linalg.cross(sides[:, 0], sides[:, 1]), dim=-1)
    toward = torch.nn.functional.normalize(camera_position(view.camera) - corners.mean(1), dim=-1)
    return normals, (normals * toward).sum(-1).abs()


def within(view: View) -> NDArray[np.bool_]:
    """Pixels away from the edge of the photo, where its colours are smeared: [S, S]."""
    return cv2.erode(view.portrait.inside.astype(np.uint8), np.ones((5, 5))) > 0


def facing_quats(normals: Tensor) -> Tensor:
    """Any rotation whose third axis is the normal: [N, 3] -> [N, 4]."""
    upright = normals[:, 1:2].abs() < 0.9
    helper = torch.where(upright, torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0]))
    tangent = torch.nn.functional.normalize(torch.linalg.cross(helper, normals), dim=-1)
    frame = torch.stack((tangent, torch.linalg.cross(normals, tangent), normals), -1)
    return matrix_to_quat(frame)


def continued_depth(seen: MeshView, camera: Camera) -> NDArray[np.float32]:
    """Depth of the mesh, grown outwards over the whole picture: [H, W] metres."""
    covered = (seen.face_ids >= 0).numpy()
    depth = np.where(covered, seen.depth.numpy(), 0).astype(np.float32)
    grown = push_pull(depth[..., None], covered.astype(np.float32)[..., None])[..., 0]
    away = cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 3)
    metres = away * float(np.median(grown)) / float(camera.K[0, 0])
    return (np.where(covered, depth, grown + RECEDE * metres)).astype(np.float32)


def grid_points(wanted: NDArray[np.bool_], spacing: float) -> NDArray[np.int64]:
    """A hexagonal grid inside a mask: [N, 2] x, y."""
    height, width = wanted.shape
    rows = np.arange(spacing / 2, height, spacing * 0.866)
    points = [
        np.stack((np.arange((i % 2) * spacing / 2, width, spacing), np.full(
            len(np.arange((i % 2) * spacing / 2, width, spacing)), row)), 1)
        for i, row in enumerate(rows)
    ]  # fmt: skip
    grid = np.concatenate(points).astype(np.int64)
    return grid[wanted[grid[:, 1], grid[:, 0]]]


def bind_to_faces(points: Tensor, vertices: Tensor, faces: Tensor) -> Binding:
    """The middle of the nearest of these faces: [N, 3], [V, 3], [F, 3] -> Binding."""
    _, nearest = cKDTree(vertices[faces].mean(1).numpy()).query(points.numpy())
    chosen = faces[torch.from_numpy(np.asarray(nearest, np.int64))]
    return Binding(chosen, torch.full((len(points), 3), 1 / 3))


def to_neutral(
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
