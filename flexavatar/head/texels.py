"""The texels of a rig's UV chart: their surface points, and the parts of the head they show.

Texel (row, col) of a size-U chart has its centre at u = (col + 0.5) / U, v = 1 - (row + 0.5) / U:
row 0 is the top, and the open head looks out of its chart the right way up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.head.binding import Binding, LocalSplats, matrix_to_quat, vertex_normals
from flexavatar.head.flame import FlameHead
from flexavatar.types import check_shape

SUBSAMPLES = 3
"""Points along each side of a texel at which the chart is looked for; odd."""
DISC_RADIUS = 0.62
"""Standard deviation of a disc in texel spacings: neighbours overlap without blurring."""
THICKNESS = 0.2
"""Of the disc's smaller radius."""
RADIUS_LIMITS = (2e-4, 1.3e-2)
"""Metres."""


@dataclass(frozen=True)
class ChartTexels:
    """The texels of a chart that lie on the surface, row by row."""

    rows: Tensor  # [T] int64, 0 at the top
    cols: Tensor  # [T] int64
    faces: Tensor  # [T] int64 triangle under the texel
    binding: Binding  # [T] surface point under the texel
    valid: Tensor  # [U, U] bool

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class TexelFrames:
    """Orientation and spacing of texels on a head."""

    quats: Tensor  # [T, 4] wxyz: x along rising u, z along the outward normal
    spacing: Tensor  # [T, 2] metres from one texel to the next, along u and along v


@lru_cache(maxsize=16)
def chart_texels(head: FlameHead, size: int) -> ChartTexels:
    """Bind every texel that touches the chart to the surface. CPU; cached per rig and size.

    A texel is bound at its centre, or, where only its edge touches the chart, at the nearest of
    FINE x FINE points inside it: so charts have no thin uncovered rims.
    """
    corners = (
        head.uvs[head.uv_faces].double().cpu().numpy() * (1, -1) + (0, 1)
    ) * size * SUBSAMPLES - 0.5
    face, col, row, bary = _covering_faces(corners, size * SUBSAMPLES)
    right, down = col % SUBSAMPLES - SUBSAMPLES // 2, row % SUBSAMPLES - SUBSAMPLES // 2
    row, col = row // SUBSAMPLES, col // SUBSAMPLES
    inward = np.where(col < size / 2, right, -right)
    aside = np.maximum(np.abs(right), np.abs(down))
    order = np.lexsort((face, down, inward, aside, col, row))  # nearest to the centre first
    face, col, row, bary = face[order], col[order], row[order], bary[order]
    first = np.ones(len(face), dtype=bool)
    first[1:] = (row[1:] != row[:-1]) | (col[1:] != col[:-1])
    faces, rows, cols = (torch.from_numpy(a[first]) for a in (face, row, col))
    valid = torch.zeros(size, size, dtype=torch.bool)
    valid[rows, cols] = True
    weights = torch.from_numpy(bary[first]).to(head.template.dtype)
    return ChartTexels(rows, cols, faces, Binding(head.faces.cpu()[faces], weights), valid)


