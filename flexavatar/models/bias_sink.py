"""K: photos -> A, and A with any driving signal -> maps of Gaussians over the head's chart.

Kirschstein et al., "FlexAvatar: Learning Complete 3D Head Avatars with Partial Supervision". Not
stated there, and ours: any number of photos, whose tokens are simply put together; and, in the
small preset, the evidence that queries are told, colours that are read out of A, tokens that are
narrower as they are driven, and photos over grey instead of white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from flexavatar.models.blocks import Network, Upsampler, zero_init
from flexavatar.models.channels import (
    BASE_COLOR,
    COLOR,
    EVIDENCE_CHANNELS,
    MAP_CHANNELS,
    ChartEvidence,
)
from flexavatar.models.config import BiasSinkConfig
from flexavatar.models.encoders import DINOV2, Dino, PatchEncoder, unique_images
from flexavatar.models.mmdit import mmdit_stack, run_blocks
from flexavatar.models.signal_vectors import SIGNAL_SIZES
from flexavatar.types import SH_C0, check_shape

RAYS = 6
OCTAVES = 8
ENCODING_RADIUS = 0.25
"""Metres from the origin that half a period of a position's slowest wave spans."""
EXPRESSION_TOKENS = 4
DINO_SIDE = 224
COLOR_UNIT = 0.5
"""A colour's distance from grey that is 1 in A."""

Sink = Literal["2d", "3d"]
"""The kind of training data that the result is to look like: videos, or cameras all around."""


@dataclass(frozen=True)
class PersonFeatures:
    """What of an avatar code does not depend on the signal."""

    tokens: Tensor  # [1, L, W]
    skip: Tensor | None  # [1, C, h, h] added to the upsampler's first map
    colors: Tensor | None  # [1, 3, U, U] added to the maps' colours


def plucker_rays(viewmats: Tensor, intrinsics: Tensor, side: int) -> Tensor:
    """Plücker coordinates of every pixel's line of sight: [N, 4, 4], [N, 3, 3] -> [N, 6, S, S].

    The unit direction and its moment about the origin in decimetres, head frame; intrinsics are
    for `side` x `side` pixels.
    """
    along = torch.arange(side).to(viewmats) + 0.5
    v, u = torch.meshgrid(along, along, indexing="ij")
    pixels = torch.stack((u, v, torch.ones_like(u))).flatten(1)  # [3, S S]
    turns, shifts = viewmats[:, :3, :3], viewmats[:, :3, 3:]
    seen = functional.normalize(torch.linalg.inv(intrinsics) @ pixels, dim=1)
    directions = turns.transpose(1, 2) @ seen  # [N, 3, S S]
    eyes = (-turns.transpose(1, 2) @ shifts).expand_as(directions)
    moments = torch.linalg.cross(eyes, directions, dim=1) * 10
    return torch.cat((directions, moments), 1).unflatten(-1, (side, side))


def positional_encoding(places: Tensor) -> Tensor:
    """Positions in metres as sines and cosines of eight octaves, and themselves: [L, 3] -> [L, 51].

    Mildenhall et al., "NeRF" (ECCV 2020).
    """
    x = places / ENCODING_RADIUS
    angles = torch.cat([x * (math.pi * 2**k) for k in range(OCTAVES)], -1)
    return torch.cat((x, angles.sin(), angles.cos()), -1)


