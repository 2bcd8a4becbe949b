"""Channels of maps over the head's chart: those of Gaussians, and those of evidence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.errors import InputError

CHANNELS: Mapping[str, int] = {"position": 3, "opacity": 1, "scale": 3, "color": 3, "rotation": 4}
"""Of a map of Gaussians, in this order; before activation."""
MAP_CHANNELS = sum(CHANNELS.values())
FITTED_CHANNELS = ("color",)
"""Of a dG, what changes an avatar that is fitted to photos. Their splats are finer than a model's
texels and fit each other: moved, sized or turned as a synthetic person's, they part and show the
mouth behind the skin."""
SCALE, COLOR = slice(4, 7), slice(7, 10)
EVIDENCE_CHANNELS = 11
"""Channels of evidence: colours 3, weight 1, completed colours 3, weight mirrored 1, places 3."""
BASE_COLOR = slice(4, 7)
"""Of them, the completed colours."""


def channel_mask(names: Collection[str]) -> Tensor:
    """1 for the numbers of these of CHANNELS, else 0: [14]. Raises InputError for other names."""
    if unknown := sorted(set(names) - CHANNELS.keys()):
        raise InputError(f"channels: expected some of {', '.join(CHANNELS)}, got {unknown}")
    return torch.cat([torch.full((n,), float(name in names)) for name, n in CHANNELS.items()])


@dataclass(frozen=True)
class ChartEvidence:
    """What the photos say of each texel, as pictures over a chart."""

    colors: Tensor  # [B, 3, U, U] 0..1, where seen
    weight: Tensor  # [B, 1, U, U] 0 unseen .. 1
    mirrored: Tensor  # [B, 1, U, U] weight of the texel on the other side
    base: Tensor  # [B, 3, U, U] 0..1, completed as well as simple means do
    places: Tensor  # [B, 3, U, U] the tracked head at rest, decimetres

    def stacked(self) -> Tensor:
        """All of it as a network takes it, colours about 0: [B, 11, U, U]."""
        colors = (self.colors - 0.5) * (self.weight > 0)
        return torch.cat((colors, self.weight, self.base - 0.5, self.mirrored, self.places), 1)
