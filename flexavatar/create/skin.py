"""The skin, the third step: every texel of the chart as a Gaussian with a colour.

What the photos show is completed over the surface. Where they show little, a network's prediction
takes over, if there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.avatar.uv_maps import NeutralSplats
from flexavatar.create import surface_inpaint
from flexavatar.create.cloth import turn_cloth
from flexavatar.create.evidence import Evidence, SurfaceObservations, without_doubtful_lids
from flexavatar.create.eyes_and_mouth import paint_eyes_and_mouth
from flexavatar.create.hair import Hair, measure_hair
from flexavatar.create.hair_volume import CENTRE
from flexavatar.create.network import Prediction, network_texels
from flexavatar.create.pixels import sample_bilinear
from flexavatar.head.binding import LocalSplats
from flexavatar.head.masks import auricle_mask, hair_mask
from flexavatar.head.texels import (
    Texels,
    Zone,
    interpolate_barycentric,
    mirror_index,
    surface_discs,
    texel_points_and_normals,
)
from flexavatar.render.camera import project

OPAQUE = 0.97
UNDER_EYE = 0.008
"""Metres below the middle of the eye where its lower lashes have ended."""
ASKANCE = 0.3
"""Weight of evidence, the squared cosine to the line of sight for one, that is askance below."""
FAINT = 0.2
"""Weight of evidence below which hair is made up rather than seen."""
HAIRY, FOREIGN = 1.4, 2.2
"""Spreads of the hair's colours within which it surely is hair, and beyond which surely not."""
EAR_SEEN, FEWEST_OF_EAR, ABOVE_EARS = 0.1, 20, 0.015
"""Weight of evidence, and texels of it, that tell whether ears are free; metres of thickness up to
which hair is as short as that."""
CROWN = 0.045
"""Metres above the eyes where scalp shows neither ears nor temples."""
STICKS_OUT = 0.5
"""Matte below which a pixel is not the person's."""
UNDER_HAIR = 0.72
"""Of the hair's colour, that of the scalp between its strands."""
TILE_MEAN = 2
"""Texels of seen hair whose mean is repeated where none is seen."""
LID_PULL = 0.015
"""How strongly unseen lids are drawn to the skin about the eyes rather than to the brow."""
HAIR_PULL, SKIN_PULL = 5e-2, 1e-6
"""How strongly unseen scalp is drawn to the hair's colour, and the rest to its nearest colour."""
SURE = 3.0
"""Times the weight of its evidence that a texel is the photo's, up to the whole of it."""


@dataclass(frozen=True)
class Skin:
    """The chart's texels as Gaussians, and how well each is known."""

    observations: SurfaceObservations
    prediction: Prediction | None
    splats: NeutralSplats  # T
    seen: Tensor  # [T] 0 unseen .. 1
    hair: Hair


def build_skin(
    observations: SurfaceObservations,
    prediction: Prediction | None,
    unseen: Tensor | None = None,
) -> Skin:
    """Discs that cover the surface, with colours: of the photos, of a network where they end.

    The unseen is completed, which takes a second or two, unless `unseen` [T, 3] says it but for
    the hair's colour.
    """
    posed, texels = observations.posed, observations.texels
    grown, ears = (
        interpolate_barycentric(f(posed.head), texels.binding) for f in (hair_mask, auricle_mask)
    )
    on_scalp = hair_mask(posed.head) > 0.9
    thickness = float(posed.hair_height[on_scalp].median())
    hair = measure_hair(posed.portraits, grown, ears, thickness)
    if _ears_are_free(hair, observations.evidence):
        hair = hair.with_free_ears()
    evidence = _trustworthy(observations.evidence, texels, hair)
    colors = _paint(evidence, observations, hair, unseen)
    opaque = torch.full((len(texels),), OPAQUE)
    splats = NeutralSplats(surface_discs(texels, posed.head, posed.neutral), opaque, colors)
    if prediction is not None:
        blended = _blend(prediction.splats, splats, evidence.weight, texels, hair)
        splats = _keep_outline(blended, splats, observations, hair)
    return Skin(observations, prediction, splats, evidence.weight, hair)


