"""Settings of training: numbers to choose, nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from flexavatar.errors import InputError
from flexavatar.models.config import (
    BIAS_SINK_PRESETS,
    QUERY_LRM_PRESETS,
    BiasSinkConfig,
    QueryLrmConfig,
    SignalKind,
)

FRAMES = 8
"""Of each synthetic person."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms that models share."""

    l1: float = 0.8
    ssim: float = 0.2
    cover: float = 0.2
    mouth: float = 0.1
    """L1 and structure again on a box around the mouth; 0 leaves it out."""
    scale: float = 0.005
    chart: float = 1.0
    """True colours of the texels: only synthetic people have them."""
    edges: float = 0.5
    """Differences between neighbouring texels."""
    shape: float = 0.5
    """Distance from the true head, in centimetres."""


@dataclass(frozen=True)
class QueryLrmLosses(LossConfig):
    """P's weights, all ours. The paper has L1, SSIM, LPIPS, the mouth, position and scale; no
    weights of LPIPS can be had here, and the terms on charts and on the true head take its place.
    """

    position: float = 0.005
    change: float = 2.0
    """By how much expressions change the texels' colours."""
    rest: float = 0.02
    """dG where it does more than colour."""


@dataclass(frozen=True)
class BiasSinkLosses(LossConfig):
    """K's weights. The paper has L1 and 1 - SSIM, and after 40% of the training the features of
    DINOv2 and SAM: no weights of such backbones can be had here, and they are left out. Charts and
    heads are ours, for people that are known from all around."""

    l1: float = 1.0
    ssim: float = 1.0
    motion: float = 10.0
    """How the true head moves from one expression to another. Without it, and the next, what is
    wrong with a face at rest hides what its expressions do (measured: none is learned)."""
    change: float = 10.0
    """How colours change from one expression to another."""


class Schedule(Protocol):
    """Settings that the learning rate follows from."""

    @property
    def learning_rate(self) -> float:
        """The highest rate."""
        ...

    @property
    def warm_up(self) -> int:
        """Steps until it is reached."""
        ...

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        ...


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained."""

    preset: Literal["tiny", "paper"] = "tiny"
    people: int = 1500
    """How many synthetic people to learn from; about one a second is made on two cores."""
    encoder_weights: Path | None = None
    """DINO's folder, as Hugging Face's `save_pretrained` writes it: `paper` needs it (P: DINOv3
    ViT-L/16, K: DINOv2 ViT-B/14)."""
    start: Path | None = None
    """Weights to begin with, as such a run writes them; None begins with chance."""
    device: str = "cpu"
    """cpu or cuda; training on CUDA has not been tried yet."""
    steps: int = 7_500
    """One person each; some 0.4 s on two cores."""
    learning_rate: float = 1e-3
    """Of Adam; the papers' 3e-5 (P) and 1e-4 (K) are for their sizes and days."""
    warm_up: int = 200
    """Steps until the rate is reached; from there it falls to a hundredth along a cosine."""
    frames: int = 3
    """Expressions a step."""
    pictures: int = 1
    """Of them are drawn and compared with the true picture."""
    adjust: bool = True
    """Bring rare expressions forward (data distribution adjustment)."""
    losses: LossConfig = field(default_factory=LossConfig)
    """Weights of the terms."""
    seed: int = 0
    save_every: int = 500
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Raises InputError for numbers that cannot be."""
        _check_positive(self, "people", "steps", "frames", "save_every")
        if self.frames > FRAMES:
            raise InputError(f"frames: expected at most {FRAMES}, got {self.frames}")
        if not 0 <= self.pictures <= self.frames:
            raise InputError(f"pictures: expected 0 to {self.frames}, got {self.pictures}")
        if self.preset == "paper" and self.encoder_weights is None:
            raise InputError("paper: expected DINO's folder as encoder weights")


@dataclass(frozen=True)
class TrainQueryLrm(TrainConfig):
    """How P is trained."""

    drive: Literal["map", "coefficients"] = "map"
    """What the UNet sees of an expression."""
    losses: QueryLrmLosses = field(default_factory=QueryLrmLosses)
    """Weights of the terms."""

    @property
    def model(self) -> QueryLrmConfig:
        """Sizes of the network."""
        return replace(QUERY_LRM_PRESETS[self.preset], drive=self.drive)


@dataclass(frozen=True)
class TrainBiasSink(TrainConfig):
    """How K is trained."""

    frames: int = 2
    """Expressions a step; of people that are known from videos alone, only those drawn."""
    multi_view: float = 0.5
    """Share of people that are known from all around, with their true head and colours. The others
    are as people in videos are: seen from the front, and nothing known but the picture."""
    repeats: int = 8
    """How often each sample of a real video is met while a synthetic person is met once."""
    sinks: bool = True
    """Tell the decoder which of the two it is learning from."""
    stylegan: bool = True
    """Let the upsampler convolve."""
    signal: SignalKind = "flame"
    """What drives: FLAME codes, ARKit's weights, or features of sound, which no sample has yet."""
    losses: BiasSinkLosses = field(default_factory=BiasSinkLosses)
    """Weights of the terms."""

    def __post_init__(self) -> None:
        """Raises InputError for numbers that cannot be."""
        super().__post_init__()
        if not 0 <= self.multi_view <= 1:
            raise InputError(f"multi_view: expected a share 0 to 1, got {self.multi_view}")
        _check_positive(self, "repeats")
        if self.pictures < 1:
            raise InputError("pictures: expected at least 1, people in videos have nothing else")

    @property
    def model(self) -> BiasSinkConfig:
        """Sizes of the network."""
        preset = BIAS_SINK_PRESETS[self.preset]
        return replace(preset, sinks=self.sinks, stylegan=self.stylegan, signal=self.signal)


@dataclass(frozen=True)
class TrainVoiceNet:
    """How the network that turns a voice into a mouth's motion is trained."""

    steps: int = 2_000
    """Some 0.4 s each on one core."""
    batch: int = 16
    """Clips of 5 s a step, half of them new."""
    learning_rate: float = 2e-3
    """Of Adam."""
    warm_up: int = 100
    """Steps until the rate is reached; from there it falls to a hundredth along a cosine."""
    motion: float = 2.0
    """Weight of how the mouth changes from step to step."""
    meeting: float = 0.5
    """Weight of lips that shut, and of the lip that meets the teeth."""
    kinds: float = 0.05
    """Weight of telling phones apart."""
    seed: int = 0
    save_every: int = 250
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Raises InputError for numbers that cannot be."""
        _check_positive(self, "steps", "batch", "save_every")


def _check_positive(config: object, *names: str) -> None:
    """Raise InputError if one of these numbers of a config is under 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise InputError(f"{name}: expected at least 1, got {getattr(config, name)}")
