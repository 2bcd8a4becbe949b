"""A person's own colours where the background shines through.

Germer, Uelwer, Conrad and Harmeling, "Fast Multi-Level Foreground Estimation" (ICPR 2020): colours
of person and background that add up to the picture and change only where alpha does, found from the
smallest size of the picture to the largest.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SMOOTHNESS, EDGES = 1e-5, 1.0
"""Weight of a neighbour's colours, and what a difference in alpha adds to it."""
SMALL, SMALL_STEPS, LARGE_STEPS = 32, 10, 2
"""Side up to which there are more steps at a size."""
NEIGHBOURS = ((0, 1), (2, 1), (1, 0), (1, 2))
"""Row and column of each in a picture with a border of one."""


def foreground_colors(rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """The person's colours [H, W, 3] of a picture [H, W, 3], given its alpha [H, W] 0..1.

    Where alpha is 1 they are the picture's; where it is 0, those of the nearest of the person.
    """
    height, width = alpha.shape
    pair = np.broadcast_to(rgb.mean((0, 1)), (2, 1, 1, 3)).astype(np.float32)
    levels = int(np.ceil(np.log2(max(height, width, 2))))
    for level in range(levels + 1):
        share = level / levels
        size = (max(1, round(width**share)), max(1, round(height**share)))
        image, cover = _shrink(rgb, size), _shrink(alpha, size)[..., 0]
        pair = np.stack([_enlarge(colors, size) for colors in pair])
        for _ in range(SMALL_STEPS if max(size) <= SMALL else LARGE_STEPS):
            pair = _step(pair, image, cover)
    return np.where(alpha[..., None] == 1, rgb, pair[0]).astype(np.float32)


def _shrink(picture: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """[H, W] or [H, W, C] -> [h, w, C] for a size (w, h)."""
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32).reshape(size[1], size[0], -1)


def _enlarge(colors: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """[h, w, 3] -> [H, W, 3] for a size (W, H), each pixel repeated."""
    enlarged = cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(enlarged, np.float32).reshape(size[1], size[0], 3)


def _step(
    pair: NDArray[np.float32], image: NDArray[np.float32], alpha: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Person's and background's colours [2, H, W, 3], once nearer to image and neighbours."""
    padded = np.pad(pair, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    around = np.pad(alpha, 1, mode="edge")
    height, width = alpha.shape
    total, weight = np.zeros_like(pair), np.zeros((height, width, 1), np.float32)
    for dy, dx in NEIGHBOURS:
        beside = around[dy : dy + height, dx : dx + width]
        share = (SMOOTHNESS + EDGES * np.abs(beside - alpha))[..., None]
        total += share * padded[:, dy : dy + height, dx : dx + width]
        weight += share
    a, b = alpha[..., None], 1 - alpha[..., None]
    # (weight I + [a b]^T [a b]) x = total + [a b]^T image, by Cramer's rule
    determinant = weight * (weight + a * a + b * b)
    person, wall = total[0] + a * image, total[1] + b * image
    first = ((weight + b * b) * person - a * b * wall) / determinant
    second = ((weight + a * a) * wall - a * b * person) / determinant
    return np.stack((first, second)).clip(0, 1)
