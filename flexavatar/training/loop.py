"""The loop that trains any of the models: people in, steps, checkpoints."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from flexavatar.avatar.uv_maps import UvLayout, uv_layout
from flexavatar.errors import InputError
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import interpolate_barycentric
from flexavatar.models.bias_sink import BiasSink
from flexavatar.models.query_lrm import QueryLrm
from flexavatar.models.weights import NetworkKind
from flexavatar.progress import Progress, no_progress
from flexavatar.training.config import Schedule, TrainConfig
from flexavatar.training.frame_sampling import frame_rates
from flexavatar.training.loader import PreparedSample, SampleChoice, SampleLoader, sample_choices
from flexavatar.training.losses import picture_losses, weighted_sum
from flexavatar.training.pool import sample_paths
from flexavatar.training.samples import BYTE, Sample, coarsen_chart
from flexavatar.training.state import WeightAverage, append_line, load_state, save_state, trainable
from flexavatar.training.targets import TargetPicture, target_picture
from flexavatar.types import FlameCodes, Gaussians, to_device

STATE, LOG = "state.safetensors", "log.jsonl"
M = TypeVar("M", QueryLrm, BiasSink)
C = TypeVar("C", bound=TrainConfig)


@dataclass(frozen=True)
class PersonPrediction:
    """All frames of one person as a model predicts them."""

    gaussians: Mapping[str, Sequence[Gaussians]]
    """Of F frames, by way of showing; the usual way first."""
    color_changes: Tensor  # [F, 3, W, W] by how much each expression changes the colours of skin
    true_color_changes: Tensor  # [F, 3, W, W] the same as it should be


class Trainer(ABC, Generic[M, C]):
    """A network, what it learns from, and one step of it."""

    def __init__(
        self,
        people: Path,
        config: C,
        kind: NetworkKind[M],
        model: Any,
        clips: Sequence[Path] = (),
    ) -> None:
        """`model` is the network's config, `kind` says what it is; `clips` are samples of people
        in videos, learned from beside the synthetic people.

        Raises InputError if there are no people in the folder, AssetError for other weights.
        """
        torch.manual_seed(config.seed)
        self.config, self.kind = config, kind
        device = check_device(config.device)
        head, layout = load_open_head(), uv_layout(load_open_head(), model)
        self.head: FlameHead = to_device(head, device)
        self.layout: UvLayout = to_device(layout, device)
        self.model: M = kind.make(model, config.encoder_weights)
        if config.start:
            self.model.load_state_dict(kind.read(config.start, model)[0].state_dict())
        self.model.to(device)
        self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = WeightAverage(self.model)
        weights = trainable(self.model).values()
        rate = config.learning_rate
        self.optimiser = torch.optim.Adam(weights, lr=rate, betas=(0.9, 0.98), fused=True)
        synthetic = sample_paths(people, most=config.people)
        self.paths, self.synthetic = [*synthetic, *clips], len(synthetic)
        self.loader = SampleLoader(self.paths, head, layout, self.drive, device)
        self.valid = self.layout.texels.chart.valid.float()
        self.fine = layout.size // layout.motion_mask.shape[-1]
        whole = functional.avg_pool2d(self.valid[None], self.fine)[0]
        self.valid_coarse = self.layout.drive_texels.valid.float() * (whole > 0)

    @abstractmethod
    def drive(self, sample: Sample, codes: FlameCodes) -> Tensor:
        """The network's input for each frame's expression: [F, ...]."""

    @abstractmethod
    def losses(
        self, ready: PreparedSample, choice: SampleChoice, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Every term of one step, by its name in the config."""

    @abstractmethod
    def predict_person(self, ready: PreparedSample) -> PersonPrediction:
        """All frames of one person, with the weights that the network has now."""

    def coarsen(self, charts: Tensor) -> Tensor:
        """Colours at the coarser size: [B, 3, U, U] -> [B, 3, W, W]."""
        return coarsen_chart(charts, self.valid, self.fine)

    def true_changes(self, sample: Sample, frames: Sequence[int]) -> Tensor:
        """By how much colours change with each frame's expression: [E, 3, W, W]."""
        true = sample.synthetic_targets
        return true.charts[list(frames)] / BYTE - self.coarsen(true.chart[None] / BYTE)

    def true_offsets(self, sample: Sample) -> Tensor:
        """From the tracked head to the true one at rest: [T, 3] metres."""
        offsets = sample.synthetic_targets.off.float()
        return interpolate_barycentric(offsets, self.layout.texels.binding)

    def skin_mask(self) -> Tensor:
        """Skin whose colours change with expressions, 0..1: [1, W, W]."""
        return self.valid_coarse * self.layout.motion_mask

    def frame_losses(
        self,
        drawn: Mapping[int, Gaussians],
        sample: Sample,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Mean picture terms of frames, by number, before walls of any colour."""
        losses: dict[str, Tensor] = {}
        for frame, gaussians in drawn.items():
            true: TargetPicture = target_picture(self.head, sample, frame)
            wall = torch.rand(3, generator=generator).to(true.rgb)
            for name, loss in picture_losses(gaussians, true, wall).items():
                losses[name] = losses.get(name, 0) + loss / len(drawn)
        return losses

    def frame_rates(self, weights: Tensor, kinds: Tensor, viewmats: Tensor) -> Tensor:
        """How often each frame is drawn: [P, F, 52], [P, F], [P, F, 4, 4] -> [P, F]."""
        return frame_rates(weights, kinds, self.config.adjust)

    def step(self, ready: PreparedSample, choice: SampleChoice, number: int) -> dict[str, float]:
        """Learn from one person; the terms' values."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(number, self.config)
        generator = torch.Generator().manual_seed(number)
        losses = self.losses(ready, choice, generator)
        self.optimiser.zero_grad(set_to_none=True)
        weighted_sum(losses, self.config.losses).backward()
        for p in self.model.parameters():
            if p.grad is not None:
                torch.nan_to_num_(p.grad, 0.0, 0.0, 0.0)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.model, number)
        return {name: float(loss.detach()) for name, loss in losses.items()}


