"""Adam (Kingma and Ba 2015) whose steps are taken in part: scaled gradients would not do that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

DECAY = (0.9, 0.999)
"""Of the means of gradients and of their squares, a step."""
LEAST_ROOT = 1e-15
"""Added to the root of the mean square: Gaussians that are hardly seen have tiny gradients."""


@dataclass(frozen=True)
class Parameter:
    """A tensor to be optimised."""

    value: Tensor
    learning_rate: float
    share: Tensor | None = None  # 0..1 of each step that is taken, broadcastable; 0: it stays


class Adam:
    """The optimiser of named leaf tensors; their gradients are taken, and gone after each step."""

    def __init__(self, values: Mapping[str, Tensor], parameters: Mapping[str, Parameter]) -> None:
        self._values, self._parameters = values, parameters
        self._means = {name: torch.zeros_like(value) for name, value in values.items()}
        self._squares = {name: torch.zeros_like(value) for name, value in values.items()}
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float = 1.0) -> None:
        """One step at `rate` times each parameter's learning rate. What is not a number is 0."""
        self._steps += 1
        first, second = (1 - decay**self._steps for decay in DECAY)
        for name, value in self._values.items():
            if value.grad is None:
                continue
            gradient = value.grad.nan_to_num_(0.0, 0.0, 0.0)
            mean = self._means[name].lerp_(gradient, 1 - DECAY[0])
            square = self._squares[name].mul_(DECAY[1])
            square.addcmul_(gradient, gradient, value=1 - DECAY[1])
            root = square.sqrt().mul_(1 / math.sqrt(second)).add_(LEAST_ROOT)
            parameter, moved = self._parameters[name], mean / root
            if parameter.share is not None:
                moved *= parameter.share
            value.sub_(moved, alpha=rate * parameter.learning_rate / first)
            value.grad = None