def _paint(
    evidence: Evidence, observations: SurfaceObservations, hair: Hair, unseen: Tensor | None
) -> Tensor:
    """Colours of all texels from the photos alone: [T, 3]."""
    posed, texels = observations.posed, observations.texels
    seen = (evidence.weight * 4).clamp(0, 1)[:, None]
    if unseen is None:
        points, normals = texel_points_and_normals(posed.neutral, texels, posed.head.faces)
        colors = _complete_colors(evidence, texels, points, normals, hair)
    else:
        hairy = (hair.scalp * (1 - hair.ears))[:, None]
        tinted = torch.lerp(unseen, hair.tone.expand_as(unseen), hairy)
        colors = torch.lerp(tinted, evidence.colors, seen)
    skin_mean = _mean(evidence, texels.masks["face"])
    eyes = observations.iris
    inner = paint_eyes_and_mouth(colors, texels, posed.head, posed.neutral, eyes, skin_mean)
    colors = torch.where((texels.zones == int(Zone.SKIN))[:, None], colors, inner)
    return torch.lerp(colors, evidence.colors, seen * mouth_shown_by_photos(texels)[:, None])


def mouth_shown_by_photos(texels: Texels) -> Tensor:
    """Teeth and the mouth's walls, [T] bool; a tongue moves, and would carry teeth on it."""
    return (texels.zones == int(Zone.MOUTH)) & (texels.masks["tongue"] < 0.5)


def _blend(
    predicted: NeutralSplats, painted: NeutralSplats, seen: Tensor, texels: Texels, hair: Hair
) -> NeutralSplats:
    """What is seen [T] as `painted`, the rest as the network has it.

    Of unseen hair and clothes the network says where they are, and their colours stay as painted,
    with the grain of what is seen: a network that minimises errors says a tone without strands,
    which beside strands is a bald patch, and one tone for all that people wear.
    """
    unsure = (1 - SURE * seen).clamp(0, 1)
    share = network_texels(texels) * unsure  # [T]
    covered = torch.maximum(hair.scalp, texels.masks["shoulders"])
    tinted = (share * (1 - covered))[:, None]
    pairs = zip(vars(painted.local).values(), vars(predicted.local).values(), strict=True)
    return NeutralSplats(
        LocalSplats(*(torch.lerp(own, other, share[:, None]) for own, other in pairs)),
        torch.lerp(painted.opacities, predicted.opacities, share),
        torch.lerp(painted.colors, predicted.colors, tinted),
    )


def _keep_outline(
    splats: NeutralSplats, painted: NeutralSplats, observations: SurfaceObservations, hair: Hair
) -> NeutralSplats:
    """Hair whose place would stick out of the first photo's matte stays on the mesh, as painted."""
    view, texels = observations.posed.views[0], observations.texels
    points, _ = texel_points_and_normals(
        view.motion.vertices, texels, observations.posed.head.faces
    )
    pixels = project(view.camera, points + splats.local.offsets)[:, :2]
    matte, inside = (
        sample_bilinear(torch.from_numpy(m.astype(np.float32)), pixels)
        for m in (view.portrait.matte, view.portrait.inside)
    )
    side = view.camera.width
    shown = ((pixels > 0) & (pixels < side)).all(1) & (inside > 0.99)
    out = ((hair.scalp > 0.5) & shown & (matte < STICKS_OUT))[:, None]
    pairs = zip(vars(splats.local).values(), vars(painted.local).values(), strict=True)
    local = LocalSplats(*(torch.where(out, own, moved) for moved, own in pairs))
    return replace(splats, local=local)


def _trustworthy(evidence: Evidence, texels: Texels, hair: Hair) -> Evidence:
    """Evidence that cannot be mistaken, of lids and of hair.

    Scalp seen askance is only believed if it looks like hair: an ear or a cheek would smear over
    it.
    """
    sure = without_doubtful_lids(evidence, texels)
    foreign = ~hair.resembles(sure.colors, FOREIGN)
    doubtful = hair.grows & (sure.weight < ASKANCE) & foreign & (not hair.is_bare)
    return Evidence(sure.colors, torch.where(doubtful, 0.0, sure.weight))


def _ears_are_free(hair: Hair, evidence: Evidence) -> bool:
    """Whether photos show something else than hair there; if they show nothing, by its length."""
    shown = (hair.ears > 0.5) & (evidence.weight > EAR_SEEN)
    if int(shown.sum()) < FEWEST_OF_EAR:
        return hair.is_bare or hair.thickness < ABOVE_EARS
    return bool((~hair.resembles(evidence.colors, FOREIGN))[shown].float().mean() > 0.5)


def _mean(evidence: Evidence, mask: Tensor) -> Tensor:
    """Mean colour of the well seen part of a region: [3]."""
    weight = (evidence.weight * mask)[:, None]
    return (evidence.colors * weight).sum(0) / weight.sum().clamp_min(1e-6)


