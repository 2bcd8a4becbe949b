"""Fitting by gradients: parameters are changed until what they draw matches its target pictures.

What is optimised is the caller's choice: `decode` turns named parameters into the Gaussians of one
view. The last step of creation does so with Gaussians, with a code, or with a network's parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flexavatar.create.adam import Adam, Parameter
from flexavatar.create.target import Target
from flexavatar.create.view_loss import view_loss
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.rasterize import rasterize
from flexavatar.types import Gaussians

CLOSEUP_SPREAD = 0.04
"""Of the picture's width, by which close-ups miss the landmark that they look at."""

Decode = Callable[[Mapping[str, Tensor], int], Gaussians]
"""(parameters, index of the view) -> Gaussians to be drawn in that view."""


@dataclass(frozen=True)
class FitConfig:
    """How long, and how closely it looks."""

    steps: int = 150
    late: float = 0.6
    """Share of the steps after which learning rates are cut."""
    late_rate: float = 0.3
    closeups: float = 0.35
    """Share of the steps that look at a part of the face, enlarged, where a target has landmarks:
    what pixels of the photo's own size hide, holes between splats for one, is large there."""
    zoom: tuple[float, float] = (1.3, 4.0)
    closeup_px: int = 320
    seed: int = 0


def fit(
    decode: Decode,
    parameters: Mapping[str, Parameter],
    targets: Sequence[Target],
    config: FitConfig,
    regularise: Callable[[Mapping[str, Tensor]], Tensor] | None = None,
    progress: StageProgress = no_stage_progress,
) -> dict[str, Tensor]:
    """Adam over all views in turn; returns the optimised values. Deterministic by seed."""
    values = {name: p.value.clone().requires_grad_() for name, p in parameters.items()}
    optimiser = Adam(values, parameters)
    generator = torch.Generator().manual_seed(config.seed)
    chance = np.random.default_rng(config.seed)
    for step in range(config.steps):
        index = step % len(targets)
        target = targets[index]
        if target.landmarks is not None and chance.random() < config.closeups:
            target = random_closeup(target, config, chance)
        background = torch.rand(3, generator=generator).to(target.colors)
        drawn = rasterize(decode(values, index), target.camera).rgba
        loss = view_loss(drawn, target, background)
        if regularise is not None:
            loss = loss + regularise(values)
        loss.backward()
        optimiser.step(config.late_rate if step >= round(config.late * config.steps) else 1.0)
        progress((step + 1) / config.steps)
    return {name: value.detach() for name, value in values.items()}


def random_closeup(target: Target, config: FitConfig, chance: np.random.Generator) -> Target:
    """Somewhere in the face, at a zoom and a shift by parts of a pixel that never come again."""
    assert target.landmarks is not None
    zoom = float(np.exp(chance.uniform(*np.log(config.zoom))))
    at = target.landmarks[int(chance.integers(len(target.landmarks)))].numpy()
    x, y = at + chance.normal(0, CLOSEUP_SPREAD * target.camera.width, 2)
    return target.closeup(zoom, float(x), float(y), config.closeup_px)
