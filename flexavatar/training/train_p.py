"""Trains P on synthetic people: `flexavatar train p`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from flexavatar.errors import InputError
from flexavatar.head.binding import surface_motion
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.models.maps import (
    Canvas,
    activate,
    at_texels,
    canvas_of,
    changed,
    enlarged,
)
from flexavatar.models.query_lrm import COLOR, AvatarCode, QueryLrm
from flexavatar.models.weights import read_query_lrm
from flexavatar.render.camera import project
from flexavatar.training.balance import frame_weights
from flexavatar.training.config import TrainConfig
from flexavatar.training.loader import Loader, Order, Ready, orders
from flexavatar.training.losses import (
    MOUTH_PAD,
    Picture,
    change_loss,
    chart_loss,
    coarsened,
    picture_losses,
    rest_loss,
    static_losses,
    weighted,
)
from flexavatar.training.pool import people_in
from flexavatar.training.samples import BYTE, Sample
from flexavatar.training.state import Average, append_line, load_state, save_state, trained
from flexavatar.types import Camera, to_device

Progress = Callable[[str, float], None]
STATE, LOG = "state.safetensors", "log.jsonl"


@dataclass(frozen=True)
class Predicted:
    """One person's code and what it becomes with some expressions."""

    code: AvatarCode
    raw: Tensor  # [T, 14] static maps at the texels
    change: Tensor  # [E, 14, W, W] dG under M_dyn

    def at(self, place: int, canvas: Canvas) -> Tensor:
        """One expression's dG at the texels: [T, 14]."""
        return at_texels(enlarged(self.change[place : place + 1], canvas)[0], canvas.texels.chart)


