"""Validation of a training run on people it never saw: figures and a picture a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from flexavatar.avatar.uv_maps import NeutralSplats, activate_splats, map_at_texels
from flexavatar.create.image_metrics import psnr_db
from flexavatar.formats.picture import to_uint8, write_picture
from flexavatar.head.binding import surface_motion
from flexavatar.models.channels import COLOR, MAP_CHANNELS
from flexavatar.render.composite import GREY, premultiplied_over_mid_grey, rasterize_over_grey
from flexavatar.training.loader import PreparedSample
from flexavatar.training.loop import Trainer
from flexavatar.training.losses import posed_gaussians
from flexavatar.training.pool import sample_paths
from flexavatar.training.samples import BYTE, KIND_NAMES
from flexavatar.training.state import trainable
from flexavatar.training.targets import target_picture
from flexavatar.types import Gaussians

PEOPLE = 12
"""Held-out people that are looked at."""
TRAINED_PEOPLE = 2
"""People that are learned from, looked at beside them: what the network can do at best."""
PICTURED = 4
MEAN_PEOPLE = 300
MODEL, EVIDENCE, MEAN = "shown", "plain", "mean"
"""Ways of showing: by the model, by the evidence alone, by everybody's mean on this head."""


@dataclass(frozen=True)
class FrameComparison:
    """One frame of one person: the truth, and pictures of it by the way they were made."""

    kind: int
    turned: bool  # seen from beyond what photos show
    true: NDArray[np.float32]
    pictures: Mapping[str, NDArray[np.float32]]
    mouth: tuple[slice, slice]
    true_change: float  # sum of squares by which the expression changes the true colours of skin
    missed_change: float  # the same of what is left of it when the model's change is taken away

    def psnr_db(self, way: str) -> float:
        """PSNR where the person is in either picture."""
        shown = self.pictures[way]
        there = (np.abs(self.true - GREY) > 1e-3).any(-1) | (np.abs(shown - GREY) > 1e-3).any(-1)
        return psnr_db(shown[there], self.true[there])


class Validation:
    """Scores held-out people with the averaged weights; called at every checkpoint."""

    def __init__(self, folder: Path, out: Path) -> None:
        """Raises InputError if no held-out people are there."""
        self.paths, self.out = sample_paths(folder, held_out=True)[:PEOPLE], out

    @torch.no_grad()
    def __call__(self, trainer: Trainer[Any, Any], step: int) -> dict[str, float]:
        """Figures by name; writes `step_N.png`."""
        own = {name: p.detach().clone() for name, p in trainable(trainer.model).items()}
        trainer.average.copy_to(trainer.model)
        mean = mean_chart(trainer).to(trainer.valid)
        try:
            tried = [
                compare_person(trainer, trainer.loader.prepare(path), mean) for path in self.paths
            ]
            known = [
                t.psnr_db(MODEL)
                for path in trainer.paths[:TRAINED_PEOPLE]
                for t in compare_person(trainer, trainer.loader.prepare(path), mean)
            ]
        finally:
            for name, p in trainable(trainer.model).items():
                p.copy_(own[name])
        rows = [np.concatenate([_column(t) for t in person], 1) for person in tried[:PICTURED]]
        write_picture(self.out / f"step_{step:06d}.png", to_uint8(np.concatenate(rows)))
        own_figures = validation_figures([t for person in tried for t in person])
        return own_figures | {"psnr_known_db": float(np.mean(known))}


