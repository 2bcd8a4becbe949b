"""Losses of a predicted person against the true charts, the true head and true pictures."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from flexavatar.avatar.uv_maps import REACH, NeutralSplats
from flexavatar.create.image_metrics import ssim_map
from flexavatar.head.binding import Binding, SurfaceMotion, deform
from flexavatar.models.channels import CHANNELS, COLOR
from flexavatar.render.rasterize import rasterize
from flexavatar.training.config import LossConfig
from flexavatar.training.targets import TargetPicture
from flexavatar.types import SH_C0, Gaussians

CENTIMETRE = 0.01


def chart_loss(shown: Tensor, true: Tensor, valid: Tensor, config: LossConfig) -> Tensor:
    """Difference of texels' colours and of their edges: two [B, 3, U, U], valid [U, U]."""
    share = valid / valid.mean()
    error = (shown - true) * share
    loss = error.abs().mean()
    for axis in (-1, -2):
        both = valid * valid.roll(-1, axis)
        step = (shown - true).roll(-1, axis) - (shown - true)
        loss = loss + config.edges * (step * both).abs().mean()
    return loss


def static_losses(raw: Tensor, off: Tensor) -> dict[str, Tensor]:
    """Terms on G_st: raw maps at texels [T, 14], true offsets [T, 3] metres."""
    position, _, scale, _, _ = raw.split(list(CHANNELS.values()), -1)
    moved = REACH * torch.tanh(position)
    return {
        "position": (moved / CENTIMETRE).square().mean(),
        "scale": scale.square().mean(),
        "shape": ((moved - off) / CENTIMETRE).abs().clamp_max(3).mean(),
    }


def color_change_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Error of the colours' change with expressions: two [E, 3, W, W]; a tenth counts as 1."""
    return (10 * (predicted - true)).square().mean()


def rest_loss(change: Tensor) -> Tensor:
    """Size of dG [E, 14, W, W] but for its colours."""
    other = torch.cat((change[:, : COLOR.start], change[:, COLOR.stop :]), 1)
    return other.square().mean()


def picture_losses(gaussians: Gaussians, true: TargetPicture, wall: Tensor) -> dict[str, Tensor]:
    """Terms of a picture: Gaussians drawn before a wall [3], against the true picture."""
    rgba = rasterize(gaussians, true.camera).rgba
    shown = rgba[..., :3] + (1 - rgba[..., 3:]) * wall
    wanted = true.rgb + (1 - true.cover[..., None]) * wall
    rows, columns = true.mouth
    losses = {
        "l1": (shown - wanted).abs().mean(),
        "ssim": (1 - ssim_map(shown, wanted, 2)).mean(),
        "cover": (rgba[..., 3] - true.cover).abs().mean(),
    }
    a, b = shown[rows, columns], wanted[rows, columns]
    if min(a.shape[:2]) >= 16:
        losses["mouth"] = (a - b).abs().mean() + (1 - ssim_map(a, b)).mean()
    return losses


def posed_gaussians(splats: NeutralSplats, binding: Binding, motion: SurfaceMotion) -> Gaussians:
    """Texels' splats moved with a posed mesh, ready to draw; differentiable."""
    means, quats, scales = deform(binding, splats.local, motion)
    quats = functional.normalize(quats, dim=-1)
    return Gaussians(
        means, quats, scales, splats.opacities, ((splats.colors - 0.5) / SH_C0)[:, None]
    )


def weighted_sum(losses: Mapping[str, Tensor], config: LossConfig) -> Tensor:
    """The sum of the terms, each times its weight in the config."""
    return torch.stack([getattr(config, name) * loss for name, loss in losses.items()]).sum()
