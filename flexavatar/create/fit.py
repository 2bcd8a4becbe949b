"""Fitting by gradients: parameters are changed until what they draw matches its target pictures.

What is optimised is the caller's choice: `decode` turns named parameters into the Gaussians of one
view. The last step of creation does so with Gaussians, with a code, or with a network's parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.create.image_metrics import ssim_map
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, Gaussians

SSIM_STRIDE = 2
"""Windows overlap by five pixels of seven: every second one says as much."""

CLOSEUP_SPREAD = 0.04
"""Of the picture's width, by which close-ups miss the landmark that they look at."""

Decode = Callable[[Mapping[str, Tensor], int], Gaussians]
"""(parameters, index of the view) -> Gaussians to be drawn in that view."""


@dataclass(frozen=True)
class Target:
    """What one view should look like."""

    camera: Camera
    colors: Tensor  # [H, W, 3] the person's colours
    matte: Tensor  # [H, W] share of the person
    weight: Tensor  # [H, W] how much each pixel counts
    landmarks: Tensor | None = None  # [K, 2] pixels where close-ups look; None: there are none

    def closeup(self, zoom: float, x: float, y: float, side: int) -> Target:
        """A square window of `side` pixels, enlarged `zoom` times, around a point of this one."""
        shift = np.array((side / 2 - x * zoom, side / 2 - y * zoom))
        K = self.camera.K.clone()
        K[:2] *= zoom
        K[:2, 2] += torch.from_numpy(shift).to(K)
        warp = np.array(((zoom, 0, shift[0]), (0, zoom, shift[1])))
        warp[:, 2] += 0.5 * zoom - 0.5  # OpenCV counts from the middle of the first pixel

        def enlarged(picture: Tensor, border: int) -> Tensor:
            found = cv2.warpAffine(
                picture.cpu().numpy(), warp, (side, side), flags=cv2.INTER_CUBIC, borderMode=border
            )
            return torch.from_numpy(np.asarray(found)).clamp(0, 1).to(picture)

        colors, matte = (enlarged(x, cv2.BORDER_REPLICATE) for x in (self.colors, self.matte))
        weight = enlarged(self.weight, cv2.BORDER_CONSTANT)
        return Target(replace(self.camera, K=K, width=side, height=side), colors, matte, weight)


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
    groups = [{"params": [values[n]], "lr": p.learning_rate} for n, p in parameters.items()]
    optimiser = torch.optim.Adam(groups, eps=1e-15)
    schedule = torch.optim.lr_scheduler.MultiStepLR(
        optimiser, [round(config.late * config.steps)], config.late_rate
    )
    generator = torch.Generator().manual_seed(config.seed)
    chance = np.random.default_rng(config.seed)
    for step in range(config.steps):
        index = step % len(targets)
        target = targets[index]
        if target.landmarks is not None and chance.random() < config.closeups:
            target = random_closeup(target, config, chance)
        background = torch.rand(3, generator=generator).to(target.colors)
        loss = view_loss(decode(values, index), target, background, config)
        if regularise is not None:
            loss = loss + regularise(values)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        _adam_step(optimiser, values, parameters)
        schedule.step()
        progress((step + 1) / config.steps)
    return {name: value.detach() for name, value in values.items()}


def random_closeup(target: Target, config: FitConfig, chance: np.random.Generator) -> Target:
    """Somewhere in the face, at a zoom and a shift by parts of a pixel that never come again."""
    assert target.landmarks is not None
    zoom = float(np.exp(chance.uniform(*np.log(config.zoom))))
    at = target.landmarks[int(chance.integers(len(target.landmarks)))].numpy()
    x, y = at + chance.normal(0, CLOSEUP_SPREAD * target.camera.width, 2)
    return target.closeup(zoom, float(x), float(y), config.closeup_px)


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