T = TypeVar("T", bound=Trainer)


def check_device(device: str) -> str:
    """Return the same name. Raises InputError where there is no such device."""
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise InputError(f"device: expected cpu, or cuda where there is one, got {device!r}")
    return device


def train(
    trainer: T,
    out: Path,
    progress: Progress = no_progress,
    validate: Callable[[T, int], Mapping[str, float]] = lambda trainer, step: {},
) -> T:
    """Train until `steps`, going on from `out` if a run of this model is there.

    The caller sees to it that people and settings are the same.

    `validate` is called at every checkpoint; what it returns is logged with the losses' means.
    Raises AssetError if `out` holds another model's run.
    """
    out.mkdir(parents=True, exist_ok=True)
    config: TrainConfig = trainer.config
    start = 0
    if (out / STATE).exists():
        start = load_state(out / STATE, trainer.model, trainer.average, trainer.optimiser)
    wanted = sample_choices(_all_frame_rates(trainer), config.frames, config.seed, start)
    began, total = time.perf_counter(), dict[str, list[float]]()
    for number, (ready, choice) in enumerate(trainer.loader.run(wanted), start):
        if number >= config.steps:
            break
        for name, value in trainer.step(ready, choice, number).items():
            total.setdefault(name, []).append(value)
        progress("training", (number + 1) / config.steps)
        if (number + 1) % config.save_every == 0 or number + 1 == config.steps:
            rest = (trainer.model, trainer.average, trainer.optimiser)
            save_state(out / STATE, *rest, number + 1)
            spent = (time.perf_counter() - began) / (number + 1 - start)
            means = {name: sum(values) / len(values) for name, values in total.items()}
            line = {"step": float(number + 1), "seconds_a_step": spent, **means}
            append_line(out / LOG, {**line, **validate(trainer, number + 1)})
            total = {}
    return trainer


def _all_frame_rates(trainer: Trainer[Any, Any]) -> Tensor:
    """How often each frame of each person is drawn, read from all samples: [P, F]."""
    rows: list[tuple[Tensor, ...]] = []
    for path in trainer.paths:
        with safe_open(path, "pt") as file:
            rows.append(tuple(file.get_tensor(n) for n in ("weights", "kinds", "viewmats")))
    return trainer.frame_rates(*(torch.stack(column) for column in zip(*rows, strict=True)))


def learning_rate_at(step: int, config: Schedule) -> float:
    """Adam's learning rate."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    share = min(1.0, (step - config.warm_up) / max(config.steps - config.warm_up, 1))
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
