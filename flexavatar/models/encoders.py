"""Images -> tokens: a small net of our own, or DINOv3 where the user has its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from flexavatar.errors import AssetError
from flexavatar.models.blocks import ConvBlock, Down
from flexavatar.models.config import QueryLrmConfig

PATCH = 16
"""Pixels a side that one token stands for."""
DINO_WIDTH = 1024
DINO_MEAN, DINO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ConvEncoder(nn.Module):
    """Five levels of convolutions down to a token for 16 x 16 pixels."""

    def __init__(self, width: int, image_side: int) -> None:
        super().__init__()
        side = image_side // PATCH
        self.stem = nn.Conv2d(3 * 16, width // 2, 1)  # of 4 x 4 pixels each
        self.levels = nn.Sequential(
            ConvBlock(width // 2), Down(width // 2, width), ConvBlock(width),
            Down(width, width), ConvBlock(width), ConvBlock(width),
        )  # fmt: skip
        self.places = nn.Parameter(torch.randn(1, width, side, side) * 0.02)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, S, S] 0..1 -> [N, L, D]."""
        folded = functional.pixel_unshuffle(images - 0.5, 4)
        return (self.levels(self.stem(folded)) + self.places).flatten(2).transpose(1, 2)


class DinoEncoder(nn.Module):
    """Frozen DINOv3 ViT-L/16 by Hugging Face's `transformers` (extra `dino`)."""

    def __init__(self, width: int, weights: Path | None) -> None:
        """`weights` is a folder as `save_pretrained` writes it; None builds the net untrained.

        Raises AssetError where `transformers` or the weights are missing.
        """
        super().__init__()
        self.backbone = _backbone(weights)
        self.project = nn.Identity() if width == DINO_WIDTH else nn.Linear(DINO_WIDTH, width)
        self.backbone.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, S, S] 0..1 -> [N, L, D]; class and register tokens are left out."""
        mean, std = (images.new_tensor(x)[:, None, None] for x in (DINO_MEAN, DINO_STD))
        with torch.no_grad():
            seen = self.backbone(pixel_values=(images - mean) / std).last_hidden_state
        patches = (images.shape[-1] // PATCH) ** 2
        return self.project(seen[:, -patches:])


def _backbone(weights: Path | None) -> nn.Module:
    try:
        from transformers import (  # pyright: ignore[reportMissingImports]
            DINOv3ViTConfig,
            DINOv3ViTModel,
        )
    except ImportError:
        raise AssetError("DINOv3: expected the package `transformers` (extra `dino`)") from None
    if weights is None:
        config = DINOv3ViTConfig(
            patch_size=PATCH, hidden_size=DINO_WIDTH, intermediate_size=4096, num_hidden_layers=24,
            num_attention_heads=16, num_register_tokens=4,
        )  # fmt: skip
        return DINOv3ViTModel(config)
    if not (weights / "config.json").is_file():
        raise AssetError(f"DINOv3: expected a folder with config.json, got {weights}")
    return DINOv3ViTModel.from_pretrained(weights, local_files_only=True)


def make_encoder(config: QueryLrmConfig, weights: Path | None = None) -> nn.Module:
    """The encoder that a preset asks for. Raises AssetError as DinoEncoder does."""
    if config.encoder == "dinov3":
        return DinoEncoder(config.width, weights)
    return ConvEncoder(config.width, config.image_side)
