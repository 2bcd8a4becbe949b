"""Images -> tokens: small nets of our own, and DINO where the user has its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from flexavatar.errors import AssetError
from flexavatar.models.blocks import ConvBlock, Down, TokenBlock
from flexavatar.models.config import QueryLrmConfig

PATCH = 16
"""Pixels a side that one token stands for."""
DINO_MEAN, DINO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A pretrained vision transformer of Hugging Face's `transformers`."""

    name: str
    family: str
    """Its classes' names there begin with this."""
    patch: int
    width: int
    sizes: Mapping[str, int]
    """What its config takes."""


DINOV3 = Backbone(
    "DINOv3", "DINOv3ViT", 16, 1024,
    {"patch_size": 16, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
         "num_attention_heads": 16, "num_register_tokens": 4},
)  # fmt: skip
"""ViT-L/16."""
DINOV2 = Backbone(
    "DINOv2", "Dinov2", 14, 768,
    {"patch_size": 14, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
         "image_size": 224},
)  # fmt: skip
"""ViT-B/14."""


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


class Dino(nn.Module):
    """A frozen backbone (extra `dino`)."""

    def __init__(self, kind: Backbone, weights: Path | None) -> None:
        """`weights` is a folder as `save_pretrained` writes it; None builds the net untrained.

        Raises AssetError where `transformers` or the weights are missing.
        """
        super().__init__()
        self.kind = kind
        self.backbone = _make_backbone(kind, weights)
        self.backbone.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, S, S] 0..1 -> [N, L, D]; class and register tokens are left out."""
        mean, std = (images.new_tensor(x)[:, None, None] for x in (DINO_MEAN, DINO_STD))
        with torch.no_grad():
            seen = self.backbone(pixel_values=(images - mean) / std).last_hidden_state
        return seen[:, -((images.shape[-1] // self.kind.patch) ** 2) :]


class DinoEncoder(Dino):
    """DINOv3's tokens at the width that is wanted."""

    def __init__(self, width: int, weights: Path | None) -> None:
        """Raises AssetError as Dino does."""
        super().__init__(DINOV3, weights)
        own = self.kind.width
        self.project = nn.Identity() if width == own else nn.Linear(own, width)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, S, S] 0..1 -> [N, L, D]."""
        return self.project(super().forward(images))


def _make_backbone(kind: Backbone, weights: Path | None) -> nn.Module:
    try:
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise AssetError(
            f"{kind.name}: expected the package `transformers` (extra `dino`)"
        ) from None
    make = getattr(transformers, f"{kind.family}Model")
    if weights is None:
        return make(getattr(transformers, f"{kind.family}Config")(**kind.sizes))
    if not (weights / "config.json").is_file():
        raise AssetError(f"{kind.name}: expected a folder with config.json, got {weights}")
    return make.from_pretrained(weights, local_files_only=True)


class PatchEncoder(nn.Module):
    """A small vision transformer over pictures of any channels, 16 x 16 pixels a token."""

    def __init__(self, channels: int, image_side: int, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, PATCH, stride=PATCH)
        self.places = nn.Parameter(torch.randn((image_side // PATCH) ** 2, width) * 0.02)
        self.blocks = nn.ModuleList(TokenBlock(width, heads) for _ in range(blocks))

    def forward(self, pictures: Tensor) -> Tensor:
        """[N, C, S, S] -> [N, L, D]."""
        x = self.stem(pictures).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x, x)
        return x


def make_encoder(config: QueryLrmConfig, weights: Path | None = None) -> nn.Module:
    """The encoder that a preset asks for. Raises AssetError as DinoEncoder does."""
    if config.encoder == "dinov3":
        return DinoEncoder(config.width, weights)
    return ConvEncoder(config.width, config.image_side)


def unique_images(images: Tensor) -> Tensor:
    """Each of [N, C, S, S] once: a repeated picture would weigh more in attention."""
    if len(images) == 1 or images.is_meta:
        return images
    kept: list[Tensor] = []
    for image in images:
        if not any(torch.equal(image, other) for other in kept):
            kept.append(image)
    return torch.stack(kept)
