"""The network that hears what a mouth does, one step at a time, without torch."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.voice.articulation import ARTICULATORS
from flexavatar.drive.voice.features import MELS, Sound
from flexavatar.drive.voice.torch_network import DELAY, VOICE

Weights = dict[str, NDArray[np.float32]]
Articulators = NDArray[np.float32]


class Listener:
    """Features of a step -> articulators [9], 0..1, of DELAY steps before. For one thread.

    The same as `models.voice_net.VoiceNet`: so small a network spends most of its time in torch's
    calls.
    """

    def __init__(self, weights: Weights | None = None) -> None:
        """The weights that ship unless given. Raises AssetError if they are missing."""
        self._w = installed() if weights is None else weights
        out, width, kernel = self._w["near.weight"].shape
        self._near = np.ascontiguousarray(self._w["near.weight"].transpose(0, 2, 1)).reshape(
            out, -1
        )
        self._seen = np.zeros((kernel, width), np.float32)
        layers = sum(name.startswith("past.weight_hh") for name in self._w)
        self._past = [np.zeros(width, np.float32) for _ in range(layers)]
        self._early = DELAY

    def step(self, features: Sound) -> Articulators | None:
        """None before the first instant."""
        w = self._w
        entered = np.maximum(w["enter.weight"] @ features + w["enter.bias"], 0)
        self._seen = np.concatenate((self._seen[1:], entered[None]))
        near = np.maximum(self._near @ self._seen.ravel() + w["near.bias"], 0) + entered
        passed = near
        for layer in range(len(self._past)):
            passed = self._past[layer] = self._remembered(layer, passed)
        logits = w["mouth.weight"] @ np.concatenate((passed, near)) + w["mouth.bias"]
        if self._early:
            self._early -= 1
            return None
        return _sigmoid(logits)

    def _remembered(self, layer: int, x: Sound) -> Sound:
        """One step of a gated recurrent unit, as torch defines it."""
        w, before = self._w, self._past[layer]
        given = w[f"past.weight_ih_l{layer}"] @ x + w[f"past.bias_ih_l{layer}"]
        kept = w[f"past.weight_hh_l{layer}"] @ before + w[f"past.bias_hh_l{layer}"]
        size = len(before)
        reset, update = np.split(_sigmoid(given[: 2 * size] + kept[: 2 * size]), 2)
        new = np.tanh(given[2 * size :] + reset * kept[2 * size :])
        return new + update * (before - new)


class LoudListener:
    """Opens the jaw as far as it is loud: what a network has to be better than."""

    QUIET, LOUD = 0.6, 1.05
    """Loudness of a step's frames, as hearing.py has it, at which the jaw is shut and open."""

    def __init__(self) -> None:
        self._past: deque[float] = deque()

    def step(self, features: Sound) -> Articulators | None:
        """None before the first instant."""
        self._past.append(float(features[[MELS, 2 * MELS + 2]].mean()))
        if len(self._past) <= DELAY:
            return None
        moved = np.zeros(len(ARTICULATORS), np.float32)
        moved[0] = np.clip((self._past.popleft() - self.QUIET) / (self.LOUD - self.QUIET), 0, 1)
        return moved


@lru_cache(1)
def installed() -> Weights:
    """The weights that ship. Raises AssetError if they are missing or damaged."""
    return {name: x.numpy() for name, x in VOICE.load("tiny")[0].state_dict().items()}


def _sigmoid(x: NDArray[np.floating]) -> Sound:
    return (0.5 * (1 + np.tanh(0.5 * x))).astype(np.float32)
