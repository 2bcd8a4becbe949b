"""How the network that hears what a mouth does is trained: numbers to choose."""

from __future__ import annotations

from dataclasses import dataclass

from flexavatar.errors import InputError


@dataclass(frozen=True)
class TrainVoiceNet:
    """How it is trained."""

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
        for name in ("steps", "batch", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
