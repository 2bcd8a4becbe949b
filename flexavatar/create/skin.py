"""The first guess of an avatar's skin: what photos show, completed, one disc per texel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.create import fill
from flexavatar.create.evidence import Evidence, View, gather, trusted_lids
from flexavatar.create.eyes_and_mouth import measure_eyes, paint_inner
from flexavatar.create.hair import CENTRE, Hair, measure_hair
from flexavatar.head.binding import LocalSplats
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import auricle_mask, hair_mask
from flexavatar.head.texels import (
    Texels,
    Zone,
    interpolate_barycentric,
    mirror_index,
    surface_discs,
    texel_points_and_normals,
)

OPAQUE = 0.97
UNDER_EYE = 0.008
"""Metres below the middle of the eye where its lower lashes have ended."""
ASKANCE = 0.3
"""Weight of evidence, the squared cosine to the line of sight for one, that is askance below."""
FAINT = 0.2
"""Weight of evidence below which hair is made up rather than seen."""
HAIRY, FOREIGN = 1.4, 2.2
"""Spreads of the hair's colours within which it surely is hair, and beyond which surely not."""
CROWN = 0.045
"""Metres above the eyes where scalp shows neither ears nor temples."""
PAPER_MEAN = 2
"""Texels whose mean is repeated."""
LID_PULL = 0.015
"""How strongly unseen lids are drawn to the skin about the eyes rather than to the brow."""
HAIR_PULL, SKIN_PULL = 5e-2, 1e-6
"""How strongly unseen scalp is drawn to the hair's colour, and the rest to its nearest colour."""


@dataclass(frozen=True)
class Surface:
    """Texels with their colours and how well each is known."""

    splats: LocalSplats
    opacities: Tensor  # [T]
    colors: Tensor  # [T, 3]
    seen: Tensor  # [T] 0 unseen .. 1


@dataclass(frozen=True)
class Looked:
    """What the photos say of the texels."""

    evidence: Evidence
    hair: Hair


def look(views: Sequence[View], texels: Texels, head: FlameHead) -> Looked:
    """Every photo's colours, merged, and the person's hair."""
    grown, ears = (
        interpolate_barycentric(f(head), texels.binding) for f in (hair_mask, auricle_mask)
    )
    return Looked(gather(views, texels, head.faces), measure_hair(views, grown, ears))


def build_surface(
    views: Sequence[View], looked: Looked, texels: Texels, head: FlameHead, neutral: Tensor
) -> Surface:
    """Colours for every texel and discs that cover the surface."""
    points, normals = texel_points_and_normals(neutral, texels, head.faces)
    hair = looked.hair
    evidence = _trusted(looked.evidence, texels, hair)
    skin_mean = _mean(evidence, texels.masks["face"])
    colors = _complete(evidence, texels, points, normals, hair)
    inner = paint_inner(colors, texels, head, neutral, measure_eyes(views), skin_mean)
    colors = torch.where((texels.zones == int(Zone.SKIN))[:, None], colors, inner)
    known = ((evidence.weight * 4).clamp(0, 1) * (texels.masks["teeth"] > 0.5))[:, None]
    colors = torch.lerp(colors, evidence.colors, known)
    opaque = torch.full((len(texels),), OPAQUE)
    return Surface(surface_discs(texels, head, neutral), opaque, colors, evidence.weight)


def _trusted(evidence: Evidence, texels: Texels, hair: Hair) -> Evidence:
    """Evidence that cannot be mistaken, of lids and of hair.

    Scalp seen askance is only believed if it looks like hair: an ear or a cheek would smear over
    it.
    """
    sure = trusted_lids(evidence, texels)
    foreign = ~hair.like(sure.colors, FOREIGN)
    doubtful = hair.grows & (sure.weight < ASKANCE) & foreign
    return Evidence(sure.colors, torch.where(doubtful, 0.0, sure.weight))


def _mean(evidence: Evidence, mask: Tensor) -> Tensor:
    """Mean colour of the well seen part of a region: [3]."""
    weight = (evidence.weight * mask)[:, None]
    return (evidence.colors * weight).sum(0) / weight.sum().clamp_min(1e-6)