class ImageEncoder(nn.Module):
    """Photos and their rays -> tokens of all photos together."""

    def __init__(self, config: BiasSinkConfig, weights: Path | None) -> None:
        """Raises AssetError as Dino does."""
        super().__init__()
        width = config.image_width
        self.own = PatchEncoder(
            3 + RAYS, config.image_side, width, config.heads, config.image_blocks
        )
        self.dino = Dino(DINOV2, weights) if config.dino else None
        self.mix = nn.Linear(width + DINOV2.width, width) if config.dino else nn.Identity()

    def forward(self, images: Tensor, rays: Tensor) -> Tensor:
        """[N, 3, S, S] 0..1, [N, 6, S, S] -> [1, N L, C]. A photo that comes twice counts once."""
        pictures = unique_images(torch.cat((images - 0.5, rays), 1))
        tokens = self.own(pictures)
        if self.dino is not None:
            tokens = torch.cat(
                (self._dino_tokens(pictures[:, :3] + 0.5, tokens.shape[1]), tokens), -1
            )
        return self.mix(tokens).flatten(0, 1)[None]

    def _dino_tokens(self, images: Tensor, count: int) -> Tensor:
        """DINO's tokens, as many as ours: [N, 3, S, S] -> [N, L, D]."""
        assert self.dino is not None
        small = functional.interpolate(images, (DINO_SIDE, DINO_SIDE), mode="bilinear")
        grid = self.dino(small).transpose(1, 2)
        own, wanted = (math.isqrt(n) for n in (grid.shape[-1], count))
        spread = functional.interpolate(
            grid.unflatten(-1, (own, own)), (wanted, wanted), mode="bilinear"
        )
        return spread.flatten(2).transpose(1, 2)


