"""The network that turns a voice into articulators: small, recurrent, forward in time.

It says what the mouth did DELAY steps ago, so that it knows what comes: lips close before a `p`.
It is trained with torch, and runs one step at a time without: so small a network spends most of its
time in torch's calls.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flexavatar.drive.voice.articulation import ARTICULATORS, JAW
from flexavatar.drive.voice.features import FEATURES, MELS, Sound
from flexavatar.models.blocks import Network
from flexavatar.models.weights import NetworkKind

Weights = dict[str, NDArray[np.float32]]
Articulators = NDArray[np.float32]

DELAY = 4
"""Steps of 20 ms that it looks ahead."""


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


VOICE_NETS = NetworkKind("voice", {"tiny": VoiceNetConfig()}, VoiceNet)


class StreamingVoiceNet:
    """Features of a step -> articulators [9], 0..1, of DELAY steps before. For one thread.

    The numbers of `VoiceNet`.
    """

    def __init__(self, weights: Weights | None = None) -> None:
        """The weights that ship unless given. Raises AssetError if they are missing."""
        self._w = installed_weights() if weights is None else weights
        out, width, kernel = self._w["near.weight"].shape
        self._near = np.ascontiguousarray(self._w["near.weight"].transpose(0, 2, 1)).reshape(
            out, -1
        )
        self._seen = np.zeros((kernel, width), np.float32)
        layers = sum(name.startswith("past.weight_hh") for name in self._w)
        self._past = [np.zeros(width, np.float32) for _ in range(layers)]
        self._early = DELAY

    def step(self, features: Sound) -> Articulators | None:
        """The articulators of DELAY steps before, or None while there was no such step."""
        w = self._w
        entered = np.maximum(w["enter.weight"] @ features + w["enter.bias"], 0)
        self._seen = np.concatenate((self._seen[1:], entered[None]))
        near = np.maximum(self._near @ self._seen.ravel() + w["near.bias"], 0) + entered
        passed = near
        for layer in range(len(self._past)):
            passed = self._past[layer] = self._gru_step(layer, passed)
        logits = w["mouth.weight"] @ np.concatenate((passed, near)) + w["mouth.bias"]
        if self._early:
            self._early -= 1
            return None
        return _sigmoid(logits)

    def _gru_step(self, layer: int, x: Sound) -> Sound:
        """One step of a gated recurrent unit, as torch defines it."""
        w, before = self._w, self._past[layer]
        given = w[f"past.weight_ih_l{layer}"] @ x + w[f"past.bias_ih_l{layer}"]
        kept = w[f"past.weight_hh_l{layer}"] @ before + w[f"past.bias_hh_l{layer}"]
        size = len(before)
        reset, update = np.split(_sigmoid(given[: 2 * size] + kept[: 2 * size]), 2)
        new = np.tanh(given[2 * size :] + reset * kept[2 * size :])
        return new + update * (before - new)


class LoudnessBaseline:
    """Opens the jaw as far as the sound is loud: a network has to be better than that."""

    QUIET, LOUD = 0.6, 1.05
    """Loudness of a step's frames, as features.py has it, at which the jaw is shut and open."""

    def __init__(self) -> None:
        self._past: deque[float] = deque()

    def step(self, features: Sound) -> Articulators | None:
        """The articulators of DELAY steps before, or None while there was no such step."""
        self._past.append(float(features[[MELS, 2 * MELS + 2]].mean()))
        if len(self._past) <= DELAY:
            return None
        articulators = np.zeros(len(ARTICULATORS), np.float32)
        articulators[JAW] = np.clip(
            (self._past.popleft() - self.QUIET) / (self.LOUD - self.QUIET), 0, 1
        )
        return articulators


@lru_cache(1)
def installed_weights() -> Weights:
    """The weights that ship. Raises AssetError if they are missing or damaged."""
    return {name: x.numpy() for name, x in VOICE_NETS.load("tiny")[0].state_dict().items()}


def _sigmoid(x: NDArray[np.floating]) -> Sound:
    return (0.5 * (1 + np.tanh(0.5 * x))).astype(np.float32)
