"""The texels of the head's chart, each with its part of the head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.head import uv
from flexavatar.head.binding import Binding, LocalSplats, vertex_normals
from flexavatar.head.flame import FlameHead
from flexavatar.head.uv import texel_frames

DISC_RADIUS = 0.62
"""Standard deviation of a disc in texel spacings: neighbours overlap without blurring."""
THICKNESS = 0.2
"""Of the disc's smaller radius."""
RADIUS_LIMITS = (2e-4, 1.3e-2)
"""Metres."""


HAIR_AND_CLOTHES = ("scalp", "ears", "neck", "shoulders")
"""Masks of what hair and clothes lie on; the chart is coarse there."""


class Zone(IntEnum):
    """What a pixel shows or a texel belongs to."""

    SKIN = 0
    LEFT_EYE = 1
    RIGHT_EYE = 2
    MOUTH = 3
    BACKGROUND = 255


@dataclass(frozen=True)
class Texels:
    """One Gaussian each: where it sits and what it is."""

    chart: uv.ChartTexels  # T texels
    zones: Tensor  # [T] uint8, values of Zone
    masks: Mapping[str, Tensor]  # [T] each, 0..1: the rig's masks read at the texels

    @property
    def binding(self) -> Binding:
        """Where they sit on the mesh."""
        return self.chart.binding

    @property
    def cells(self) -> Tensor:
        """Row by row, where each is in the chart: [T] int64."""
        return self.chart.rows * self.chart.valid.shape[0] + self.chart.cols

    def texels_at(self, cells: Tensor) -> Tensor:
        """Which texels these cells of the chart are: [N] -> [N] int64, -1 where there is none."""
        rows = torch.full((self.chart.valid.numel(),), -1)
        return rows.index_copy(0, self.cells, torch.arange(len(self)))[cells]

    def __len__(self) -> int:
        return len(self.chart)


def hair_and_clothes_mask(masks: Mapping[str, Tensor]) -> Tensor:
    """Where hair and clothes lie: True per vertex or texel, as the masks are."""
    return torch.stack([masks[name] for name in HAIR_AND_CLOTHES]).amax(0) > 0.5


def make_texels(head: FlameHead, size: int) -> Texels:
    """All valid texels of a `size` x `size` chart."""
    chart = uv.chart_texels(head, size)
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
    return LocalSplats(torch.zeros(len(texels), 3), frames.quats, scales)
