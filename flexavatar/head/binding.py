"""Gaussians that ride on a mesh: each keeps a place, an offset and a turn in the neutral head.

The neutral-to-posed deformation gradient F of every face is averaged onto the vertices and read
back at the Gaussian, so that it is smooth over the surface. A mean moves with the surface point
and its offset by F, a rotation by F's polar part, and each axis is stretched as F stretches it:
no gaps open where skin is pulled. This file is the reference in torch, differentiable in the
splats; `render.cpu` has the same arithmetic compiled for the frame path.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

STRETCH_LIMITS = (0.4, 3.0)
"""A splat never shrinks or grows further than this: a folded triangle must not blow it up."""


@dataclass(frozen=True)
class Binding:
    """Surface points of a mesh, one for each Gaussian: corners of a triangle, barycentrics."""

    vertex_ids: Tensor  # [N, 3] int64
    bary: Tensor  # [N, 3] sums to 1

    def __len__(self) -> int:
        return self.bary.shape[0]


@dataclass(frozen=True)
class LocalSplats:
    """Gaussians in the neutral head, relative to the surface point they are bound to."""

    offsets: Tensor  # [N, 3] metres, head frame
    quats: Tensor  # [N, 4] wxyz, not necessarily unit
    scales: Tensor  # [N, 3] metres


@dataclass(frozen=True)
class SurfaceMotion:
    """How a surface has moved from neutral to one pose, at every vertex."""

    vertices: Tensor  # [V, 3] posed
    gradients: Tensor  # [V, 3, 3] deformation gradient F
    quats: Tensor  # [V, 4] wxyz, polar rotation of F


def identity_like(x: Tensor, size: int = 3) -> Tensor:
    """The identity [size, size] in the type of `x`, made where `x` is."""
    return torch.eye(size, dtype=x.dtype, device=x.device)


def face_edges(vertices: Tensor, faces: Tensor) -> Tensor:
    """Two edges and the unit normal of every face as columns: [V, 3], [F, 3] -> [F, 3, 3]."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    e1, e2 = b - a, c - a
    normal = torch.nn.functional.normalize(torch.linalg.cross(e1, e2), dim=-1, eps=1e-20)
    return torch.stack((e1, e2, normal), dim=-1)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Area-weighted unit normals; zero where no face is: [V, 3], [F, 3] -> [V, 3]."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    doubled = torch.linalg.cross(b - a, c - a)  # of twice the area's length
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(0, faces[:, corner], doubled)
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-20)


def vertex_gradients(gradients: Tensor, areas: Tensor, faces: Tensor, count: int) -> Tensor:
    """Area-weighted mean over the faces around each vertex: [F, 3, 3], [F], [F, 3] -> [V, 3, 3]."""
    weighted = (gradients * areas[:, None, None]).flatten(1)  # [F, 9]
    total = weighted.new_zeros(count, 9)
    weight = weighted.new_zeros(count)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], weighted)
        weight.index_add_(0, faces[:, corner], areas)
    mean = total / weight.clamp_min(1e-20)[:, None]
    return torch.where(weight[:, None] > 0, mean, identity_like(mean).flatten()).unflatten(
        1, (3, 3)
    )


def polar_rotation(gradients: Tensor, steps: int = 6) -> Tensor:
    """Nearest rotation by Higham's iteration R <- (R + R^-T) / 2: [V, 3, 3] -> [V, 3, 3].

    The inverse transpose is the cofactor matrix over the determinant. A gradient that is folded
    over (determinant below 0.05) gives the identity: there is no turn to speak of.
    """
    first, second, third = gradients.unbind(-2)
    folded = (first * torch.linalg.cross(second, third)).sum(-1) < 0.05  # the determinant
    rotations = torch.where(folded[:, None, None], identity_like(gradients), gradients)
    for _ in range(steps):
        r0, r1, r2 = rotations.unbind(-2)
        cofactor = torch.stack(
            (torch.linalg.cross(r1, r2), torch.linalg.cross(r2, r0), torch.linalg.cross(r0, r1)), -2
        )
        determinant = (r0 * cofactor[..., 0, :]).sum(-1)[:, None, None]
        rotations = 0.5 * (rotations + cofactor / determinant)
    return rotations


def matrix_to_quat(rotations: Tensor) -> Tensor:
    """Rotation matrices to unit quaternions, wxyz, w >= 0: [..., 3, 3] -> [..., 4]."""
    m = rotations
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    x, y, z = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = (
        m[..., 0, 1] + m[..., 1, 0],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    candidates = torch.stack(
        (
            torch.stack((1 + xx + yy + zz, x, y, z), -1),
            torch.stack((x, 1 + xx - yy - zz, xy, xz), -1),
            torch.stack((y, xy, 1 - xx + yy - zz, yz), -1),
            torch.stack((z, xz, yz, 1 - xx - yy + zz), -1),
        ),
        -2,
    )  # [..., 4, 4]: every row is the quaternion times one of its own components
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quat = candidates.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quat = quat * torch.where(quat[..., :1] < 0, -1.0, 1.0)
    return torch.nn.functional.normalize(quat, dim=-1)


def quat_to_matrix(quats: Tensor) -> Tensor:
    """Unit quaternions, wxyz, to rotation matrices: [..., 4] -> [..., 3, 3]."""
    w, x, y, z = quats.unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product, wxyz: the turn `b` followed by `a`."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        (
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ),
        -1,
    )


def surface_motion(neutral: Tensor, posed: Tensor, faces: Tensor) -> SurfaceMotion:
    """Deformation gradient and its rotation at every vertex: [V, 3], [V, 3], [F, 3]."""
    edges = face_edges(neutral, faces)
    areas = 0.5 * torch.linalg.cross(edges[..., 0], edges[..., 1]).norm(dim=-1)
    usable = areas > 1e-12  # m^2; a sliver has no inverse and no say
    edges = torch.where(usable[:, None, None], edges, identity_like(edges))
    per_face = face_edges(posed, faces) @ torch.linalg.inv(edges)  # [F, 3, 3]
    gradients = vertex_gradients(per_face, areas * usable, faces, len(neutral))
    return SurfaceMotion(posed, gradients, matrix_to_quat(polar_rotation(gradients)))


def blend_quats(quats: Tensor, bary: Tensor) -> Tensor:
    """Weighted mean of three near quaternions, on the first one's side: [N, 3, 4], [N, 3]."""
    sides = torch.where((quats * quats[:, :1]).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    return torch.nn.functional.normalize((quats * sides * bary[..., None]).sum(1), dim=-1)


def deform(
    binding: Binding, splats: LocalSplats, motion: SurfaceMotion
) -> tuple[Tensor, Tensor, Tensor]:
    """Move local splats with the surface: means [N, 3], quats [N, 4], scales [N, 3]."""
    ids, bary = binding.vertex_ids, binding.bary
    points = (motion.vertices[ids] * bary[..., None]).sum(1)  # [N, 3]
    gradients = (motion.gradients[ids] * bary[..., None, None]).sum(1)  # [N, 3, 3]
    means = points + (gradients @ splats.offsets[..., None]).squeeze(-1)
    local = torch.nn.functional.normalize(splats.quats, dim=-1)
    quats = quat_multiply(blend_quats(motion.quats[ids], bary), local)
    stretch = (gradients @ quat_to_matrix(local)).norm(dim=-2).clamp(*STRETCH_LIMITS)  # per axis
    return means, quats, splats.scales * stretch
