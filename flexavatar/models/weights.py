"""Trained weights on disk: half precision in safetensors, with what they were made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from flexavatar.errors import AssetError
from flexavatar.models.bias_sink import BiasSink
from flexavatar.models.blocks import Network
from flexavatar.models.config import BIAS_SINK_PRESETS, QUERY_LRM_PRESETS
from flexavatar.models.query_lrm import QueryLrm

FOLDER = Path(__file__).parents[1] / "assets" / "models"
M = TypeVar("M", bound=Network)


@dataclass(frozen=True)
class NetworkKind(Generic[M]):
    """One kind of network: its name in files and messages, its presets, how it is made."""

    name: str
    presets: Mapping[str, Any]
    make: Callable[..., M]

    def path(self, preset: str) -> Path:
        """Where the weights of one preset are installed."""
        return FOLDER / f"{self.name}_{preset}.safetensors"

    def save(self, model: M, path: Path, metadata: Mapping[str, str]) -> None:
        """Write float16 weights with the model's config and `metadata` (steps, say) beside it."""
        state = model.state_dict()
        tensors = {name: x.detach().cpu().half().contiguous() for name, x in state.items()}
        save_file(tensors, path, {**metadata, "config": json.dumps(asdict(model.config))})

    def load(self, preset: str) -> tuple[M, str]:
        """The model as it is installed, float32 on the CPU, and its fingerprint: SHA-256 in hex.

        Cached: the model is everybody's and must not be changed. Raises AssetError if the preset
        is not known, or its weights are missing, damaged, or of another shape.
        """
        if preset not in self.presets:
            known = ", ".join(self.presets)
            raise AssetError(f"{self.name}: expected a preset of {known}, got {preset!r}")
        return self.read(self.path(preset), self.presets[preset])

    def read(self, path: Path, config: Any) -> tuple[M, str]:
        """What `save` wrote for a model of this config. Raises AssetError for anything else."""
        model, fingerprint = _read_cached(self.name, path, config, self.make)
        return model, fingerprint  # pyright: ignore[reportReturnType]

    def load_matching(self, preset: str, fingerprint: str) -> M:
        """As `load` gives it. Raises AssetError if other weights than these are there."""
        model, found = self.load(preset)
        if found != fingerprint:
            raise AssetError(
                f"{self.name}: expected {preset} weights {fingerprint[:12]}, which this was made"
                f" with, got {found[:12]}: make it again with the weights that are installed"
            )
        return model


QUERY_LRM = NetworkKind("query_lrm", QUERY_LRM_PRESETS, QueryLrm)
BIAS_SINK = NetworkKind("bias_sink", BIAS_SINK_PRESETS, BiasSink)

query_lrm_path, bias_sink_path = QUERY_LRM.path, BIAS_SINK.path
save_query_lrm, save_bias_sink = QUERY_LRM.save, BIAS_SINK.save
load_query_lrm, load_bias_sink = QUERY_LRM.load, BIAS_SINK.load
load_matching_query_lrm, load_matching_bias_sink = QUERY_LRM.load_matching, BIAS_SINK.load_matching


@lru_cache(maxsize=4)
def _read_cached(
    name: str, path: Path, config: Any, make: Callable[..., nn.Module]
) -> tuple[nn.Module, str]:
    try:
        with safe_open(path, framework="pt") as file:
            found = _config_of(file.metadata() or {})
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, SafetensorError) as error:
        raise AssetError(f"{name}: expected weights in {path} ({error})") from None
    if found != json.loads(json.dumps(asdict(config))):
        raise AssetError(f"{name}: {path}: expected a model of {asdict(config)}, got {found}")
    if not all(bool(torch.isfinite(x).all()) for x in tensors.values()):
        raise AssetError(f"{name}: {path}: expected finite weights, got NaN or infinity")
    model = make(config)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise AssetError(f"{name}: {path} does not fit its config ({error})") from None
    return model.eval().requires_grad_(False), fingerprint


def _config_of(metadata: Mapping[str, str]) -> Any:
    """The config as JSON gives it back. Raises ValueError where there is none."""
    if "config" not in metadata:
        raise ValueError("its metadata has no config")
    return json.loads(metadata["config"])
