"""What photos show of each texel, completed, as the networks are given it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flexavatar.avatar.maps import UvLayout, map_at_texels, texels_to_map
from flexavatar.capture.inpaint import push_pull
from flexavatar.create import fill
from flexavatar.create.evidence import Evidence, trusted_lids
from flexavatar.head.texels import interpolate_barycentric
from flexavatar.models.channels import ChartEvidence

BORROWED = 0.2
"""Weight of a texel's own evidence from which it takes nothing of the mirrored one."""
HAIR_SEEN, LEAST_HAIR, HAIR_KNOWN = 0.1, 60, 0.1
"""Weight of evidence from which scalp says what colour hair has, how many texels must say so, and
the weight that this colour has where nothing is seen."""
DECIMETRE = 0.1


def chart_evidence(evidence: Evidence, neutral: Tensor, layout: UvLayout) -> ChartEvidence:
    """What the photos show of each texel, as the model is told; `neutral` [V, 3] metres."""
    texels = layout.texels
    evidence = trusted_lids(evidence, texels)
    weight = evidence.weight
    other = weight[layout.mirror]
    base = _completed(evidence, layout)
    places = interpolate_barycentric(neutral, texels.binding) / DECIMETRE
    columns = (evidence.colors, weight[:, None], other[:, None], base, places)
    return ChartEvidence(*(texels_to_map(x.float(), texels.chart)[None] for x in columns))


def _completed(evidence: Evidence, layout: UvLayout) -> Tensor:
    """The unseen from the mirrored side, from hair, and from ever coarser means: [T, 3]."""
    weight = evidence.weight
    smooth = _pushed(evidence.colors, weight, layout)
    mirrored, other = fill.mirrored_detail(evidence.colors, weight, smooth, layout.mirror.numpy())
    borrow = ((other - 0.1) * (1 - weight / BORROWED).clamp(0, 1)).clamp(0, 1)
    own = weight / (weight + borrow).clamp_min(1e-9)
    colors, known = torch.lerp(mirrored, evidence.colors, own[:, None]), weight + borrow
    seen = layout.hairy & (weight > HAIR_SEEN)
    if int(seen.sum()) >= LEAST_HAIR:
        tone = evidence.colors[seen].median(0).values
        blank = layout.hairy & (known < HAIR_KNOWN)
        colors = torch.where(blank[:, None], tone, colors)
        known = torch.where(blank, HAIR_KNOWN, known)
    return _pushed(colors, known, layout)


def _pushed(colors: Tensor, weight: Tensor, layout: UvLayout) -> Tensor:
    chart = layout.texels.chart
    share = (weight[:, None] * 4).clamp(0, 1)
    known = texels_to_map(torch.cat((colors * share, share), 1), chart).permute(1, 2, 0).numpy()
    filled = push_pull(np.ascontiguousarray(known[..., :3]), known[..., 3:].copy())
    return map_at_texels(torch.from_numpy(filled).permute(2, 0, 1), chart).clamp(0, 1)
