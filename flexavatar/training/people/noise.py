"""Smooth noise in space, looked up in one block of random numbers: fast, and repeats mirrored.

The block is the same for ever; a seed chooses where in it, and so gives each use its own noise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from flexavatar.easing import smoothstep

Array = NDArray[np.float32]
Field = NDArray[np.floating]
SIDE = 64
"""Of the block: noise is mirrored after so many bumps."""


def f32(values: ArrayLike) -> Array:
    """Anything as single precision."""
    return np.asarray(values, np.float32)


@lru_cache(maxsize=1)
def _block() -> torch.Tensor:
    """Uniform in -1..1: [1, 1, 65, 65, 65]."""
    cells = np.random.default_rng(7).uniform(-1, 1, (SIDE + 1,) * 3).astype(np.float32)
    return torch.from_numpy(cells)[None, None]


def value_noise(points: Array, scale: float | tuple[float, float, float], seed: int) -> Array:
    """One bump per 1 / scale metres: [N, 3] -> [N] in -1..1."""
    moved = points * f32(scale) + _offset(seed)
    base = np.floor(moved)
    base += smoothstep(moved - base)
    base *= 2 / SIDE
    grid = torch.from_numpy(base[:, ::-1].copy())
    found = torch.nn.functional.grid_sample(
        _block(), grid.view(1, 1, 1, -1, 3), padding_mode="reflection", align_corners=True
    )
    return found.view(-1).numpy()


def fractal_noise(
    points: Array, scale: float | tuple[float, float, float], seed: int, octaves: int = 3
) -> Array:
    """Noise on noise, each half as large and twice as fine: [N, 3] -> [N], about -1..1."""
    steps = np.asarray(scale, np.float32) * np.ones(3, np.float32)
    total = np.zeros(len(points), np.float32)
    for i in range(octaves):
        x, y, z = (float(s) for s in steps * 2**i)
        total += 0.5**i * value_noise(points, (x, y, z), seed + 31 * i)
    return total / np.float32(2 - 0.5 ** (octaves - 1))


def _offset(seed: int) -> Array:
    return np.random.default_rng((seed, 11)).uniform(0, SIDE, 3).astype(np.float32)
