"""K's maps to Gaussians, and where on the head its queries and Gaussians start from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flexavatar.avatar.uv_maps import turn_quats
from flexavatar.head.binding import LocalSplats, SurfaceMotion, deform, quat_multiply
from flexavatar.head.flame import FlameHead
from flexavatar.head.texels import Texels, interpolate_barycentric, position_map, surface_discs
from flexavatar.models.channels import CHANNELS
from flexavatar.models.config import BiasSinkConfig
from flexavatar.types import Gaussians

SPAN = 0.2
"""Metres: a Gaussian stays within half of it from where it starts, along each axis."""
OPACITY_BIAS = math.log(0.1 / 0.9)
"""Added before the sigmoid: what no data shows stays almost transparent."""
LOG_SCALE_BIAS, MAX_SCALE = -5.0, 0.01
"""Added before the exponential, and the limit in metres."""
LOG_SCALE_RANGE = (-3.0, 1.5)
"""Of a size beside its disc's, where Gaussians start as discs."""


@dataclass(frozen=True)
class BaseSplats:
    """The chart's Gaussians before the network moves them."""

    positions: Tensor  # [T, 3] x_mesh, head frame, metres
    discs: LocalSplats | None  # T: how they lie; None: nowhere in particular, as in the paper


def base_vertices(config: BiasSinkConfig, head: FlameHead, neutral: Tensor) -> Tensor:
    """The head that positions start from: the person's own [V, 3] or the rig's, metres."""
    return head.template if config.base == "template" else neutral


def query_positions(config: BiasSinkConfig, head: FlameHead, neutral: Tensor) -> Tensor:
    """Positions of the queries on a head: [V, 3] -> [L, 3] metres, row by row, 0 off the chart."""
    return position_map(head, base_vertices(config, head, neutral), config.query_side).flatten(1).T


def base_splats(
    config: BiasSinkConfig, head: FlameHead, neutral: Tensor, texels: Texels
) -> BaseSplats:
    """Of the Gaussians of a person whose tracked head at rest is `neutral` [V, 3].

    In the small preset they lie in the skin, as wide as their texels (ours).
    """
    places = interpolate_barycentric(base_vertices(config, head, neutral), texels.binding)
    own = None if config.base == "template" else surface_discs(texels, head, neutral)
    return BaseSplats(places, own)


def drive_base(
    config: BiasSinkConfig, start: BaseSplats, motion: SurfaceMotion, texels: Texels
) -> BaseSplats:
    """The same with an expression: how the person's mesh moves, on a head held still.

    Discs turn and stretch with the skin, as P's do: a lid that unfolds covers the eye.
    """
    if config.base != "driven" or start.discs is None:
        return start
    places, quats, scales = deform(texels.binding, start.discs, motion)
    return BaseSplats(places, replace(start.discs, quats=quats, scales=scales))


def activate_gaussians(raw: Tensor, start: BaseSplats) -> Gaussians:
    """Maps read at texels [T, 14] (`uv_maps.map_at_texels`) -> Gaussians in the head frame."""
    position, opacity, scale, color, rotation = raw.split(list(CHANNELS.values()), -1)
    quats = turn_quats(rotation)
    if start.discs is None:
        scales = torch.exp(scale + LOG_SCALE_BIAS)
    else:
        quats = quat_multiply(start.discs.quats, quats)
        scales = start.discs.scales * torch.exp(scale.clamp(*LOG_SCALE_RANGE))
    return Gaussians(
        start.positions + SPAN * (torch.sigmoid(position) - 0.5),
        quats,
        scales.clamp_max(MAX_SCALE),
        torch.sigmoid(opacity[:, 0] + OPACITY_BIAS),
        color[:, None],
    )
