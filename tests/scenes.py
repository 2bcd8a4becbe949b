"""Synthetic Gaussians beside those of flexavatar.bench.gaussians."""

from __future__ import annotations

import math

import torch

from flexavatar.types import Gaussians


def cloud(count: int, longest: float, thinnest: float, seed: int = 0) -> Gaussians:
    """Gaussians anywhere in a box, from round to needles, some off the picture."""
    random = torch.Generator().manual_seed(seed)
    spread = math.log(longest / thinnest)
    return Gaussians(
        means=0.25 * (torch.rand(count, 3, generator=random) - 0.5) * torch.tensor([2.0, 2, 1]),
        quats=torch.randn(count, 4, generator=random),
        scales=thinnest * torch.exp(spread * torch.rand(count, 3, generator=random)),
        opacities=torch.rand(count, generator=random),
        sh=torch.randn(count, 1, 3, generator=random),
    )


def to_dtype(gaussians: Gaussians, dtype: torch.dtype) -> Gaussians:
    """The same Gaussians in another precision."""
    return Gaussians(**{name: x.to(dtype) for name, x in vars(gaussians).items()})