def _complete(
    evidence: Evidence,
    texels: Texels,
    points: Tensor,
    normals: Tensor,
    hair: Hair,
) -> Tensor:
    """Fill the unseen: mirrored detail first, then the smoothest continuation, then hair grain."""
    scalp = hair.scalp
    groups = texels.zones.long()
    graph = fill.surface_graph(points, normals, groups)
    near = fill.nearest_known(points, evidence.colors, evidence.weight, groups)
    lids = texels.masks["lids"]
    anchor = torch.lerp(near, hair.tone.expand_as(near), scalp[:, None])
    eyes = points[texels.masks["eyes"] > 0.5].mean(0)
    left = points[:, 0] > 0
    tones = [_lid_tone(evidence, lids * own, points[:, 1] - eyes[1]) for own in (left, ~left)]
    anchor = torch.lerp(anchor, torch.where(left[:, None], *tones), lids[:, None])
    pull = torch.where(scalp > 0.5, HAIR_PULL, SKIN_PULL) + LID_PULL * lids
    base = fill.harmonic(graph, evidence.colors, evidence.weight * 5e-4, anchor, pull)
    index = mirror_index(points, groups)
    mirrored, other = fill.mirrored_detail(evidence.colors, evidence.weight, base, index)
    borrow = ((other - 0.1) * (1 - evidence.weight / 0.2).clamp(0, 1)).clamp(0, 1)
    own = evidence.weight / (evidence.weight + borrow).clamp_min(1e-9)
    colors = torch.lerp(mirrored, evidence.colors, own[:, None])
    known = torch.maximum(evidence.weight, 0.5 * borrow)
    filled = fill.harmonic(graph, colors, known, anchor, pull)
    return _papered(filled, Evidence(colors, known), texels, points, hair).clamp(0, 1)


def _lid_tone(evidence: Evidence, lids: Tensor, height: Tensor) -> Tensor:
    """Skin just under an eye, which shares its lids' light but has no brow nor lashes: [3].

    `lids` [T] is that eye's mask, `height` [T] metres above the eyes' middle.
    """
    under = (lids > 0.02) & (lids < 0.7) & (height < -UNDER_EYE) & (evidence.weight > 0.3)
    if int(under.sum()) < 20:
        return _mean(evidence, torch.ones_like(lids))
    return evidence.colors[under].median(0).values


def _papered(filled: Tensor, seen: Evidence, texels: Texels, points: Tensor, hair: Hair) -> Tensor:
    """Unseen hair repeats the hair that is seen, folded around the head like wallpaper."""
    crown = points[texels.masks["eyes"] > 0.5].mean(0)[1] + CROWN
    shown = hair.grows & (seen.weight > 0.25) & hair.like(seen.colors, HAIRY)
    pattern = torch.nonzero(shown & (points[:, 1] > crown)).squeeze(1)
    blank = torch.nonzero(hair.grows & (seen.weight < FAINT)).squeeze(1)
    if len(pattern) < 200 or len(blank) == 0:
        return filled
    around = _around(points)
    folded = torch.stack([_folded(angle[blank], angle[pattern]) for angle in around], -1)
    tree = cKDTree(torch.stack(around, -1)[pattern].numpy())
    distance, near = tree.query(folded.numpy(), k=PAPER_MEAN)
    share = torch.from_numpy(1 / (distance + 1e-2)).float()[..., None]
    paper = (seen.colors[pattern][torch.from_numpy(near)] * share).sum(1) / share.sum(1)
    result = filled.clone()
    result[blank] = torch.lerp(paper, filled[blank], (seen.weight[blank] / FAINT)[:, None])
    return result


def _folded(angle: Tensor, seen: Tensor) -> Tensor:
    """To and fro over the range of angles that are seen: [N], [M] -> [N]."""
    low, high = seen.quantile(0.05), seen.quantile(0.95)
    width = (high - low).clamp_min(1e-3)
    return high - ((angle - low) % (2 * width) - width).abs()


def _around(points: Tensor) -> tuple[Tensor, Tensor]:
    """Angle from straight ahead and elevation about the middle of the skull: [T] radians each."""
    x, y, z = (points - torch.tensor(CENTRE)).unbind(-1)
    return torch.atan2(x, z), torch.atan2(y, torch.hypot(x, z))
