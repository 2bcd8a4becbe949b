"""Trains P on synthetic people: `flexavatar train p`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from flexavatar.avatar.uv_maps import (
    UvLayout,
    activate_splats,
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
from flexavatar.training.loader import PreparedSample, SampleChoice
from flexavatar.training.loop import PersonPrediction, Trainer
from flexavatar.training.losses import (
    chart_loss,
    color_change_loss,
    posed_gaussians,
    rest_loss,
    static_losses,
)
from flexavatar.training.samples import BYTE, Sample
from flexavatar.types import FlameCodes, Gaussians


@dataclass(frozen=True)
class DrivenCode:
    """One person's code, and the maps that it gives with some expressions."""

    code: AvatarCode
    raw: Tensor  # [T, 14] static maps at the texels
    change: Tensor  # [E, 14, W, W] dG under M_dyn

    def change_at_texels(self, place: int, layout: UvLayout) -> Tensor:
        """One expression's dG at the texels: [T, 14]."""
        whole = upsample_change(self.change[place : place + 1], layout)[0]
        return map_at_texels(whole, layout.texels.chart)


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

    def predict(self, ready: PreparedSample, frames: Sequence[int]) -> DrivenCode:
        """Encode a person and drive them."""
        evidence = ready.evidence if self.config.model.evidence else None
        code = self.model.encode(ready.images, evidence)
        change = self.model.change(code, ready.drive[list(frames)]) * self.layout.motion_mask
        raw = map_at_texels(code.static[0], self.layout.texels.chart)
        return DrivenCode(code, raw, change)

    def color_changes(
        self, driven: DrivenCode, sample: Sample, frames: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Change of skin's colours with each expression, predicted and true: [E, 3, W, W]."""
        still = self.coarsen(torch.sigmoid(driven.code.static[:, COLOR]).detach())
        moved = torch.sigmoid(torch.logit(still, eps=1e-3) + driven.change[:, COLOR])
        skin = self.skin_mask()
        return (moved - still) * skin, self.true_changes(sample, frames) * skin

    def losses(
        self, ready: PreparedSample, choice: SampleChoice, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Every term of one step."""
        sample, config = ready.sample, self.config
        driven = self.predict(ready, choice.frames)
        still = torch.sigmoid(driven.code.static[:, COLOR])
        true_chart = sample.synthetic_targets.chart[None] / BYTE
        chart = chart_loss(still, true_chart, self.valid, config.losses)
        color_changes = self.color_changes(driven, sample, choice.frames)
        drawn = {
            frame: self.gaussians(ready, driven, frame, i)
            for i, frame in enumerate(choice.frames[: config.pictures])
        }
        return {
            **static_losses(driven.raw, self.true_offsets(sample)),
            "chart": chart,
            "change": color_change_loss(*color_changes),
            "rest": rest_loss(driven.change),
            **self.frame_losses(drawn, sample, generator),
        }

    def gaussians(
        self, ready: PreparedSample, driven: DrivenCode, frame: int, place: int
    ) -> Gaussians:
        """One frame, ready to draw; `place` is the frame's among those driven."""
        sample, texels = ready.sample, self.layout.texels
        change = driven.change_at_texels(place, self.layout)
        splats = apply_change(activate_splats(driven.raw, ready.discs), change)
        posed = sample.neutral + sample.moves[frame].float()
        motion = surface_motion(sample.neutral, posed, self.head.faces)
        return posed_gaussians(splats, texels.binding, motion)

    def predict_person(self, ready: PreparedSample) -> PersonPrediction:
        """All frames of one person."""
        frames = range(len(ready.sample.kinds))
        driven = self.predict(ready, frames)
        shown = [self.gaussians(ready, driven, frame, frame) for frame in frames]
        return PersonPrediction({"shown": shown}, *self.color_changes(driven, ready.sample, frames))
