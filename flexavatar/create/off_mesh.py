"""Gaussians for what is outside the head's mesh: long hair, hats, collars, clothes.

Each is put where the photo shows it, at a depth continued from the mesh, and sways with head and
shoulders, so that hair follows the head and a collar stays on the shoulders.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.capture.inpaint import push_pull
from flexavatar.create.photo_splats import BoundSplats, unpose
from flexavatar.create.pixels import hexagonal_grid, inside_photo
from flexavatar.create.posed_views import PosedView
from flexavatar.head.binding import matrix_to_quat
from flexavatar.head.flame import FlameHead
from flexavatar.head.off_mesh_binding import off_mesh_binding
from flexavatar.render.camera import unproject
from flexavatar.render.mesh import MeshView
from flexavatar.types import Camera

STEEPEST = 2.5
"""Metres of depth per metre across up to which the splats lie along their surface."""
THICK, DISC = 0.5, 0.6
"""Thickness of the splats in their widths, and standard deviation in their spacing."""
RECEDE = 0.35
"""Metres back per metre away from the mesh's outline: hair and cloth curve away."""


def off_mesh_splats(
    view: PosedView, mesh: MeshView, head: FlameHead, spacing_px: float
) -> BoundSplats:
    """One splat every `spacing_px` pixels where the matte is person and the mesh is not."""
    covered = (mesh.face_ids >= 0).numpy()
    matte = view.portrait.matte
    edge = cv2.erode(covered.astype(np.uint8), np.ones((3, 3))).astype(bool)
    wanted = (matte > 0.3) & ~edge & inside_photo(view.portrait)
    depth = extend_depth(mesh, view.camera)
    pixels = hexagonal_grid(wanted, spacing_px)
    x, y = pixels.T
    z = torch.from_numpy(depth[y, x])
    points = unproject(view.camera, torch.from_numpy(pixels).float() + 0.5, z)
    quats, scales = lay_along_depth(depth, view.camera, pixels, spacing_px)
    binding = off_mesh_binding(points, view.motion.vertices, head)
    splats = unpose(points, quats, scales, binding, view.motion)
    colors = torch.from_numpy(view.portrait.colors[y, x])
    return BoundSplats(binding, splats, colors, torch.from_numpy(matte[y, x]).clamp(0.3, 0.95))


def lay_along_depth(
    depth: NDArray[np.float32], camera: Camera, pixels: NDArray[np.int64], spacing: float
) -> tuple[Tensor, Tensor]:
    """Turns [N, 4] and scales [N, 3] that lay splats along a depth map [H, W] at pixels [N, 2].

    From the camera each is as round as a disc that faces it; from the side they meet.
    """
    z = torch.from_numpy(depth[pixels[:, 1], pixels[:, 0]])
    width = z / camera.K[0, 0] * spacing  # [N] metres
    step = max(round(spacing), 1)
    rise = [(_depth_beside(depth, pixels, axis, step) - z) * spacing / step for axis in (0, 1)]
    slope = torch.stack([(r / width).clamp(-STEEPEST, STEEPEST) for r in rise], -1)  # [N, 2]
    tilted = torch.diag_embed(torch.ones(len(z), 3))
    tilted[:, 2, :2] = slope  # columns: what a step across, a step down and thickness add
    tilted[:, 2, 2] = THICK
    axes, lengths, _ = torch.linalg.svd(tilted)
    axes = axes * torch.linalg.det(axes)[:, None, None]
    quats = matrix_to_quat(camera.viewmat[:3, :3].T @ axes)
    return quats, DISC * width[:, None] * lengths


def _depth_beside(
    depth: NDArray[np.float32], pixels: NDArray[np.int64], axis: int, step: int
) -> Tensor:
    """The depth some pixels to the right (axis 0) or below (axis 1): [N] metres."""
    x, y = (pixels + step * np.eye(2, dtype=np.int64)[axis]).T
    height, width = depth.shape
    return torch.from_numpy(depth[y.clip(0, height - 1), x.clip(0, width - 1)])


def extend_depth(mesh: MeshView, camera: Camera) -> NDArray[np.float32]:
    """Depth of the mesh, grown outwards over the whole picture: [H, W] metres."""
    covered = (mesh.face_ids >= 0).numpy()
    depth = np.where(covered, mesh.depth.numpy(), 0).astype(np.float32)
    grown = push_pull(depth[..., None], covered.astype(np.float32)[..., None])[..., 0]
    away = cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 3)
    metres = away * float(np.median(grown)) / float(camera.K[0, 0])
    return np.where(covered, depth, grown + RECEDE * metres).astype(np.float32)
