"""Gentle ways from 0 to 1: what fades in, moves or blends begins and ends without a jerk."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Values = TypeVar("Values", Tensor, NDArray[np.float32], NDArray[np.float64])


def smoothstep(x: Values, zero: float = 0.0, one: float = 1.0) -> Values:
    """The cubic way, as shaders have it: 0 up to `zero`, 1 from `one` on; `zero` may be the larger.

    Any shape, kept.
    """
    t = ((x - zero) / (one - zero)).clip(0, 1)
    return t * t * (3 - 2 * t)


def minimum_jerk(x: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The quintic way of a hand or an eyelid: 0 up to 0, 1 from 1 on; any shape, kept.

    Flash and Hogan, "The coordination of arm movements", Journal of Neuroscience 5, 1985.
    """
    x = np.asarray(x).clip(0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)
