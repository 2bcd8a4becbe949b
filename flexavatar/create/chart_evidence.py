"""What photos show of each texel, completed, as the networks are given it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flexavatar.avatar.maps import Canvas, at_texels, picture
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


def chart_evidence(evidence: Evidence, neutral: Tensor, canvas: Canvas) -> ChartEvidence:
    """What the photos show of each texel, as the model is told; `neutral` [V, 3] metres."""
    texels = canvas.texels
    evidence = trusted_lids(evidence, texels)
    weight = evidence.weight
    other = weight[canvas.mirror]
    base = _completed(evidence, canvas)
    places = interpolate_barycentric(neutral, texels.binding) / DECIMETRE
    columns = (evidence.colors, weight[:, None], other[:, None], base, places)
    return ChartEvidence(*(picture(x.float(), texels.chart)[None] for x in columns))


def _completed(evidence: Evidence, canvas: Canvas) -> Tensor:
    """The unseen from the mirrored side, from hair, and from ever coarser means: [T, 3]."""
    weight = evidence.weight
    smooth = _pushed(evidence.colors, weight, canvas)
    mirrored, other = fill.mirrored_detail(evidence.colors, weight, smooth, canvas.mirror.numpy())
    borrow = ((other - 0.1) * (1 - weight / BORROWED).clamp(0, 1)).clamp(0, 1)
    own = weight / (weight + borrow).clamp_min(1e-9)
    colors, known = torch.lerp(mirrored, evidence.colors, own[:, None]), weight + borrow
    seen = canvas.hairy & (weight > HAIR_SEEN)
    if int(seen.sum()) >= LEAST_HAIR:
        tone = evidence.colors[seen].median(0).values
        blank = canvas.hairy & (known < HAIR_KNOWN)
        colors = torch.where(blank[:, None], tone, colors)
        known = torch.where(blank, HAIR_KNOWN, known)
    return _pushed(colors, known, canvas)


def _pushed(colors: Tensor, weight: Tensor, canvas: Canvas) -> Tensor:
    chart = canvas.texels.chart
    share = (weight[:, None] * 4).clamp(0, 1)
    known = picture(torch.cat((colors * share, share), 1), chart).permute(1, 2, 0).numpy()
    filled = push_pull(np.ascontiguousarray(known[..., :3]), known[..., 3:].copy())
    return at_texels(torch.from_numpy(filled).permute(2, 0, 1), chart).clamp(0, 1)
