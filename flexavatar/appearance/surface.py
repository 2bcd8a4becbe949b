"""The first guess of an avatar's skin: what photos show, completed, one disc per texel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.appearance import fill
from flexavatar.appearance.evidence import Evidence, View, gather, surface_points
from flexavatar.appearance.hair import CENTRE, hair_color, haired
from flexavatar.appearance.inner import measure_eyes, paint_inner
from flexavatar.appearance.regions import Texels, Zone, read
from flexavatar.head.binding import LocalSplats
from flexavatar.head.flame import FlameHead
from flexavatar.head.uv import texel_frames

DISC = 0.62
"""Standard deviation of a disc in texel spacings: neighbours overlap without blurring."""
THICKNESS = 0.2
"""Of the disc's smaller radius."""
UNDER_EYE = 0.008
"""Metres below the middle of the eye where its lower lashes have ended."""
GRAIN = 0.7
"""Share of the seen hair's contrast that unseen hair is given."""
LID_PULL = 0.015
"""How strongly unseen lids are drawn to the skin about the eyes rather than to the brow."""
RADIUS_LIMITS = (2e-4, 1.3e-2)
"""Metres."""
HAIR_PULL, SKIN_PULL = 5e-2, 1e-6
"""How strongly unseen scalp is drawn to the hair's colour, and the rest to its nearest colour."""


@dataclass(frozen=True)
class Surface:
    """Texels with their colours and how well each is known."""

    splats: LocalSplats
    colors: Tensor  # [T, 3]
    seen: Tensor  # [T] 0 unseen .. 1


def build_surface(
    views: Sequence[View], texels: Texels, head: FlameHead, neutral: Tensor
) -> Surface:
    """Colours for every texel and discs that cover the surface."""
    points, normals = surface_points(neutral, texels, head.faces)
    evidence = _trusted(gather(views, texels, head.faces), texels)
    skin_mean = _mean(evidence, texels.masks["face"])
    hair = (read(haired(head), texels.binding), hair_color(views))
    colors = _complete(evidence, texels, points, normals, hair)
    inner = paint_inner(colors, texels, head, neutral, measure_eyes(views), skin_mean)
    colors = torch.where((texels.zones == int(Zone.SKIN))[:, None], colors, inner)
    known = ((evidence.weight * 4).clamp(0, 1) * (texels.masks["teeth"] > 0.5))[:, None]
    colors = torch.lerp(colors, evidence.colors, known)
    return Surface(_discs(texels, head, neutral), colors, evidence.weight)


def _trusted(evidence: Evidence, texels: Texels) -> Evidence:
    """Lids say little while the eye is open: only what faces the camera squarely is theirs."""
    strict = texels.masks["lids"] > 0.3
    doubtful = strict & (evidence.weight < 0.45)
    return Evidence(evidence.colors, torch.where(doubtful, 0.0, evidence.weight))


def _mean(evidence: Evidence, mask: Tensor) -> Tensor:
    """Mean colour of the well seen part of a region: [3]."""
    weight = (evidence.weight * mask)[:, None]
    return (evidence.colors * weight).sum(0) / weight.sum().clamp_min(1e-6)


