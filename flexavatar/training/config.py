"""How models are trained: numbers to choose, nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from flexavatar.models.config import PRESETS, QueryLrmConfig


@dataclass(frozen=True)
class LossConfig:
    """Weights. The paper names the terms on pictures and the two on G_st; numbers are ours."""

    l1: float = 0.8
    ssim: float = 0.2
    cover: float = 0.2
    mouth: float = 0.1
    """L1 and structure again on a box around the mouth; 0 leaves it out."""
    position: float = 0.005
    scale: float = 0.005
    chart: float = 1.0
    """True colours of the texels, at rest and with expressions: only synthetic people have them."""
    edges: float = 0.5
    """Differences between neighbouring texels."""
    shape: float = 0.5
    """Distance from the true head at rest, in centimetres."""
    rest: float = 0.02
    """dG where it does more than colour."""


@dataclass(frozen=True)
class TrainConfig:
    """How P is trained."""

    preset: Literal["tiny", "paper"] = "tiny"
    encoder_weights: Path | None = None
    """DINOv3's folder, as Hugging Face's `save_pretrained` writes it: `paper` needs it."""
    device: str = "auto"
    """cpu, cuda, or cuda where there is one. What is on CUDA has not been run yet."""
    steps: int = 7_500
    """One person each; some 0.4 s on two cores."""
    learning_rate: float = 1e-3
    """Of Adam; the paper's 3e-5 is for its sizes and days."""
    warm_up: int = 200
    """Steps until the rate is reached; from there it falls to a hundredth along a cosine."""
    frames: int = 3
    """Expressions a step."""
    pictures: int = 1
    """Of them are drawn and compared with the true picture."""
    adjust: bool = True
    """Bring rare expressions forward (data distribution adjustment)."""
    drive: Literal["map", "coefficients"] = "map"
    """What the UNet sees of an expression."""
    losses: LossConfig = field(default_factory=LossConfig)
    """Weights of the terms."""
    seed: int = 0
    save_every: int = 500
    """Steps between checkpoints."""

    @property
    def model(self) -> QueryLrmConfig:
        """Sizes of the network."""
        return replace(PRESETS[self.preset], drive=self.drive)