def validation_figures(tried: list[FrameComparison]) -> dict[str, float]:
    """Mean dB by kind of expression, of turned views and others, of mouths, by way of showing.

    The usual way has no name of its own; `plain` is evidence alone. `explained` is the share of
    the colours' change with the expression that is foreseen.
    """
    kinds = {name: [t for t in tried if t.kind == i] for i, name in enumerate(KIND_NAMES)}
    views = {
        "turned_": [t for t in tried if t.turned],
        "front_": [t for t in tried if not t.turned],
    }
    groups = {f"{name}_": group for name, group in kinds.items()} | views | {"": tried}
    found: dict[str, float] = {}
    for way in tried[0].pictures:
        own = "" if way == MODEL else f"{way}_"
        found |= {
            f"psnr_{own}{name}db": float(np.mean([t.psnr_db(way) for t in group]))
            for name, group in groups.items()
            if group
        }
    found |= {
        f"explained_{name}": 1
        - sum(t.missed_change for t in group) / sum(t.true_change for t in group)
        for name, group in kinds.items()
        if sum(t.true_change for t in group) > 0
    }
    seen = [t for t in tried if t.true[t.mouth].size]
    mouths = [psnr_db(t.pictures[MODEL][t.mouth], t.true[t.mouth]) for t in seen]
    return found | ({"psnr_mouth_db": float(np.mean(mouths))} if mouths else {})


def mean_chart(trainer: Trainer[Any, Any]) -> Tensor:
    """Mean true colours of the people that are trained on: [3, U, U] 0..1."""
    charts: list[Tensor] = []
    for path in trainer.paths[: min(MEAN_PEOPLE, trainer.synthetic)]:
        with safe_open(path, "pt") as file:
            charts.append(file.get_tensor("chart").float() / BYTE)
    return torch.stack(charts).mean(0)


def compare_person(
    trainer: Trainer[Any, Any], ready: PreparedSample, mean: Tensor
) -> list[FrameComparison]:
    """Compare all frames of one person; `mean` [3, U, U] are everybody's colours."""
    sample, chart = ready.sample, trainer.layout.texels.chart
    found = trainer.predict_person(ready)
    painted = {
        name: _with_colors(map_at_texels(colors, chart), ready)
        for name, colors in ((EVIDENCE, ready.evidence.base[0]), (MEAN, mean))
    }
    true_changes = found.true_color_changes.square().sum((1, 2, 3)).tolist()
    missed = (found.color_changes - found.true_color_changes).square().sum((1, 2, 3)).tolist()
    tried: list[FrameComparison] = []
    for frame, kind in enumerate(sample.kinds.tolist()):
        true = target_picture(trainer.head, sample, frame)
        drawn = {name: shown[frame] for name, shown in found.gaussians.items()}
        drawn |= {name: _posed_gaussians(trainer, ready, frame, x) for name, x in painted.items()}
        looks = {name: rasterize_over_grey(x, true.camera) for name, x in drawn.items()}
        grey = premultiplied_over_mid_grey(true.rgb.cpu().numpy(), true.cover.cpu().numpy())
        turned = float(true.camera.viewmat[2, 2]) > -0.5
        change = (true_changes[frame], missed[frame])
        tried.append(FrameComparison(kind, turned, grey, looks, true.mouth, *change))
    return tried


def _with_colors(colors: Tensor, ready: PreparedSample) -> NeutralSplats:
    """The tracked head with these colours [T, 3] and nothing predicted."""
    blank = colors.new_zeros(len(colors), MAP_CHANNELS)
    blank[:, COLOR] = torch.logit(colors, eps=0.02)
    return activate_splats(blank, ready.discs)


def _posed_gaussians(
    trainer: Trainer[Any, Any], ready: PreparedSample, frame: int, splats: NeutralSplats
) -> Gaussians:
    """Splats moved with the tracked head in one frame."""
    sample = ready.sample
    posed: Tensor = sample.neutral + sample.moves[frame].float()
    motion = surface_motion(sample.neutral, posed, trainer.head.faces)
    return posed_gaussians(splats, trainer.layout.texels.binding, motion)


def _column(tried: FrameComparison) -> NDArray[np.float32]:
    """The truth above what the model makes of it, and the evidence if nothing else compares."""
    own = [look for way, look in tried.pictures.items() if way not in (EVIDENCE, MEAN)]
    return np.concatenate(
        (tried.true, *(own if len(own) > 1 else [tried.pictures[EVIDENCE], *own]))
    )
