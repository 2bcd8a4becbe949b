"""P applied to tracked photos: a code, the texels it means, what each photo's face adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.maps import (
    NeutralSplats,
    UvLayout,
    activate,
    drive_map,
    map_at_texels,
    upsample_change,
    uv_layout,
)
from flexavatar.capture.portrait import Portrait
from flexavatar.create.chart_evidence import chart_evidence
from flexavatar.create.evidence import LID, Evidence, View, trusted_lids
from flexavatar.create.hair import Hair
from flexavatar.create.network_images import network_images
from flexavatar.create.posed_views import Placed
from flexavatar.create.skin import Surface
from flexavatar.head.binding import LocalSplats
from flexavatar.head.flame import FlameHead
from flexavatar.head.texels import Zone, surface_discs
from flexavatar.models.channels import FITTED_CHANNELS, ChartEvidence, channel_mask
from flexavatar.models.query_lrm import AvatarCode, QueryLrm

SURE = 3.0
"""Times the weight of its evidence that a texel is the photo's, up to the whole of it."""


@dataclass(frozen=True)
class Told:
    """What the model is given of a person."""

    images: Tensor  # [N, 3, S, S]
    evidence: ChartEvidence | None
    weight: Tensor  # [T] how well each texel is seen
    colors: Tensor  # [T, 3] where it is
    discs: LocalSplats  # T: the surface as it is tiled before anything is predicted


@dataclass(frozen=True)
class Prediction:
    """What the model makes of it."""

    code: AvatarCode
    splats: NeutralSplats  # T at rest
    changes: tuple[Tensor, ...]  # [T, 14] a photo each: dG of its expression


def tell(
    portraits: Sequence[Portrait],
    placed: Placed,
    evidence: Evidence,
    head: FlameHead,
    model: QueryLrm,
) -> Told:
    """Portraits, where they show the head and what of its texels -> the model's inputs."""
    layout = uv_layout(head, model.config)
    seen = trusted_lids(evidence, layout.texels)
    told = chart_evidence(seen, placed.neutral, layout) if model.config.evidence else None
    return Told(
        network_images(portraits, model.config.image_side),
        told,
        seen.weight,
        seen.colors,
        surface_discs(layout.texels, head, placed.neutral),
    )


@torch.no_grad()
def predict(told: Told, placed: Placed, head: FlameHead, model: QueryLrm) -> Prediction:
    """Encode once, drive with every photo's expression."""
    layout = uv_layout(head, model.config)
    code = model.encode(told.images, told.evidence)
    raw = map_at_texels(code.static[0], layout.texels.chart)
    changes = changes_of(code, placed.views, placed.neutral, layout, model)
    return Prediction(code, activate(raw, told.discs), changes)


def entrusted(layout: UvLayout) -> Tensor:
    """Texels that are the model's to say: [T] bool.

    Eyes, lids and mouth are painted better from the photo: the small network blurs irises and
    teeth, and its lips hide them.
    """
    texels = layout.texels
    folds = torch.maximum(texels.masks["lids"], texels.masks["lips"])
    return (texels.zones == int(Zone.SKIN)) & (folds < LID)


def surface_of(found: Prediction, layout: UvLayout, hair: Hair, painted: Surface) -> Surface:
    """The texels as fitting takes them: what is seen is `painted`, the rest is the model's.

    Of unseen hair and clothes the model says where they are, and their colours stay as painted,
    with the grain of what is seen: a network that minimises errors says a tone without strands,
    which beside strands is a bald patch, and one tone for all that people wear.
    """
    own = found.splats
    unsure = (1 - SURE * painted.seen).clamp(0, 1)
    share = (entrusted(layout) * unsure)[:, None]
    covered = torch.maximum(hair.scalp, layout.texels.masks["shoulders"])
    tinted = share * (1 - covered)[:, None]

    def blended(said: Tensor, other: Tensor) -> Tensor:
        return torch.lerp(other, said, share)

    pairs = zip(vars(own.local).values(), vars(painted.splats).values(), strict=True)
    return Surface(
        LocalSplats(*(blended(said, other) for said, other in pairs)),
        blended(own.opacities[:, None], painted.opacities[:, None])[:, 0],
        torch.lerp(painted.colors, own.colors, tinted),
        painted.seen,
    )


def changes_of(
    code: AvatarCode, views: Sequence[View], neutral: Tensor, layout: UvLayout, model: QueryLrm
) -> tuple[Tensor, ...]:
    """Of dG, LOOKS, at the texels for each photo's expression: [T, 14] each."""
    drives = [drive_map(view.motion.vertices - neutral, layout) for view in views]
    large = upsample_change(model.change(code, torch.stack(drives)), layout)
    mine = entrusted(layout)[:, None] * channel_mask(FITTED_CHANNELS)
    return tuple(map_at_texels(change, layout.texels.chart) * mine for change in large)
