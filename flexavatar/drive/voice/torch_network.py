"""The network that hears what a mouth does: small, recurrent, forward in time.

It says what it has heard DELAY steps ago, so that it knows what comes: lips close before a `p`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flexavatar.drive.voice.articulation import ARTICULATORS
from flexavatar.drive.voice.features import FEATURES
from flexavatar.models.blocks import Network
from flexavatar.models.weights import NetworkKind

DELAY = 4
"""Steps of 20 ms that it listens ahead."""


@dataclass(frozen=True)
class VoiceNetConfig:
    """Sizes."""

    width: int = 192
    kernel: int = 3
    """Steps that a convolution sees, the newest last."""
    layers: int = 2
    """Of the recurrent part."""
    kinds: int = 26
    """Of phones, which it learns to tell apart on the side."""


class VoiceNet(Network):
    """Features of steps -> articulators of DELAY steps before, and the kind of phone."""

    def __init__(self, config: VoiceNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Linear(FEATURES, width)
        self.near = nn.Conv1d(width, width, config.kernel)
        self.past = nn.GRU(width, width, config.layers, batch_first=True)
        self.mouth = nn.Linear(2 * width, len(ARTICULATORS))
        self.kind = nn.Linear(width, config.kinds)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, FEATURES] from the first step on -> logits [B, T, 9] and [B, T, kinds]."""
        entered = self.enter(features).relu()
        padded = nn.functional.pad(entered.mT, (self.config.kernel - 1, 0))
        near = self.near(padded).relu().mT + entered
        past, _ = self.past(near)
        return self.mouth(torch.cat((past, near), -1)), self.kind(past)


VOICE = NetworkKind("voice", {"tiny": VoiceNetConfig()}, VoiceNet)
