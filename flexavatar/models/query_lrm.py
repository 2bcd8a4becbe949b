"""P: photos -> maps of Gaussians over the head's chart, and what an expression adds to them.

Peng et al., "FlexAvatar: Flexible Large Reconstruction Model for Animatable Gaussian Head Avatars
with Detailed Deformation" (CVPR 2026), sections 3.1-3.3. Not stated there, and ours: the sizes of
heads and UNet, the evidence that the small preset is shown, and folding the driving map.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from flexavatar.models.blocks import Attention, ConvBlock, Down, Network, TokenBlock, Up, zero_init
from flexavatar.models.channels import COLOR, EVIDENCE_CHANNELS, MAP_CHANNELS, ChartEvidence
from flexavatar.models.config import QueryLrmConfig
from flexavatar.models.encoders import make_encoder, unique_images
from flexavatar.types import check_shape

DRIVE_CHANNELS = 3
DRIVE_UNIT = 0.01
"""Metres that a driving map's 1 stands for: expressions move skin by about that."""
COEFFICIENTS = 129
"""Numbers of an expression: 100 expression, jaw 3, gaze 2 x 3, eyelids 2, correctives 18."""


@dataclass(frozen=True)
class AvatarCode:
    """What is stored of a person; free of pose and expression."""

    static: Tensor  # [B, 14, U, U] G_st before activation
    identity: Tensor  # [B, C, W, W] F_id