def _complete(
    evidence: Evidence,
    texels: Texels,
    points: Tensor,
    normals: Tensor,
    hair: tuple[Tensor, Tensor],
) -> Tensor:
    """Fill the unseen: mirrored detail first, then the smoothest continuation, then hair grain."""
    scalp, hair_tone = hair
    groups = texels.zones.long()
    graph = fill.surface_graph(points, normals, groups)
    near = fill.nearest_known(points, evidence.colors, evidence.weight, groups)
    lids = texels.masks["lids"]
    anchor = torch.lerp(near, hair_tone.expand_as(near), scalp[:, None])
    eyes = points[texels.masks["eyes"] > 0.5].mean(0)
    left = points[:, 0] > 0
    tones = [_lid_tone(evidence, lids * own, points[:, 1] - eyes[1]) for own in (left, ~left)]
    anchor = torch.lerp(anchor, torch.where(left[:, None], *tones), lids[:, None])
    pull = torch.where(scalp > 0.5, HAIR_PULL, SKIN_PULL) + LID_PULL * lids
    base = fill.harmonic(graph, evidence.colors, evidence.weight * 5e-4, anchor, pull)
    index = fill.mirror_index(points, groups)
    mirrored, other = fill.mirrored_detail(evidence.colors, evidence.weight, base, index)
    borrow = ((other - 0.1) * (1 - evidence.weight / 0.2).clamp(0, 1)).clamp(0, 1)
    own = evidence.weight / (evidence.weight + borrow).clamp_min(1e-9)
    colors = torch.lerp(mirrored, evidence.colors, own[:, None])
    known = torch.maximum(evidence.weight, 0.5 * borrow)
    filled = fill.harmonic(graph, colors, known, anchor, pull)
    tones = torch.stack((hair_tone, _mean(evidence, texels.masks["face"])))
    hairlike = (colors[:, None] - tones).norm(dim=-1).argmin(-1) == 0
    source = (scalp > 0.5) & (known > 0.25) & hairlike
    return _grained(filled, colors - base, known, source, scalp > 0.5, points).clamp(0, 1)


def _lid_tone(evidence: Evidence, lids: Tensor, height: Tensor) -> Tensor:
    """Skin just under an eye, which shares its lids' light but has no brow nor lashes: [3].

    `lids` [T] is that eye's mask, `height` [T] metres above the eyes' middle.
    """
    under = (lids > 0.02) & (lids < 0.7) & (height < -UNDER_EYE) & (evidence.weight > 0.3)
    if int(under.sum()) < 20:
        return _mean(evidence, torch.ones_like(lids))
    return evidence.colors[under].median(0).values


def _grained(
    filled: Tensor, grain: Tensor, known: Tensor, source: Tensor, scalp: Tensor, points: Tensor
) -> Tensor:
    """Unseen hair takes the grain of hair that is seen, folded around the head like wallpaper."""
    pattern = torch.nonzero(source).squeeze(1)
    blank = torch.nonzero(scalp & (known < 0.2)).squeeze(1)
    if len(pattern) < 200 or len(blank) == 0:
        return filled
    azimuth, height = _around(points)
    reach = float(azimuth[pattern].abs().quantile(0.9))
    folded = reach - ((azimuth[blank].abs() % (2 * reach)) - reach).abs()
    wanted = torch.stack((azimuth[blank].sign() * folded, height[blank]), -1)
    tree = cKDTree(torch.stack((azimuth, height), -1)[pattern].numpy())
    near = pattern[torch.from_numpy(np.asarray(tree.query(wanted.numpy())[1]))]
    share = GRAIN * (1 - known[blank] / 0.2)[:, None]
    result = filled.clone()
    result[blank] += share * grain[near].clamp(-0.2, 0.2)
    return result


def _around(points: Tensor) -> tuple[Tensor, Tensor]:
    """Angle from straight ahead and elevation about the middle of the skull: [T] radians each."""
    x, y, z = (points - torch.tensor(CENTRE)).unbind(-1)
    return torch.atan2(x, z), torch.atan2(y, torch.hypot(x, z))


def _discs(texels: Texels, head: FlameHead, neutral: Tensor) -> LocalSplats:
    """Flat Gaussians in the surface: as wide as the chart is stretched each way, offsets 0."""
    frames = texel_frames(head, neutral, texels.chart)
    radii = (DISC * frames.spacing).clamp(*RADIUS_LIMITS)
    thickness = THICKNESS * radii.amin(-1, keepdim=True)
    scales = torch.cat((radii, thickness), -1)
    return LocalSplats(torch.zeros(len(texels), 3), frames.quats, scales)
