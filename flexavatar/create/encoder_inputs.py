"""What the networks' encoders are given of a person: photos over grey, and the chart's evidence.

The evidence is completed first, as well as mirrored sides and simple means do. Training makes its
samples with the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.avatar.uv_maps import UvLayout, map_at_texels, texels_to_map, uv_layout
from flexavatar.capture.inpaint import push_pull
from flexavatar.capture.portrait import Portrait
from flexavatar.create.evidence import Evidence, SurfaceObservations, without_doubtful_lids
from flexavatar.create.surface_inpaint import borrow_mirrored
from flexavatar.head.texels import interpolate_barycentric
from flexavatar.models.channels import ChartEvidence
from flexavatar.models.config import BiasSinkConfig, ChartSizes, QueryLrmConfig
from flexavatar.render.composite import over_mid_grey

HAIR_SEEN, LEAST_HAIR, HAIR_KNOWN = 0.1, 60, 0.1
"""Weight of evidence from which scalp says what colour hair has, how many texels must say so, and
the weight that this colour has where nothing is seen."""
DECIMETRE = 0.1


@dataclass(frozen=True)
class EncoderInputs:
    """What an encoder is given of one person."""

    images: Tensor  # [N, 3, S, S] 0..1
    evidence: ChartEvidence | None  # where its preset has it


def encoder_inputs(
    observations: SurfaceObservations, config: QueryLrmConfig | BiasSinkConfig
) -> EncoderInputs:
    """Photos and evidence as a network of these sizes takes them."""
    images = network_images(observations.posed.portraits, config.image_side)
    return EncoderInputs(images, chart_evidence(observations, config) if config.evidence else None)


def network_images(portraits: Sequence[Portrait], side: int) -> Tensor:
    """People over mid grey, small: [N, 3, side, side] 0..1."""
    return torch.stack([_network_image(portrait, side) for portrait in portraits])


def _network_image(portrait: Portrait, side: int) -> Tensor:
    whole = over_mid_grey(portrait.colors, portrait.matte)
    small = cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.asarray(small, np.float32)).permute(2, 0, 1).clamp(0, 1)


def chart_evidence(observations: SurfaceObservations, sizes: ChartSizes) -> ChartEvidence:
    """What photos show of the texels of a network's chart, as maps over it."""
    layout, posed = uv_layout(observations.posed.head, sizes), observations.posed
    evidence = without_doubtful_lids(observations.evidence, layout.texels)
    weight = evidence.weight
    positions = interpolate_barycentric(posed.neutral, layout.texels.binding) / DECIMETRE
    columns = (
        evidence.colors,
        weight[:, None],
        weight[layout.mirror][:, None],
        _complete_colors(evidence, layout),
        positions,
    )
    return ChartEvidence(*(texels_to_map(x.float(), layout.texels.chart)[None] for x in columns))


def _complete_colors(evidence: Evidence, layout: UvLayout) -> Tensor:
    """The unseen from the mirrored side, from hair, and from ever coarser means: [T, 3]."""
    weight = evidence.weight
    smooth = _push_pull(evidence.colors, weight, layout)
    index = layout.mirror.numpy()
    colors, borrowed = borrow_mirrored(evidence.colors, weight, smooth, index)
    known = weight + borrowed
    seen = layout.hairy & (weight > HAIR_SEEN)
    if int(seen.sum()) >= LEAST_HAIR:
        tone = evidence.colors[seen].median(0).values
        blank = layout.hairy & (known < HAIR_KNOWN)
        colors = torch.where(blank[:, None], tone, colors)
        known = torch.where(blank, HAIR_KNOWN, known)
    return _push_pull(colors, known, layout)


def _push_pull(colors: Tensor, weight: Tensor, layout: UvLayout) -> Tensor:
    chart = layout.texels.chart
    share = (weight[:, None] * 4).clamp(0, 1)
    known = texels_to_map(torch.cat((colors * share, share), 1), chart).permute(1, 2, 0).numpy()
    filled = push_pull(np.ascontiguousarray(known[..., :3]), known[..., 3:].copy())
    return map_at_texels(torch.from_numpy(filled).permute(2, 0, 1), chart).clamp(0, 1)