def _covering_faces(
    corners: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Faces, columns, rows and barycentrics of the texel centres inside triangles: [F, 3, 2]."""
    low = np.clip(np.ceil(corners.min(1) - 1e-9), 0, size).astype(np.int64)
    high = np.clip(np.floor(corners.max(1) + 1e-9) + 1, 0, size).astype(np.int64)
    width, height = np.maximum(high - low, 0).T
    counts = width * height
    face = np.repeat(np.arange(len(corners)), counts)
    place = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    col = low[face, 0] + place % width[face]
    row = low[face, 1] + place // width[face]
    bary = _barycentric(corners[face], np.stack((col, row), axis=1))
    inside = (bary >= -1e-9).all(1)
    return face[inside], col[inside], row[inside], np.clip(bary[inside], 0, 1)


def _barycentric(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    one, two, arm = b - a, c - a, points - a
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    area = np.where(np.abs(area) < 1e-14, np.inf, area)
    v = (arm[:, 0] * two[:, 1] - arm[:, 1] * two[:, 0]) / area
    w = (one[:, 0] * arm[:, 1] - one[:, 1] * arm[:, 0]) / area
    return np.where(np.isinf(area)[:, None], -1.0, np.stack((1 - v - w, v, w), axis=1))


def position_map(head: FlameHead, vertices: Tensor, size: int) -> Tensor:
    """Surface positions as a picture, 0 off the chart: [V, 3] -> [3, U, U]. Differentiable."""
    check_shape("vertices", vertices, len(head.template), 3)
    texels = chart_texels(head, size)
    binding = texels.binding
    ids, bary = binding.vertex_ids.to(vertices.device), binding.bary.to(vertices)
    points = (vertices[ids] * bary[..., None]).sum(1)  # [T, 3]
    picture = vertices.new_zeros(size * size, 3)
    places = (texels.rows * size + texels.cols).to(vertices.device)
    return picture.index_copy(0, places, points).T.reshape(3, size, size)


def texel_frames(head: FlameHead, vertices: Tensor, texels: ChartTexels) -> TexelFrames:
    """Tangent frame and spacing of every texel on a head: vertices [V, 3].

    Derivatives along u and v are averaged over the faces around each corner, so that both are
    smooth; at a seam each side has its own.
    """
    size = texels.valid.shape[0]
    along = _corner_derivatives(head, vertices) / size  # [Vt, 2, 3]
    uv_ids = head.uv_faces.to(vertices.device)[texels.faces.to(vertices.device)]
    bary = texels.binding.bary.to(vertices)
    blended = (along[uv_ids] * bary[..., None, None]).sum(1)  # [T, 2, 3]
    normal = torch.nn.functional.normalize(torch.linalg.cross(blended[:, 0], blended[:, 1]), dim=-1)
    x = torch.nn.functional.normalize(blended[:, 0], dim=-1)
    axes = torch.stack((x, torch.linalg.cross(normal, x), normal), dim=-1)
    return TexelFrames(matrix_to_quat(axes), blended.norm(dim=-1))


def _corner_derivatives(head: FlameHead, vertices: Tensor) -> Tensor:
    """Change of position with u and v at every chart corner: [Vt, 2, 3]."""
    uvs, uv_faces = head.uvs.to(vertices), head.uv_faces.to(vertices.device)
    corners, flat = vertices[head.faces.to(vertices.device)], uvs[uv_faces]
    edges = torch.stack((corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), 1)
    steps = torch.stack((flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]), 1)  # [F, edge, uv]
    area = steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0]
    adjugate = torch.stack(
        (
            torch.stack((steps[:, 1, 1], -steps[:, 0, 1]), -1),
            torch.stack((-steps[:, 1, 0], steps[:, 0, 0]), -1),
        ),
        -2,
    )
    weighted = (adjugate @ edges).flatten(1)  # [F, 6] derivatives times the face's area
    total = weighted.new_zeros(len(uvs), 6)
    weight = area.new_zeros(len(uvs))
    for corner in range(3):
        total.index_add_(0, uv_faces[:, corner], weighted)
        weight.index_add_(0, uv_faces[:, corner], area)
    return (total / weight.clamp_min(1e-12)[:, None]).unflatten(1, (2, 3))


class Zone(IntEnum):
    """Parts of the head that are modelled apart."""

    SKIN = 0
    LEFT_EYE = 1
    RIGHT_EYE = 2
    MOUTH = 3
    BACKGROUND = 255


@dataclass(frozen=True)
class Texels:
    """Texels that carry a Gaussian each, with their parts of the head."""

    chart: ChartTexels  # T texels
    zones: Tensor  # [T] uint8, values of Zone
    masks: Mapping[str, Tensor]  # [T] each, 0..1: the rig's masks read at the texels

    @property
    def binding(self) -> Binding:
        """Surface points under the texels."""
        return self.chart.binding

    @property
    def cells(self) -> Tensor:
        """Index of each in the chart, counted row by row: [T] int64."""
        return self.chart.rows * self.chart.valid.shape[0] + self.chart.cols

    def texels_at(self, cells: Tensor) -> Tensor:
        """Indices of the texels in these cells of the chart, -1 for none: [N] -> [N] int64."""
        rows = torch.full((self.chart.valid.numel(),), -1)
        return rows.index_copy(0, self.cells, torch.arange(len(self)))[cells]

    def __len__(self) -> int:
        return len(self.chart)


def make_texels(head: FlameHead, size: int) -> Texels:
    """All valid texels of a `size` x `size` chart."""
    chart = chart_texels(head, size)
    masks = {
        name: interpolate_barycentric(mask, chart.binding) for name, mask in head.masks.items()
    }
    zones = torch.full((len(chart),), int(Zone.SKIN), dtype=torch.uint8)
    zones[masks["leye"] > 0.5] = int(Zone.LEFT_EYE)
    zones[masks["reye"] > 0.5] = int(Zone.RIGHT_EYE)
    inside = torch.stack([masks[name] for name in ("teeth", "tongue", "cavity")]).amax(0)
    zones[inside > 0.5] = int(Zone.MOUTH)
    return Texels(chart, zones, masks)


def interpolate_barycentric(field: Tensor, binding: Binding) -> Tensor:
    """A per-vertex field at bound points: [V] -> [N], [V, C] -> [N, C]."""
    values = field[binding.vertex_ids]
    return torch.einsum("nk...,nk->n...", values, binding.bary)


def texel_points_and_normals(
    vertices: Tensor, texels: Texels, faces: Tensor
) -> tuple[Tensor, Tensor]:
    """Position and unit normal of every texel on posed vertices [V, 3]: two [T, 3]."""
    normals = vertex_normals(vertices, faces)
    ids, bary = texels.binding.vertex_ids, texels.binding.bary[..., None]
    smooth = torch.nn.functional.normalize((normals[ids] * bary).sum(1), dim=-1)
    return (vertices[ids] * bary).sum(1), smooth


def mirror_index(points: Tensor, groups: Tensor) -> NDArray[np.int64]:
    """For each texel the nearest one on the other side of x = 0, same group: [T, 3] -> [T]."""
    place = points.numpy()
    mirrored = place * np.array([-1, 1, 1], place.dtype)
    index = np.empty(len(place), np.int64)
    group = groups.numpy()
    for value in np.unique(group):
        members = np.flatnonzero(group == value)
        index[members] = members[cKDTree(place[members]).query(mirrored[members])[1]]
    return index


def surface_discs(texels: Texels, head: FlameHead, neutral: Tensor) -> LocalSplats:
    """Flat Gaussians in the surface: as wide as the chart is stretched each way, offsets 0."""
    frames = texel_frames(head, neutral, texels.chart)
    radii = (DISC_RADIUS * frames.spacing).clamp(*RADIUS_LIMITS)
    thickness = THICKNESS * radii.amin(-1, keepdim=True)
    scales = torch.cat((radii, thickness), -1)
    return LocalSplats(torch.zeros_like(scales), frames.quats, scales)
