"""Value noise in space, from a hash of the cell: the same everywhere and always."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from flexavatar.easing import smoothstep

Array = NDArray[np.float64]
_PRIMES = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)


def value_noise(points: Array, seed: int) -> Array:
    """Smooth noise with one bump a unit: [N, 3] -> [N] in -1..1."""
    base = np.floor(points)
    share = smoothstep(points - base)
    cell = base.astype(np.int64).astype(np.uint32)
    key = [cell[:, i] * np.uint32(_PRIMES[i]) for i in range(3)]
    sides = [(1 - share[:, i], share[:, i]) for i in range(3)]
    keys = [(k, k + np.uint32(p)) for k, p in zip(key, _PRIMES, strict=True)]
    salt = np.uint32(seed * 2654435761 % 2**32)
    total = np.zeros(len(points))
    for a, b, c in product((0, 1), repeat=3):
        mixed = _mix_bits((keys[0][a] + keys[1][b] + keys[2][c]) ^ salt)
        total += sides[0][a] * sides[1][b] * sides[2][c] * mixed
    return total * (2 / 2**32) - 1


def fractal_noise(points: Array, seed: int, octaves: int = 3) -> Array:
    """Noise on noise, each half as large and twice as fine: [N, 3] -> [N], about -1..1."""
    layers = (value_noise(points * 2**i, seed + i) * 0.5**i for i in range(octaves))
    return np.sum(list(layers), 0) / (2 - 0.5 ** (octaves - 1))


def _mix_bits(keys: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A hash of each key, so that neighbours have nothing in common: [N]."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        keys = (keys ^ (keys >> np.uint32(shift))) * np.uint32(factor)
    return keys ^ (keys >> np.uint32(16))
