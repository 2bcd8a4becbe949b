"""Adam (Kingma and Ba 2015) whose steps are taken in part: scaled gradients would not do that."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.render import native

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
    hold: float = 0.0
    """Weight in the loss of the mean squared distance from where it starts."""


class Adam:
    """The optimiser of named leaf tensors; their gradients are taken, and gone after each step."""

    def __init__(self, values: Mapping[str, Tensor], parameters: Mapping[str, Parameter]) -> None:
        self._states = [_State(values[name], parameter) for name, parameter in parameters.items()]
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float = 1.0) -> None:
        """One step at `rate` times each parameter's learning rate. What is not a number is 0."""
        self._steps += 1
        for state in self._states:
            if state.value.grad is not None:
                state.step(rate, self._steps)
                state.value.grad = None


class _State:
    """One parameter, and the running means of its gradients."""

    def __init__(self, value: Tensor, parameter: Parameter) -> None:
        self.value = value
        self._rate = parameter.learning_rate
        self._mean, self._square = torch.zeros_like(value), torch.zeros_like(value)
        share, start = parameter.share, parameter.value
        self._share = None if share is None else share.expand_as(value).to(value).contiguous()
        self._start = start.detach().clone() if parameter.hold else None
        self._pull = 2 * parameter.hold / max(1, value.numel())
        compiled = value.dtype == torch.float32 and not value.is_cuda and value.is_contiguous()
        self._library = native.library() if compiled else None

    def step(self, rate: float, number: int) -> None:
        """The step of that number, from 1, at `rate` times the learning rate."""
        first, second = (1 - decay**number for decay in DECAY)
        rate, root_scale = rate * self._rate / first, 1 / math.sqrt(second)
        assert self.value.grad is not None
        if self._library is None:
            self._step(self.value.grad, rate, root_scale)
        else:
            self._compiled_step(self._library, self.value.grad.contiguous(), rate, root_scale)

    def _step(self, gradient: Tensor, rate: float, root_scale: float) -> None:
        gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
        if self._start is not None:
            gradient = gradient + self._pull * (self.value - self._start)
        mean = self._mean.lerp_(gradient, 1 - DECAY[0])
        square = self._square.mul_(DECAY[1]).addcmul_(gradient, gradient, value=1 - DECAY[1])
        moved = mean / square.sqrt().mul_(root_scale).add_(LEAST_ROOT)
        self.value.sub_(moved if self._share is None else moved * self._share, alpha=rate)

    def _compiled_step(
        self, library: ctypes.CDLL, gradient: Tensor, rate: float, root_scale: float
    ) -> None:
        own = (self.value, self._mean, self._square, gradient)
        step = native.AdamStep(
            self.value.numel(),
            *(x.data_ptr() for x in own),
            *(None if x is None else x.data_ptr() for x in (self._share, self._start)),
            self._pull,
            rate,
            *DECAY,
            root_scale,
            LEAST_ROOT,
        )
        library.flex_adam_step(ctypes.byref(step))
