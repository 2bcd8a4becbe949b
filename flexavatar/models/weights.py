"""Trained weights on disk: half precision in safetensors, with what they were made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from flexavatar.errors import AssetError
from flexavatar.models.config import PRESETS, QueryLrmConfig
from flexavatar.models.query_lrm import QueryLrm

FOLDER = Path(__file__).parents[1] / "assets" / "models"


def query_lrm_path(preset: str) -> Path:
    """Where the weights of one preset of P are installed."""
    return FOLDER / f"query_lrm_{preset}.safetensors"


def save_query_lrm(model: QueryLrm, path: Path, metadata: Mapping[str, str]) -> None:
    """Write float16 weights with the model's config and `metadata` (steps, say) beside it."""
    tensors = {name: x.detach().cpu().half().contiguous() for name, x in model.state_dict().items()}
    save_file(tensors, path, {**metadata, "config": json.dumps(asdict(model.config))})


def load_query_lrm(preset: str) -> tuple[QueryLrm, str]:
    """P as it is installed, float32 on the CPU, and its fingerprint, the file's SHA-256 in hex.

    Cached: the model is everybody's and must not be changed. Raises AssetError if the preset is
    not known, or its weights are missing, damaged, or of another shape.
    """
    if preset not in PRESETS:
        raise AssetError(f"query_lrm: expected a preset of {', '.join(PRESETS)}, got {preset!r}")
    return read_query_lrm(query_lrm_path(preset), PRESETS[preset])


def query_lrm_with(preset: str, fingerprint: str) -> QueryLrm:
    """P as `load_query_lrm` gives it. Raises AssetError if other weights than these are there."""
    model, found = load_query_lrm(preset)
    if found != fingerprint:
        raise AssetError(
            f"query_lrm: expected {preset} weights {fingerprint[:12]}, which this was made with,"
            f" got {found[:12]}: make it again with the weights that are installed"
        )
    return model


@lru_cache(maxsize=4)
def read_query_lrm(path: Path, config: QueryLrmConfig) -> tuple[QueryLrm, str]:
    """What `save_query_lrm` wrote, and its fingerprint. Raises AssetError for anything else."""
    try:
        with safe_open(path, framework="pt") as file:
            found = _config_of(file.metadata() or {})
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, SafetensorError) as error:
        raise AssetError(f"query_lrm: expected weights in {path} ({error})") from None
    if found != json.loads(json.dumps(asdict(config))):
        raise AssetError(f"query_lrm: {path}: expected a model of {asdict(config)}, got {found}")
    if not all(bool(torch.isfinite(x).all()) for x in tensors.values()):
        raise AssetError(f"query_lrm: {path}: expected finite weights, got NaN or infinity")
    model = QueryLrm(config)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise AssetError(f"query_lrm: {path} does not fit its config ({error})") from None
    return model.eval().requires_grad_(False), fingerprint


def _config_of(metadata: Mapping[str, str]) -> Any:
    """The config as JSON gives it back. Raises ValueError where there is none."""
    if "config" not in metadata:
        raise ValueError("its metadata has no config")
    return json.loads(metadata["config"])
