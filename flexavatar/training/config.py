"""How models are trained: numbers to choose, nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from flexavatar.errors import InputError
from flexavatar.models.config import PRESETS, QueryLrmConfig

FRAMES = 8
"""Of each synthetic person."""


@dataclass(frozen=True)
class LossConfig:
    """Weights, all ours. The paper has L1, SSIM, LPIPS, the mouth, position and scale; no weights
    of LPIPS can be had here, and the terms on charts and on the true head take its place."""

    l1: float = 0.8
    ssim: float = 0.2
    cover: float = 0.2
    mouth: float = 0.1
    """L1 and structure again on a box around the mouth; 0 leaves it out."""
    position: float = 0.005
    scale: float = 0.005
    chart: float = 1.0
    """True colours of the texels at rest: only synthetic people have them."""
    change: float = 2.0
    """By how much expressions change those colours."""
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
    people: int = 1500
    """How many synthetic people to learn from; about one a second is made on two cores."""
    encoder_weights: Path | None = None
    """DINOv3's folder, as Hugging Face's `save_pretrained` writes it: `paper` needs it."""
    start: Path | None = None
    """Weights to begin with, as such a run writes them; None begins with chance."""
    device: str = "cpu"
    """cpu or cuda; training on CUDA has not been tried yet."""
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

    def __post_init__(self) -> None:
        """Raises InputError for numbers that cannot be."""
        for name in ("people", "steps", "frames", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.frames > FRAMES:
            raise InputError(f"frames: expected at most {FRAMES}, got {self.frames}")
        if not 0 <= self.pictures <= self.frames:
            raise InputError(f"pictures: expected 0 to {self.frames}, got {self.pictures}")
        if self.model.encoder == "dinov3" and self.encoder_weights is None:
            raise InputError(f"{self.preset}: expected DINOv3's folder as encoder weights")

    @property
    def model(self) -> QueryLrmConfig:
        """Sizes of the network."""
        return replace(PRESETS[self.preset], drive=self.drive)
