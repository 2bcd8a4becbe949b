"""Sizes of the learned models. A preset is a frozen value; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol


class ChartSizes(Protocol):
    """Sizes that samples of people are made at, which every model has."""

    @property
    def image_side(self) -> int:
        """Pixels a side of its input images."""
        ...

    @property
    def sides(self) -> tuple[int, int]:
        """Texels a side of the chart with a Gaussian in each, and of a coarser one."""
        ...


@dataclass(frozen=True)
class QueryLrmConfig:
    """P, the flexible large reconstruction model: see `models.query_lrm`."""

    encoder: Literal["dinov3", "conv"]
    """Frozen DINOv3 ViT-L/16, or a small convolutional encoder trained end to end."""
    image_side: int
    """Pixels a side of what the encoder sees; a multiple of 16."""
    width: int
    """Channels D of tokens and queries."""
    heads: int
    """Of attention; divides `width`."""
    query_side: int
    """There are `query_side` x `query_side` head queries."""
    blocks: int
    """Cross-attention blocks from the queries to the images."""
    decoder: tuple[int, ...]
    """Channels after each doubling of the side, from the queries to the driving map."""
    fine: int
    """The static maps have this many texels a side for each of the driving map's."""
    identity: int
    """Channels of F_id."""
    unet: tuple[int, ...]
    """Channels of the dynamic UNet, a level each, the finest first."""
    fold: int
    """The UNet works on the driving map folded this much: fold x fold texels are channels."""
    evidence: bool
    """Whether the decoder is shown what the photos say of each texel, unprojected."""
    drive: Literal["map", "coefficients"] = "map"
    """What the UNet sees of an expression: the map of moved positions, or the raw numbers."""

    @property
    def drive_side(self) -> int:
        """Texels a side of the driving map and of F_id."""
        return self.query_side * 2 ** len(self.decoder)

    @property
    def chart(self) -> int:
        """Texels a side of the static maps."""
        return self.drive_side * self.fine

    @property
    def sides(self) -> tuple[int, int]:
        """Of the static maps and of the driving map."""
        return self.chart, self.drive_side


QUERY_LRM_PAPER = QueryLrmConfig(
    encoder="dinov3", image_side=512, width=1024, heads=16, query_side=50, blocks=4,
    decoder=(512, 256, 128), fine=1, identity=32, unet=(64, 128, 256), fold=1, evidence=False,
)  # fmt: skip
"""The paper's sizes where it gives them: 50 x 50 queries, maps of 400 x 400."""

QUERY_LRM_TINY = QueryLrmConfig(
    encoder="conv", image_side=256, width=96, heads=4, query_side=32, blocks=2,
    decoder=(64, 32), fine=2, identity=32, unet=(24, 40, 64), fold=2, evidence=True,
)  # fmt: skip
"""Trained and driven on two CPU cores; ships with the package."""

QUERY_LRM_PRESETS: Mapping[str, QueryLrmConfig] = {"paper": QUERY_LRM_PAPER, "tiny": QUERY_LRM_TINY}

SignalKind = Literal["flame", "arkit", "audio"]
"""What drives K: FLAME codes, 52 ARKit weights or sound. See `models.signal_vectors`."""


@dataclass(frozen=True)
class BiasSinkConfig:
    """K, the model with bias sinks: see `models.bias_sink`."""

    image_side: int
    """Pixels a side of what the encoder sees; a multiple of 16."""
    dino: bool
    """Whether a frozen DINOv2 ViT-B/14 looks at the photos beside our own encoder."""
    image_width: int
    """Channels of image tokens."""
    image_blocks: int
    """Of our own encoder."""
    width: int
    """Channels D of the queries and of the avatar code A."""
    query_side: int
    """There are `query_side` x `query_side` queries over the chart."""
    blocks: int
    """From the queries to the images."""
    growth: float
    """Of feed-forward nets over A's tokens: how much wider than the tokens."""
    inner: int
    """Channels of attention, everywhere."""
    heads: int
    """Of attention; divides `inner` and `image_width`."""
    expression_width: int
    """Channels of expression tokens and sinks."""
    expression_hidden: int
    """Of the net from the signal to the tokens."""
    decoder_width: int
    """Channels of tokens as they are driven; of another width than A's they are a linear map
    of it, made once for each person."""
    decoder_blocks: int
    decoder_growth: float
    decoder_joint: bool
    """Whether the tokens of the chart see each other as they are driven, or the expression only."""
    map_channels: int
    """Of the maps that the upsampler makes."""
    upsampler: tuple[int, ...]
    """Channels of its convolutions, one for each doubling of the side."""
    fine: int
    """The chart has this many texels a side for each of those maps; they are sampled between."""
    base: Literal["template", "neutral", "driven"]
    """What positions start from: the rig's mean head, the person's own as it was tracked, or that
    head as the rig moves it with the expression, for signals that say how."""
    evidence: bool
    """Whether queries are told what photos say of each texel, and colours are read out of A."""
    signal: SignalKind = "flame"
    sinks: bool = True
    """Whether decoding is told where the training data came from (the paper's ablation)."""
    stylegan: bool = True
    """Whether the upsampler convolves, or only spreads pixels (the paper's ablation)."""

    @property
    def sides(self) -> tuple[int, int]:
        """Texels a side of the chart with a Gaussian in each, and of the upsampler's maps."""
        made = self.query_side * 2 ** len(self.upsampler)
        return made * self.fine, made

    @property
    def cell(self) -> int:
        """Texels a side of the chart for each query."""
        return self.sides[0] // self.query_side


BIAS_SINK_PAPER = BiasSinkConfig(
    image_side=512, dino=True, image_width=768, image_blocks=1, width=768, query_side=32, blocks=4,
    growth=4, inner=768, heads=4, expression_width=768, expression_hidden=256, decoder_width=768,
    decoder_blocks=8, decoder_growth=4, decoder_joint=True, map_channels=48, upsampler=(512, 256),
    fine=2, base="template", evidence=False,
)  # fmt: skip
"""The paper's sizes."""

BIAS_SINK_TINY = BiasSinkConfig(
    image_side=256, dino=False, image_width=96, image_blocks=2, width=256, query_side=32, blocks=2,
    growth=2, inner=64, heads=4, expression_width=64, expression_hidden=128, decoder_width=128,
    decoder_blocks=2, decoder_growth=2, decoder_joint=False, map_channels=16, upsampler=(32, 16),
    fine=2, base="driven", evidence=True,
)  # fmt: skip
"""Trained and driven on two CPU cores. A is wide enough to hold every texel's colour, and what is
driven is narrow. Big data teach the paper's network how faces move; this one is told by the rig."""

BIAS_SINK_PRESETS: Mapping[str, BiasSinkConfig] = {
    "paper": BIAS_SINK_PAPER,
    "tiny": BIAS_SINK_TINY,
}