class Decoder(nn.Module):
    """Features of the queries -> F_id and static maps, with the evidence at every size."""

    def __init__(self, config: QueryLrmConfig) -> None:
        super().__init__()
        widths = (config.width, *config.decoder)
        self.told = config.evidence
        if self.told:
            folded = EVIDENCE_CHANNELS * config.fine**2
            self.stem = nn.Conv2d(folded, widths[-1], 3, padding=1)
            self.downs = nn.ModuleList(
                nn.Sequential(ConvBlock(a), Down(a, b)) for a, b in pairwise(reversed(widths))
            )
            self.merges = nn.ModuleList(nn.Conv2d(2 * w, w, 1) for w in widths)
        self.ups = nn.ModuleList(Up(a, b) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(ConvBlock(w) for w in widths)
        self.fine = config.fine
        self.identity = nn.Conv2d(widths[-1], config.identity, 1)
        self.static = zero_init(nn.Conv2d(widths[-1], MAP_CHANNELS * config.fine**2, 3, padding=1))

    def forward(self, features: Tensor, evidence: ChartEvidence | None) -> tuple[Tensor, Tensor]:
        """[B, D, h, w] -> static maps [B, 14, U, U] and F_id [B, C, W, W]."""
        pyramid = self._pyramid(evidence) if evidence is not None else []
        x = features
        for level, block in enumerate(self.blocks):
            x = self.ups[level - 1](x) if level else x
            if pyramid:
                x = self.merges[level](torch.cat((x, pyramid[-1 - level]), 1))
            x = block(x)
        x = functional.silu(x)
        return functional.pixel_shuffle(self.static(x), self.fine), self.identity(x)

    def _pyramid(self, evidence: ChartEvidence) -> list[Tensor]:
        """Features of the evidence, the finest first."""
        levels = [self.stem(functional.pixel_unshuffle(evidence.stacked(), self.fine))]
        for down in self.downs:
            levels.append(down(levels[-1]))
        return levels


class DynamicUNet(nn.Module):
    """dG = UNet(F_id ⊕ P_driving). What depends on F_id alone is computed once per person.

    What it says of a face at rest is taken away (ours): else it repairs the static maps, which is
    theirs to be right, instead of learning what expressions change.
    """

    def __init__(self, config: QueryLrmConfig) -> None:
        super().__init__()
        self.fold, widths = config.fold, config.unet
        cell = self.fold**2
        self.person = nn.Conv2d(config.identity * cell, widths[0], 3, padding=1)
        self.by_map = config.drive == "map"
        self.drive = (
            nn.Conv2d(DRIVE_CHANNELS * cell, widths[0], 3, padding=1, bias=False)
            if self.by_map
            else nn.Linear(COEFFICIENTS, widths[0], bias=False)
        )
        pairs = list(pairwise(widths))
        self.blocks = nn.ModuleList(ConvBlock(w) for w in widths)
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairs)
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairs)
        self.backs = nn.ModuleList(ConvBlock(a) for a, _ in pairs)
        self.out = zero_init(nn.Conv2d(widths[0], MAP_CHANNELS * cell, 3, padding=1))

    def person_features(self, identity: Tensor) -> Tensor:
        """F_id [B, C, W, W] -> its share of the first layer: [B, w, W / fold, W / fold]."""
        return self.person(functional.pixel_unshuffle(identity, self.fold))

    def change(self, person: Tensor, drive: Tensor) -> Tensor:
        """`person_features` and driving maps [B, 3, W, W], or numbers: dG [B, 14, W, W]."""
        return self(person, drive) - self.at_rest(person)

    def at_rest(self, person: Tensor) -> Tensor:
        """The raw output for a face at rest, which `change` takes away: [1, 14, W, W]."""
        return self._run(person)  # `drive` has no bias

    def forward(self, person: Tensor, drive: Tensor) -> Tensor:
        """The raw output, that of a face at rest included: [B, 14, W, W]."""
        if self.by_map:
            return self._run(person + self.drive(functional.pixel_unshuffle(drive, self.fold)))
        return self._run(person + self.drive(drive)[..., None, None])

    def _run(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for block, down in zip(self.blocks, self.downs, strict=False):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.blocks[-1](x)
        for up, back, skip in zip(
            reversed(self.ups), reversed(self.backs), reversed(skips), strict=True
        ):
            x = back(up(x) + skip)
        return functional.pixel_shuffle(self.out(functional.silu(x)), self.fold)


class QueryLrm(Network):
    """The whole of P but rendering. Any number of images, in any order, repeated or not."""

    def __init__(self, config: QueryLrmConfig, encoder_weights: Path | None = None) -> None:
        """Raises AssetError if the encoder needs weights or a package that are not there."""
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config, encoder_weights)
        self.fusion = Attention(config.width, config.heads)
        queries = torch.randn(config.query_side**2, config.width) * 0.02
        self.queries = nn.Parameter(queries)
        self.blocks = nn.ModuleList(
            TokenBlock(config.width, config.heads) for _ in range(config.blocks)
        )
        self.decoder = Decoder(config)
        self.unet = DynamicUNet(config)

    def encode(self, images: Tensor, evidence: ChartEvidence | None = None) -> AvatarCode:
        """Pictures [N, 3, S, S] 0..1 of one person -> code of batch 1.

        `evidence` is needed where the preset has it, and refused where it has not. Raises
        ShapeError for pictures of another size.
        """
        side = self.config.image_side
        check_shape("images", images, None, 3, side, side)
        if (evidence is not None) != self.config.evidence:
            raise ValueError(f"evidence: expected {'some' if self.config.evidence else 'none'}")
        tokens = self.encoder(unique_images(images)).flatten(0, 1)[None]  # [1, N L, D]
        tokens = tokens + self.fusion(tokens, tokens)
        x = self.queries[None]
        for block in self.blocks:
            x = block(x, tokens)
        side = self.config.query_side
        features = x.transpose(1, 2).unflatten(-1, (side, side))
        static, identity = self.decoder(features, evidence)
        if evidence is not None:
            static = _add_base_color(static, evidence.base)
        return AvatarCode(static, identity)

    def forward(self, images: Tensor, evidence: ChartEvidence | None = None) -> AvatarCode:
        """`encode`, as `torch.func.functional_call` wants it."""
        return self.encode(images, evidence)

    def change(self, code: AvatarCode, drive: Tensor) -> Tensor:
        """What expressions add to the static maps: drive [E, ...] -> [E, 14, W, W]."""
        return self.unet.change(self.unet.person_features(code.identity), drive)


def _add_base_color(static: Tensor, base: Tensor) -> Tensor:
    """Colours as what differs from the completed evidence."""
    color = static[:, COLOR] + torch.logit(base, eps=0.02)
    return torch.cat((static[:, : COLOR.start], color, static[:, COLOR.stop :]), 1)