def _complete_colors(
    evidence: Evidence,
    texels: Texels,
    points: Tensor,
    normals: Tensor,
    hair: Hair,
) -> Tensor:
    """Fill the unseen: mirrored detail first, then the smoothest continuation, then hair grain."""
    scalp = hair.scalp
    groups = texels.zones.long()
    hairy = (scalp > 0.5) & (not hair.is_bare)
    parts = 2 * groups + hairy  # a hairline is a line: neither runs into the other
    graph = surface_inpaint.surface_graph(points, normals, parts)
    near = surface_inpaint.nearest_known(points, evidence.colors, evidence.weight, parts)
    lids = texels.masks["lids"]
    anchor = torch.lerp(near, hair.tone.expand_as(near), scalp[:, None])
    eyes = points[texels.masks["eyes"] > 0.5].mean(0)
    left = points[:, 0] > 0
    tones = [_lid_tone(evidence, lids * own, points[:, 1] - eyes[1]) for own in (left, ~left)]
    anchor = torch.lerp(anchor, torch.where(left[:, None], *tones), lids[:, None])
    own = SKIN_PULL if hair.is_bare else HAIR_PULL
    pull = torch.where(scalp > 0.5, own, SKIN_PULL) + LID_PULL * lids
    base = surface_inpaint.harmonic(graph, evidence.colors, evidence.weight * 5e-4, anchor, pull)
    index = mirror_index(points, groups)
    colors, borrowed = surface_inpaint.borrow_mirrored(
        evidence.colors, evidence.weight, base, index
    )
    known = torch.maximum(evidence.weight, 0.5 * borrowed)
    filled = surface_inpaint.harmonic(graph, colors, known, anchor, pull)
    tiled = _tile_hair(filled, Evidence(colors, known), texels, points, hair)
    return turn_cloth(tiled, evidence, texels, points).clamp(0, 1)


def _lid_tone(evidence: Evidence, lids: Tensor, height: Tensor) -> Tensor:
    """Skin just under an eye, which shares its lids' light but has no brow nor lashes: [3].

    `lids` [T] is that eye's mask, `height` [T] metres above the eyes' middle.
    """
    under = (lids > 0.02) & (lids < 0.7) & (height < -UNDER_EYE) & (evidence.weight > 0.3)
    if int(under.sum()) < 20:
        return _mean(evidence, torch.ones_like(lids))
    return evidence.colors[under].median(0).values


def _tile_hair(
    filled: Tensor, seen: Evidence, texels: Texels, points: Tensor, hair: Hair
) -> Tensor:
    """Unseen hair repeats the hair that is seen, folded around the head like wallpaper."""
    if hair.is_bare:
        return filled
    crown = points[texels.masks["eyes"] > 0.5].mean(0)[1] + CROWN
    shown = hair.grows & (seen.weight > 0.25) & hair.resembles(seen.colors, HAIRY)
    pattern = torch.nonzero(shown & (points[:, 1] > crown)).squeeze(1)
    blank = torch.nonzero(hair.grows & (seen.weight < FAINT)).squeeze(1)
    if len(pattern) < 200 or len(blank) == 0:
        return filled
    around = _spherical_angles(points)
    folded = torch.stack([_fold_angle(angle[blank], angle[pattern]) for angle in around], -1)
    tree = cKDTree(torch.stack(around, -1)[pattern].numpy())
    distance, near = tree.query(folded.numpy(), k=TILE_MEAN)
    share = torch.from_numpy(1 / (distance + 1e-2)).float()[..., None]
    tiled = (seen.colors[pattern][torch.from_numpy(near)] * share).sum(1) / share.sum(1)
    if hair.has_strands:  # that lie over it, and shade it
        tiled = UNDER_HAIR * torch.lerp(tiled.mean(0).expand_as(tiled), tiled, 0.3)
    result = filled.clone()
    result[blank] = torch.lerp(tiled, filled[blank], (seen.weight[blank] / FAINT)[:, None])
    return result


def _fold_angle(angle: Tensor, seen: Tensor) -> Tensor:
    """To and fro over the range of angles that are seen: [N], [M] -> [N]."""
    low, high = seen.quantile(0.05), seen.quantile(0.95)
    width = (high - low).clamp_min(1e-3)
    return high - ((angle - low) % (2 * width) - width).abs()


def _spherical_angles(points: Tensor) -> tuple[Tensor, Tensor]:
    """Angle from straight ahead and elevation about the middle of the skull: [T] radians each."""
    x, y, z = (points - torch.tensor(CENTRE)).unbind(-1)
    return torch.atan2(x, z), torch.atan2(y, torch.hypot(x, z))
