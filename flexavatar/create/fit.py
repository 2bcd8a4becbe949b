"""Differentiable fitting: change parameters until the rendered head matches its photos.

What is optimised is the caller's choice: `decode` turns named parameters into the Gaussians of one
view. `create` fits splats this way, and a learned model refines its own codes or maps with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
        _step(optimiser, values, parameters)
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


def ssim_map(a: Tensor, b: Tensor, stride: int = 1, window: int = 7) -> Tensor:
    """Structural similarity of every `stride`-th pixel: [H, W, C] -> [H / stride, W / stride, C].

    Wang et al. 2004 with a uniform window: box filters, one axis at a time, are far cheaper than
    Gaussians and rank pictures alike.
    """
    x, y = a.permute(2, 0, 1)[None], b.permute(2, 0, 1)[None]
    pooled = torch.cat((x, y, x * x, y * y, x * y), 1)
    for axis in ((window, 1), (1, window)):
        step = tuple(stride if n > 1 else 1 for n in axis)
        pad = tuple(n // 2 for n in axis)
        pooled = torch.nn.functional.avg_pool2d(pooled, axis, step, pad, count_include_pad=False)
    mx, my, xx, yy, xy = pooled.chunk(5, 1)
    vx, vy, cov = xx - mx * mx, yy - my * my, xy - mx * my
    c1, c2 = 0.01**2, 0.03**2
    value = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return value[0].permute(1, 2, 0)


@torch.no_grad()
def _step(
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
