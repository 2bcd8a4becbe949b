"""A training run on disk: weights, moving average, optimiser and step, all without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from flexavatar.errors import AssetError

DECAY = 0.999
"""How slowly the averaged weights follow."""
MOMENTS = ("exp_avg", "exp_avg_sq")
KINDS = ("model", "average", *MOMENTS)


class WeightAverage:
    """Exponential moving average of a network's weights, which is what is used in the end."""

    def __init__(self, model: nn.Module) -> None:
        self.values = {name: p.detach().clone() for name, p in trainable(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the network's weights; faster in the beginning."""
        slow = min(DECAY, (1 + step) / (10 + step))
        now: list[Tensor | nn.Parameter] = [p.detach() for p in trainable(model).values()]
        get_ema_multi_avg_fn(slow)(list(self.values.values()), now, step)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Give a network the averaged weights."""
        for name, p in trainable(model).items():
            p.copy_(self.values[name])


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that change, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def save_state(
    path: Path, model: nn.Module, average: WeightAverage, optimiser: torch.optim.Adam, step: int
) -> None:
    """Write all that is needed to go on, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, p in trainable(model).items():
        tensors[f"model/{name}"] = p.detach()
        tensors[f"average/{name}"] = average.values[name]
        for key in MOMENTS:
            tensors[f"{key}/{name}"] = optimiser.state[p][key]
    part = path.with_suffix(".part")
    packed = {k: v.contiguous().cpu() for k, v in tensors.items()}
    save_file(packed, part, {"run": json.dumps({"step": step})})
    part.rename(path)


def load_state(
    path: Path, model: nn.Module, average: WeightAverage, optimiser: torch.optim.Adam
) -> int:
    """Go on from where `save_state` was; returns the step. Raises AssetError for another model."""
    try:
        with safe_open(path, "pt") as file:
            step = int(json.loads((file.metadata() or {})["run"])["step"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise AssetError(f"{path}: expected the state of a training run ({error})") from None
    wanted = trainable(model)
    sizes = {f"{kind}/{name}": p.shape for name, p in wanted.items() for kind in KINDS}
    if {key: value.shape for key, value in tensors.items()} != sizes:
        raise AssetError(f"{path}: expected a run of this model, got another's")
    with torch.no_grad():
        for name, p in wanted.items():
            p.copy_(tensors[f"model/{name}"])
            average.values[name].copy_(tensors[f"average/{name}"])
            # the fused step goes through memory as it lies: strides must be the parameter's
            moments = {k: torch.empty_like(p).copy_(tensors[f"{k}/{name}"]) for k in MOMENTS}
            optimiser.state[p] = {"step": torch.tensor(float(step), device=p.device), **moments}
    return step


def append_line(path: Path, values: Mapping[str, float]) -> None:
    """One more line of a JSON-lines log."""
    with path.open("a") as file:
        file.write(json.dumps({k: round(v, 6) for k, v in values.items()}) + "\n")
