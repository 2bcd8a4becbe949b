"""Maps over the head's chart in UV: texels to maps and back, and P's maps to Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from flexavatar.head.binding import LocalSplats, quat_multiply
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import auricle_mask, hair_mask
from flexavatar.head.texels import (
    ChartTexels,
    Texels,
    chart_texels,
    interpolate_barycentric,
    make_texels,
    mirror_index,
    texel_points_and_normals,
)
from flexavatar.models.channels import CHANNELS
from flexavatar.models.config import ChartSizes
from flexavatar.models.query_lrm import DRIVE_UNIT
from flexavatar.types import FlameCodes

REACH = 0.1
"""Metres that a Gaussian may leave the tracked head: `REACH * tanh`."""
OPACITY_BIAS = 3.0
"""Added to an opacity before its sigmoid: texels start as a closed surface (0.95), not as 0.1."""
MOVING_MASKS = ("face", "mouth", "eyes", "lids", "lips", "teeth", "tongue", "cavity")
"""Masks of what an expression changes: M_dyn."""
MAX_MOVE, MAX_LOG_SCALE, MAX_LOGIT = 0.3, 1.5, 6.0
"""What an expression may change at most: position in REACH, logarithm of size, logits."""


@dataclass(frozen=True, eq=False)
class UvLayout:
    """A rig's chart at the sizes a model draws at."""

    texels: Texels  # of the static maps: T
    drive_texels: ChartTexels  # of the driving map
    mirror: Tensor  # [T] int64 the texel on the other side
    hairy: Tensor  # [T] bool where hair grows on most people
    motion_mask: Tensor  # [1, W, W] M_dyn, 0..1

    @property
    def size(self) -> int:
        """Texels a side of the static maps."""
        return self.texels.chart.valid.shape[0]


@lru_cache(maxsize=8)
def _cached_layout(head: FlameHead, size: int, drive_side: int) -> UvLayout:
    texels = make_texels(head, size)
    coarse = chart_texels(head, drive_side)
    points, _ = texel_points_and_normals(head.template, texels, head.faces)
    mirror = torch.from_numpy(mirror_index(points, texels.zones.long()))
    mask = torch.stack([head.masks[name] for name in MOVING_MASKS]).amax(0)
    moving = texels_to_map(
        interpolate_barycentric(mask, coarse.binding)[:, None].clamp(0, 1), coarse
    )
    grown, ears = (
        interpolate_barycentric(f(head), texels.binding) for f in (hair_mask, auricle_mask)
    )
    return UvLayout(texels, coarse, mirror, (grown > 0.9) & (ears < 0.3), moving)


def uv_layout(head: FlameHead, config: ChartSizes) -> UvLayout:
    """The chart as this model draws on it; cached."""
    return _cached_layout(head, *config.sides)


def texels_to_map(values: Tensor, texels: ChartTexels) -> Tensor:
    """Values of the chart's texels as a picture, 0 off the chart: [T, C] -> [C, U, U]."""
    size = texels.valid.shape[0]
    flat = values.new_zeros(values.shape[1], size * size)
    return flat.index_copy(1, texels.rows * size + texels.cols, values.T).unflatten(1, (size, size))


def map_at_texels(maps: Tensor, texels: ChartTexels) -> Tensor:
    """A picture's values at the chart's texels: [C, U, U] -> [T, C]. Differentiable."""
    size = texels.valid.shape[0]
    return maps.flatten(1)[:, texels.rows * size + texels.cols].T


def drive_map(moves: Tensor, layout: UvLayout) -> Tensor:
    """How far an expression moves the skin, as a picture: [V, 3] metres -> [3, W, W].

    `moves` are displacements from the neutral head with neck and head held still.
    """
    return texels_to_map(
        interpolate_barycentric(moves, layout.drive_texels.binding) / DRIVE_UNIT,
        layout.drive_texels,
    )


def expression_coefficients(codes: FlameCodes) -> Tensor:
    """Expressions as raw numbers, for comparison with the driving map: [..., 129]."""
    own = (codes.expression, codes.jaw_pose, codes.leye_pose, codes.reye_pose)
    return torch.cat((*own, codes.eyelids, codes.correctives), -1)


def upsample_change(change: Tensor, layout: UvLayout) -> Tensor:
    """dG under M_dyn at the static maps' size: [B, 14, W, W] -> [B, 14, U, U]."""
    masked = change * layout.motion_mask
    return functional.interpolate(
        masked, size=(layout.size, layout.size), mode="bilinear", align_corners=False
    )


def changeable_texels(layout: UvLayout) -> Tensor:
    """Which texels an expression can change: [T] bool."""
    ones = torch.ones_like(layout.motion_mask)[None]
    return map_at_texels(upsample_change(ones, layout)[0], layout.texels.chart)[:, 0] > 0


@dataclass(frozen=True)
class NeutralSplats:
    """Activated Gaussians of the chart's texels, in the neutral head."""

    local: LocalSplats
    opacities: Tensor  # [T]
    colors: Tensor  # [T, 3] 0..1


def turn_quats(raw: Tensor) -> Tensor:
    """What a network says of a turn -> unit quaternions, wxyz [T, 4]: zero is no turn."""
    return functional.normalize(torch.cat((raw[:, :1] + 1, raw[:, 1:]), -1), dim=-1)


def activate_splats(raw: Tensor, discs: LocalSplats) -> NeutralSplats:
    """Maps read at texels [T, 14] on the discs that tile the surface -> Gaussians."""
    position, opacity, scale, color, rotation = raw.split(list(CHANNELS.values()), -1)
    turn = turn_quats(rotation)
    local = LocalSplats(
        REACH * torch.tanh(position),
        quat_multiply(discs.quats, turn),
        discs.scales * torch.exp(scale.clamp(-3, 1.5)),
    )
    return NeutralSplats(local, torch.sigmoid(opacity[:, 0] + OPACITY_BIAS), torch.sigmoid(color))


def apply_change(splats: NeutralSplats, change: Tensor) -> NeutralSplats:
    """G_dyn = G_st + dG, dG read at the texels [T, 14]; zero changes nothing at all.

    Opacities and colours are added before the sigmoid, sizes before the exponential; a turn is
    multiplied on, which for small turns is adding.
    """
    position, opacity, scale, color, rotation = change.split(list(CHANNELS.values()), -1)
    local = splats.local
    turn = turn_quats(rotation)
    moved = LocalSplats(
        local.offsets + REACH * position.clamp(-MAX_MOVE, MAX_MOVE),
        quat_multiply(local.quats, turn),
        local.scales * torch.exp(scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)),
    )
    opacities = _shift_logit(splats.opacities, opacity[:, 0])
    return NeutralSplats(moved, opacities, _shift_logit(splats.colors, color))


def _shift_logit(share: Tensor, by: Tensor) -> Tensor:
    """sigmoid(logit(share) + by), exact at 0 and 1."""
    factor = torch.exp(by.clamp(-MAX_LOGIT, MAX_LOGIT))
    return share * factor / (1 + share * (factor - 1))
