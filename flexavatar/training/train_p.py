"""Trains P on synthetic people: `flexavatar train p`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from flexavatar.avatar.maps import (
    UvLayout,
    activate,
    apply_change,
    drive_map,
    expression_coefficients,
    map_at_texels,
    upsample_change,
)
from flexavatar.head.binding import surface_motion
from flexavatar.models.channels import COLOR
from flexavatar.models.query_lrm import AvatarCode, QueryLrm
from flexavatar.models.weights import QUERY_LRM
from flexavatar.training.config import TrainQueryLrm
from flexavatar.training.loader import Order, Ready
from flexavatar.training.loop import Look, Trainer
from flexavatar.training.losses import (
    change_loss,
    chart_loss,
    gaussians_of,
    rest_loss,
    static_losses,
)
from flexavatar.training.samples import BYTE, Sample
from flexavatar.types import FlameCodes, Gaussians


@dataclass(frozen=True)
class Predicted:
    """One person's code and what it becomes with some expressions."""

    code: AvatarCode
    raw: Tensor  # [T, 14] static maps at the texels
    change: Tensor  # [E, 14, W, W] dG under M_dyn

    def at(self, place: int, layout: UvLayout) -> Tensor:
        """One expression's dG at the texels: [T, 14]."""
        return map_at_texels(
            upsample_change(self.change[place : place + 1], layout)[0], layout.texels.chart
        )


class QueryLrmTrainer(Trainer[QueryLrm, TrainQueryLrm]):
    """P and one step of it."""

    def __init__(self, people: Path, config: TrainQueryLrm) -> None:
        """Raises InputError if there are no people in the folder, AssetError for other weights."""
        super().__init__(people, config, QUERY_LRM, config.model)

    def drive(self, sample: Sample, codes: FlameCodes) -> Tensor:
        """Driving maps [F, 3, W, W], or the same expressions as coefficients [F, N]."""
        if self.config.drive == "coefficients":
            return expression_coefficients(codes)
        layout = self.loader.layout
        return torch.stack([drive_map(moves.float(), layout) for moves in sample.moves])

    def predict(self, ready: Ready, frames: Sequence[int]) -> Predicted:
        """Encode a person and drive them."""
        told = ready.evidence if self.config.model.evidence else None
        code = self.model.encode(ready.images, told)
        change = self.model.change(code, ready.drive[list(frames)]) * self.layout.motion_mask
        raw = map_at_texels(code.static[0], self.layout.texels.chart)
        return Predicted(code, raw, change)

    def color_changes(
        self, told: Predicted, sample: Sample, frames: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """By how much colours of skin change with each expression, said and true: [E, 3, W, W]."""
        still = self.coarse(torch.sigmoid(told.code.static[:, COLOR]).detach())
        driven = torch.sigmoid(torch.logit(still, eps=1e-3) + told.change[:, COLOR])
        return (driven - still) * self.skin(), self.true_changes(sample, frames) * self.skin()

    def losses(self, ready: Ready, order: Order, generator: torch.Generator) -> dict[str, Tensor]:
        """Every term of one step."""
        sample, config = ready.sample, self.config
        told = self.predict(ready, order.frames)
        still = torch.sigmoid(told.code.static[:, COLOR])
        chart = chart_loss(still, sample.known.chart[None] / BYTE, self.valid, config.losses)
        changed = self.color_changes(told, sample, order.frames)
        drawn = {
            frame: self.gaussians(ready, told, frame, i)
            for i, frame in enumerate(order.frames[: config.pictures])
        }
        return {
            **static_losses(told.raw, self.off(sample)),
            "chart": chart,
            "change": change_loss(*changed),
            "rest": rest_loss(told.change),
            **self.pictured(drawn, sample, generator),
        }

    def gaussians(self, ready: Ready, told: Predicted, frame: int, place: int) -> Gaussians:
        """One frame, ready to draw; `place` is the frame's among those driven."""
        sample, texels = ready.sample, self.layout.texels
        splats = apply_change(activate(told.raw, ready.discs), told.at(place, self.layout))
        posed = sample.neutral + sample.moves[frame].float()
        motion = surface_motion(sample.neutral, posed, self.head.faces)
        return gaussians_of(splats, texels.binding, motion)

    def look(self, ready: Ready) -> Look:
        """All frames of one person."""
        frames = range(len(ready.sample.kinds))
        told = self.predict(ready, frames)
        shown = [self.gaussians(ready, told, frame, frame) for frame in frames]
        return Look({"shown": shown}, *self.color_changes(told, ready.sample, frames))