class Trainer:
    """The network, what it learns from, and one step of it."""

    def __init__(self, people: Path, config: TrainConfig) -> None:
        """Raises InputError if there are no people in the folder, AssetError for other weights."""
        torch.manual_seed(config.seed)
        self.config = config
        device = checked_device(config.device)
        head, canvas = load_open_head(), canvas_of(load_open_head(), config.model)
        self.head: FlameHead = to_device(head, device)
        self.canvas: Canvas = to_device(canvas, device)
        self.model = QueryLrm(config.model, config.encoder_weights)
        if config.start:
            self.model.load_state_dict(read_query_lrm(config.start, config.model)[0].state_dict())
        self.model.to(device)
        self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = Average(self.model)
        weights = trained(self.model).values()
        rate = config.learning_rate
        self.optimiser = torch.optim.Adam(weights, lr=rate, betas=(0.9, 0.98), fused=True)
        self.paths = people_in(people, most=config.people)
        self.loader = Loader(self.paths, head, canvas, device)
        self.valid = self.canvas.texels.chart.valid.float()
        whole = functional.avg_pool2d(self.valid[None], config.model.fine)[0]
        self.valid_coarse = self.canvas.coarse.valid.float() * (whole > 0)

    def predict(self, ready: Ready, frames: tuple[int, ...]) -> Predicted:
        """Encode a person and drive them."""
        told = ready.evidence if self.config.model.evidence else None
        code = self.model.encode(ready.images, told)
        picked = list(frames)
        drive = ready.drives if self.config.drive == "map" else ready.numbers
        change = self.model.dynamic(code, drive[picked]) * self.canvas.moving
        raw = at_texels(code.static[0], self.canvas.texels.chart)
        return Predicted(code, raw, change)

    def coarse(self, chart: Tensor) -> Tensor:
        """Colours at the driving map's size: [1, 3, U, U] -> [1, 3, W, W]."""
        return coarsened(chart, self.valid, self.config.model.fine)

    def color_changes(
        self, told: Predicted, sample: Sample, frames: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """By how much colours of skin change with each expression, said and true: [E, 3, W, W]."""
        where = self.valid_coarse * self.canvas.moving
        still = self.coarse(torch.sigmoid(told.code.static[:, COLOR]).detach())
        driven = torch.sigmoid(torch.logit(still, eps=1e-3) + told.change[:, COLOR])
        true = sample.charts[list(frames)] / BYTE - self.coarse(sample.chart[None] / BYTE)
        return (driven - still) * where, true * where

    def losses(self, ready: Ready, order: Order, generator: torch.Generator) -> dict[str, Tensor]:
        """Every term of one step."""
        sample, config = ready.sample, self.config
        told = self.predict(ready, order.frames)
        still = torch.sigmoid(told.code.static[:, COLOR])
        losses = static_losses(told.raw, ready.off)
        chart = chart_loss(still, sample.chart[None] / BYTE, self.valid, config.losses)
        changed = self.color_changes(told, sample, order.frames)
        losses |= {"chart": chart, "change": change_loss(*changed), "rest": rest_loss(told.change)}
        for i in range(config.pictures):
            wall = torch.rand(3, generator=generator).to(still)
            for name, loss in self.pictured(ready, told, order.frames[i], i, wall).items():
                losses[name] = losses.get(name, 0) + loss / config.pictures
        return losses

    def pictured(
        self, ready: Ready, told: Predicted, frame: int, place: int, wall: Tensor
    ) -> dict[str, Tensor]:
        """Terms of one frame drawn; `place` is the frame's among those driven."""
        sample, texels = ready.sample, self.canvas.texels
        splats = activate(told.raw, ready.discs)
        splats = changed(splats, told.at(place, self.canvas))
        posed = sample.neutral + sample.moves[frame].float()
        motion = surface_motion(sample.neutral, posed, self.head.faces)
        true = true_picture(sample, frame, mouth_box(self.head, sample, frame))
        return picture_losses(splats, texels.binding, motion, true, wall)

    def step(self, ready: Ready, order: Order, number: int) -> dict[str, float]:
        """Learn from one person; the terms' values."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(number, self.config)
        generator = torch.Generator().manual_seed(number)
        losses = self.losses(ready, order, generator)
        self.optimiser.zero_grad(set_to_none=True)
        weighted(losses, self.config.losses).backward()
        for p in self.model.parameters():
            if p.grad is not None:
                torch.nan_to_num_(p.grad, 0.0, 0.0, 0.0)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.follow(self.model, number)
        return {name: float(loss.detach()) for name, loss in losses.items()}


def checked_device(device: str) -> str:
    """The same name. Raises InputError where there is no such device."""
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise InputError(f"device: expected cpu, or cuda where there is one, got {device!r}")
    return device


def train(
    people: Path,
    out: Path,
    config: TrainConfig,
    progress: Progress = lambda what, share: None,
    watch: Callable[[Trainer, int], Mapping[str, float]] = lambda trainer, step: {},
) -> Trainer:
    """Train until `steps`, going on from `out` if a run of this model is there.

    It is the caller's to go on with the same people and settings.

    `watch` is called at every checkpoint; what it returns is logged with the losses' means.
    Raises InputError without people, AssetError if `out` holds another model's run.
    """
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(people, config)
    start = 0
    if (out / STATE).exists():
        start = load_state(out / STATE, trainer.model, trainer.average, trainer.optimiser)
    weights = _all_frames(trainer)
    wanted = orders(weights, config.frames, config.seed, start)
    began, total = time.perf_counter(), dict[str, list[float]]()
    for number, (ready, order) in enumerate(trainer.loader.run(wanted), start):
        if number >= config.steps:
            break
        for name, value in trainer.step(ready, order, number).items():
            total.setdefault(name, []).append(value)
        progress("training", (number + 1) / config.steps)
        if (number + 1) % config.save_every == 0 or number + 1 == config.steps:
            rest = (trainer.model, trainer.average, trainer.optimiser)
            save_state(out / STATE, *rest, number + 1)
            spent = (time.perf_counter() - began) / (number + 1 - start)
            means = {name: sum(values) / len(values) for name, values in total.items()}
            line = {"step": float(number + 1), "seconds_a_step": spent, **means}
            append_line(out / LOG, {**line, **watch(trainer, number + 1)})
            total = {}
    return trainer


def _all_frames(trainer: Trainer) -> Tensor:
    """How often each frame of each person is drawn: [P, F]."""
    from safetensors import safe_open

    rows: list[tuple[Tensor, Tensor]] = []
    for path in trainer.paths:
        with safe_open(path, "pt") as file:
            rows.append((file.get_tensor("weights"), file.get_tensor("kinds")))
    weights, kinds = (torch.stack(column) for column in zip(*rows, strict=True))
    return frame_weights(weights, kinds, trainer.config.adjust)


def rate_at(step: int, config: TrainConfig) -> float:
    """Adam's learning rate."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    share = min(1.0, (step - config.warm_up) / max(config.steps - config.warm_up, 1))
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def camera_of(sample: Sample, frame: int) -> Camera:
    """Where a frame is seen from, in the tracked head's space."""
    height, width = sample.cover.shape[1:]
    return Camera(sample.viewmats[frame], sample.Ks[frame], width, height)


def true_picture(sample: Sample, frame: int, mouth: tuple[slice, slice]) -> Picture:
    """A frame as the losses take it."""
    return Picture(
        camera_of(sample, frame), sample.rgb[frame] / BYTE, sample.cover[frame] / BYTE, mouth
    )


def mouth_box(head: FlameHead, sample: Sample, frame: int) -> tuple[slice, slice]:
    """Rows and columns around the lips; empty where they are turned away."""
    camera = camera_of(sample, frame)
    lips = head.masks["lips"] > 0.5
    posed = (sample.neutral + sample.moves[frame].float())[lips]
    facing = camera.viewmat[2, 2] < -0.3  # the head looks to +z
    pixels = project(camera, posed)[:, :2]
    low, high = pixels.amin(0), pixels.amax(0)
    pad = MOUTH_PAD * float(high[0] - low[0])
    if not facing:
        return slice(0, 0), slice(0, 0)
    sides = [
        slice(max(0, int(low[i] - pad)), max(0, min(size, int(high[i] + pad))))
        for i, size in ((1, camera.height), (0, camera.width))
    ]
    return sides[0], sides[1]
