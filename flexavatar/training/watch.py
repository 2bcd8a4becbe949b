"""How a training run does on people it never saw: figures and a picture at every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from flexavatar.evaluation.metrics import psnr_db
from flexavatar.formats.picture import to_bytes, write_picture
from flexavatar.head.binding import surface_motion
from flexavatar.models.maps import TexelSplats, activate, at_texels, changed
from flexavatar.models.query_lrm import COLOR
from flexavatar.render.backdrop import GREY, draw_on_grey, premultiplied_on_grey
from flexavatar.training.loader import Ready
from flexavatar.training.losses import gaussians_of
from flexavatar.training.pool import people_in
from flexavatar.training.samples import BYTE, NAMES
from flexavatar.training.state import trained
from flexavatar.training.train_p import (
    Predicted,
    Trainer,
    camera_of,
    mouth_box,
    true_picture,
)

PEOPLE = 12
"""Held-out people that are looked at."""
PICTURED = 4
OF_MEAN = 300


@dataclass(frozen=True)
class Tried:
    """One frame of one person: the truth, what the evidence alone gives, everybody's mean on
    this head, what the model makes."""

    kind: int
    turned: bool  # seen from beyond what photos show
    true: NDArray[np.float32]
    plain: NDArray[np.float32]
    mean: NDArray[np.float32]
    shown: NDArray[np.float32]
    mouth: tuple[slice, slice]
    true_change: float  # sum of squares by which the expression changes the true colours of skin
    missed: float  # the same of what is left of it when the model's change is taken away

    def psnr_db(self, shown: NDArray[np.float32]) -> float:
        """Where the person is in either picture."""
        there = (np.abs(self.true - GREY) > 1e-3).any(-1) | (np.abs(shown - GREY) > 1e-3).any(-1)
        return psnr_db(shown[there], self.true[there])


class Watch:
    """Looks at held-out people with the averaged weights."""

    def __init__(self, folder: Path, out: Path) -> None:
        """Raises InputError if no held-out people are there."""
        self.paths, self.out = people_in(folder, held_out=True)[:PEOPLE], out

    @torch.no_grad()
    def __call__(self, trainer: Trainer, step: int) -> dict[str, float]:
        """Figures by name; writes `step_N.png`."""
        own = {name: p.detach().clone() for name, p in trained(trainer.model).items()}
        trainer.average.into(trainer.model)
        mean = mean_chart(trainer).to(trainer.valid)
        try:
            tried = [tried_on(trainer, trainer.loader.ready(path), mean) for path in self.paths]
        finally:
            for name, p in trained(trainer.model).items():
                p.copy_(own[name])
        rows = [np.concatenate([_column(t) for t in person], 1) for person in tried[:PICTURED]]
        write_picture(self.out / f"step_{step:06d}.png", to_bytes(np.concatenate(rows)))
        return figures([t for person in tried for t in person])


def figures(tried: list[Tried]) -> dict[str, float]:
    """Mean dB by kind of expression, of turned views, of mouths; `plain` is evidence alone.

    `explained` is the share of the colours' change with the expression that is foreseen.
    """
    groups = {f"psnr_{name}_db": [t for t in tried if t.kind == i] for i, name in enumerate(NAMES)}
    groups |= {"psnr_turned_db": [t for t in tried if t.turned], "psnr_db": tried}
    found = {n: float(np.mean([t.psnr_db(t.shown) for t in g])) for n, g in groups.items() if g}
    found |= {
        f"explained_{name}": 1 - sum(t.missed for t in g) / sum(t.true_change for t in g)
        for name, g in ((name, [t for t in tried if t.kind == i]) for i, name in enumerate(NAMES))
        if sum(t.true_change for t in g) > 0
    }
    found["psnr_plain_db"] = float(np.mean([t.psnr_db(t.plain) for t in tried]))
    found["psnr_mean_db"] = float(np.mean([t.psnr_db(t.mean) for t in tried]))
    mouths = [psnr_db(t.shown[t.mouth], t.true[t.mouth]) for t in tried if t.true[t.mouth].size]
    return found | ({"psnr_mouth_db": float(np.mean(mouths))} if mouths else {})


def mean_chart(trainer: Trainer) -> Tensor:
    """Mean true colours of the people that are trained on: [3, U, U] 0..1."""
    charts: list[Tensor] = []
    for path in trainer.paths[:OF_MEAN]:
        with safe_open(path, "pt") as file:
            charts.append(file.get_tensor("chart").float() / BYTE)
    return torch.stack(charts).mean(0)


def tried_on(trainer: Trainer, ready: Ready, mean: Tensor) -> list[Tried]:
    """All frames of one person."""
    sample, texels = ready.sample, trainer.canvas.texels
    everything = tuple(range(len(sample.kinds)))
    told = trainer.predict(ready, everything)
    splats = activate(told.raw, ready.discs)
    plain, usual = (
        _painted(at_texels(chart, texels.chart), told.raw, ready)
        for chart in (ready.evidence.base[0], mean)
    )
    true_changes, missed = _changes(trainer, ready, told)
    found: list[Tried] = []
    for frame in everything:
        moved = changed(splats, told.at(frame, trainer.canvas))
        box = mouth_box(trainer.head, sample, frame)
        true = true_picture(sample, frame, box)
        grey = premultiplied_on_grey(true.rgb.cpu().numpy(), true.cover.cpu().numpy())
        all_of = (plain, usual, moved)
        before, average, after = (_drawn(trainer, ready, frame, splats) for splats in all_of)
        turned = float(camera_of(sample, frame).viewmat[2, 2]) > -0.5
        looks = (grey, before, average, after)
        own = (float(true_changes[frame]), float(missed[frame]))
        found.append(Tried(int(sample.kinds[frame]), turned, *looks, box, *own))
    return found


def _changes(trainer: Trainer, ready: Ready, told: Predicted) -> tuple[Tensor, Tensor]:
    """Squares of how colours change with each frame's expression, and of what is missed: [F]."""
    frames = range(len(ready.sample.kinds))
    said, true = (x.detach() for x in trainer.color_changes(told, ready.sample, frames))
    return true.square().sum((1, 2, 3)), (said - true).square().sum((1, 2, 3))


def _painted(colors: Tensor, raw: Tensor, ready: Ready) -> TexelSplats:
    """The tracked head with these colours [T, 3] and nothing else predicted."""
    blank = torch.zeros_like(raw)
    blank[:, COLOR] = torch.logit(colors, eps=0.02)
    return activate(blank, ready.discs)


def _drawn(trainer: Trainer, ready: Ready, frame: int, splats: TexelSplats) -> NDArray[np.float32]:
    sample = ready.sample
    posed: Tensor = sample.neutral + sample.moves[frame].float()
    motion = surface_motion(sample.neutral, posed, trainer.head.faces)
    gaussians = gaussians_of(splats, trainer.canvas.texels.binding, motion)
    return draw_on_grey(gaussians, camera_of(sample, frame))


def _column(tried: Tried) -> NDArray[np.float32]:
    return np.concatenate((tried.true, tried.plain, tried.shown))
