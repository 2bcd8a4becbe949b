"""Sizes of the learned models. A preset is a frozen value; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


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


PAPER = QueryLrmConfig(
    encoder="dinov3", image_side=512, width=1024, heads=16, query_side=50, blocks=4,
    decoder=(512, 256, 128), fine=1, identity=32, unet=(64, 128, 256), fold=1, evidence=False,
)  # fmt: skip
"""The paper's sizes where it gives them: 50 x 50 queries, maps of 400 x 400."""

TINY = QueryLrmConfig(
    encoder="conv", image_side=256, width=96, heads=4, query_side=32, blocks=2,
    decoder=(64, 32), fine=2, identity=32, unet=(24, 40, 64), fold=2, evidence=True,
)  # fmt: skip
"""Trained and driven on two CPU cores; ships with the package."""

PRESETS: Mapping[str, QueryLrmConfig] = {"paper": PAPER, "tiny": TINY}