class Queries(nn.Module):
    """Where each query is on the head, and what the photos say of its texels."""

    def __init__(self, config: BiasSinkConfig) -> None:
        super().__init__()
        self.place = nn.Linear(3 + 6 * OCTAVES, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.cell = config.cell
        self.told = (
            nn.Linear(EVIDENCE_CHANNELS * self.cell**2, config.width) if config.evidence else None
        )
        if self.told is not None:
            self._init_with_base_colors(self.told)

    @torch.no_grad()
    def _init_with_base_colors(self, told: nn.Linear) -> None:
        """Untrained, the first channels of A are the completed colours, and nothing else."""
        texels = self.cell**2
        own = (BASE_COLOR.stop - BASE_COLOR.start) * texels
        told.weight[:own] = 0
        told.weight[:own, BASE_COLOR.start * texels : BASE_COLOR.stop * texels] = (
            torch.eye(own) / COLOR_UNIT
        )
        told.bias[:own] = 0
        self.norm.weight[:own] = 0

    def forward(self, places: Tensor, evidence: ChartEvidence | None) -> Tensor:
        """[L, 3] metres, evidence of batch 1 -> [1, L, D]."""
        x = self.norm(self.place(positional_encoding(places)))[None]
        if self.told is None or evidence is None:
            return x
        folded = functional.pixel_unshuffle(evidence.stacked(), self.cell)  # [1, 11 c^2, h, h]
        return x + self.told(folded.flatten(2).transpose(1, 2))


class Decoder(nn.Module):
    """A person and driving signals -> maps of Gaussians before activation."""

    def __init__(self, config: BiasSinkConfig) -> None:
        super().__init__()
        c, self.config = config, config
        width, tokens = c.decoder_width, EXPRESSION_TOKENS
        self.expression = nn.Sequential(
            nn.Linear(SIGNAL_SIZES[c.signal], c.expression_hidden), nn.GELU(),
            nn.Linear(c.expression_hidden, c.expression_hidden), nn.GELU(),
            nn.Linear(c.expression_hidden, tokens * c.expression_width),
            nn.Unflatten(-1, (tokens, c.expression_width)),
        )  # fmt: skip
        self.sinks = nn.Parameter(torch.randn(2, c.expression_width)) if c.sinks else None
        self.narrow = nn.Linear(c.width, width) if width != c.width else nn.Identity()
        self.skip = (
            nn.Linear(c.width, c.map_channels * 4 ** len(c.upsampler)) if c.evidence else None
        )
        self.colors = nn.Linear(c.width, 3 * c.cell**2) if c.evidence else None
        if self.colors is not None:
            self._init_color_readout(self.colors)
        self.blocks = mmdit_stack(
            c.decoder_blocks, width, c.expression_width, c.inner, c.heads, c.decoder_growth,
            c.decoder_joint,
        )  # fmt: skip
        self.upsampler = Upsampler(width, c.upsampler, c.map_channels, c.stylegan)
        self.heads = zero_init(nn.Conv2d(c.map_channels, MAP_CHANNELS, 1))

    @torch.no_grad()
    def _init_color_readout(self, colors: nn.Linear) -> None:
        """Untrained, colours are the first channels of A."""
        nn.init.eye_(colors.weight)
        colors.weight *= COLOR_UNIT / SH_C0
        nn.init.zeros_(colors.bias)

    def person_features(self, code: Tensor) -> PersonFeatures:
        """What of A [L, D] does not depend on the signal."""
        tokens = code[None]
        skip = self._picture(self.skip(tokens)) if self.skip is not None else None
        colors = self._picture(self.colors(tokens)) if self.colors is not None else None
        if colors is not None:
            colors = functional.pixel_shuffle(colors, self.config.cell)
        return PersonFeatures(self.narrow(tokens), skip, colors)

    def forward(self, person: PersonFeatures, signals: Tensor, sink: Sink) -> Tensor:
        """Signals [E, Z] -> [E, 14, U, U]."""
        context = self.expression(signals)  # [E, 4, C]
        if self.sinks is not None:
            own = self.sinks[("2d", "3d").index(sink)].expand(len(signals), 1, -1)
            context = torch.cat((context, own), 1)
        tokens = person.tokens.expand(len(signals), -1, -1)
        h = self._picture(run_blocks(self.blocks, tokens, context))
        # sampling between texels and a layer that works texel by texel change places: it is linear
        maps = functional.interpolate(
            self.heads(self.upsampler(h, person.skip)),
            scale_factor=self.config.fine, mode="bilinear", align_corners=False,
        )  # fmt: skip
        if person.colors is not None:
            maps[:, COLOR] += person.colors
        return maps

    def _picture(self, tokens: Tensor) -> Tensor:
        """[B, L, D] -> [B, D, h, h]."""
        side = self.config.query_side
        return tokens.transpose(1, 2).unflatten(-1, (side, side))


class BiasSink(Network):
    """The whole of K but rendering."""

    def __init__(self, config: BiasSinkConfig, encoder_weights: Path | None = None) -> None:
        """Raises AssetError if DINOv2 is asked for and cannot be had."""
        super().__init__()
        self.config = config
        self.images = ImageEncoder(config, encoder_weights)
        self.queries = Queries(config)
        self.blocks = mmdit_stack(
            config.blocks, config.width, config.image_width, config.inner, config.heads,
            config.growth, joint=True,
        )  # fmt: skip
        self.decoder = Decoder(config)

    def encode(
        self, images: Tensor, rays: Tensor, places: Tensor, evidence: ChartEvidence | None = None
    ) -> Tensor:
        """Photos of one person in any order -> the avatar code A [L, D].

        `images` [N, 3, S, S] 0..1 and their `rays` [N, 6, S, S] by `plucker_rays`; `places` [L, 3]
        metres, where each query is on the head; `evidence`, where the preset has it. Raises
        ShapeError for other sizes, ValueError for evidence too much or too little.
        """
        config = self.config
        side = config.image_side
        check_shape("images", images, None, 3, side, side)
        check_shape("rays", rays, len(images), RAYS, side, side)
        check_shape("places", places, config.query_side**2, 3)
        if (evidence is not None) != config.evidence:
            raise ValueError(f"evidence: expected {'some' if config.evidence else 'none'}")
        tokens = self.images(images, rays)
        return run_blocks(self.blocks, self.queries(places, evidence), tokens)[0]

    def person_features(self, code: Tensor) -> PersonFeatures:
        """What of A [L, D] does not depend on the signal: once for each avatar."""
        check_shape("code", code, self.config.query_side**2, self.config.width)
        return self.decoder.person_features(code)

    def drive(self, person: PersonFeatures, signals: Tensor, sink: Sink = "3d") -> Tensor:
        """Signals [E, Z] (`models.signal_vectors`) -> maps before activation [E, 14, U, U].

        Channels as `channels.CHANNELS`. Avatars are driven with the sink `3d`, which has been seen
        from all around. Raises ShapeError for another signal's numbers.
        """
        check_shape("signals", signals, None, SIGNAL_SIZES[self.config.signal])
        return self.decoder(person, signals, sink)

    def decode(self, code: Tensor, signals: Tensor, sink: Sink = "3d") -> Tensor:
        """`drive` of the `person` of A [L, D]."""
        return self.drive(self.person_features(code), signals, sink)
