"""Fitting by gradients: parameters are changed until what they draw matches its target pictures.

What is optimised is the caller's choice: `decode` turns named parameters into the Gaussians of one
view. The last step of creation does so with Gaussians, with a code, or with a network's parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.create.image_metrics import ssim_map
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, Gaussians

SSIM_STRIDE = 2
"""Windows overlap by five pixels of seven: every second one says as much."""

Decode = Callable[[Mapping[str, Tensor], int], Gaussians]
"""(parameters, index of the view) -> Gaussians to be drawn in that view."""


@dataclass(frozen=True)
class Target:
    """What one view should look like."""

    camera: Camera
    colors: Tensor  # [H, W, 3] the person's colours
    matte: Tensor  # [H, W] share of the person
    weight: Tensor  # [H, W] how much each pixel counts


@dataclass(frozen=True)
class Parameter:
    """A tensor to be optimised."""

    value: Tensor
    learning_rate: float
    share: Tensor | None = None  # 0..1 of each step that is taken, broadcastable; 0: it stays


@dataclass(frozen=True)
class FitConfig:
    """How long and against what."""

    steps: int = 150
    ssim: float = 0.2
    matte: float = 0.1
    late: float = 0.6
    """Share of the steps after which learning rates are cut."""
    late_rate: float = 0.3
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
    groups = [{"params": [values[n]], "lr": p.learning_rate} for n, p in parameters.items()]
    optimiser = torch.optim.Adam(groups, eps=1e-15)
    schedule = torch.optim.lr_scheduler.MultiStepLR(
        optimiser, [round(config.late * config.steps)], config.late_rate
    )
    generator = torch.Generator().manual_seed(config.seed)
    for step in range(config.steps):
        index = step % len(targets)
        background = torch.rand(3, generator=generator).to(targets[index].colors)
        loss = view_loss(decode(values, index), targets[index], background, config)
        if regularise is not None:
            loss = loss + regularise(values)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        _adam_step(optimiser, values, parameters)
        schedule.step()
        progress((step + 1) / config.steps)
    return {name: value.detach() for name, value in values.items()}


def view_loss(
    gaussians: Gaussians, target: Target, background: Tensor, config: FitConfig
) -> Tensor:
    """L1, structure and matte on a background colour that changes, so that nothing hides in it."""
    rgba = rasterize(gaussians, target.camera).rgba
    alpha = rgba[..., 3:]
    shown = rgba[..., :3] + (1 - alpha) * background
    wanted = target.colors * target.matte[..., None] + (1 - target.matte[..., None]) * background
    weight = target.weight[..., None]
    loss = ((shown - wanted).abs() * weight).mean()
    loss = loss + config.matte * ((alpha[..., 0] - target.matte).abs() * target.weight).mean()
    if config.ssim > 0:
        likeness = ssim_map(shown, wanted, SSIM_STRIDE)
        loss = loss + config.ssim * ((1 - likeness) * weight[::SSIM_STRIDE, ::SSIM_STRIDE]).mean()
    return loss


@torch.no_grad()
def _adam_step(
    optimiser: torch.optim.Optimizer,
    values: Mapping[str, Tensor],
    parameters: Mapping[str, Parameter],
) -> None:
    """One step of Adam, of which each value takes its share: scaled gradients would not do."""
    for value in values.values():
        if value.grad is not None:
            torch.nan_to_num_(value.grad, 0.0, 0.0, 0.0)
    before = {n: v.clone() for n, v in values.items() if parameters[n].share is not None}
    optimiser.step()
    for name, old in before.items():
        share = parameters[name].share
        assert share is not None
        values[name].copy_(torch.lerp(old, values[name], share.expand_as(old)))
