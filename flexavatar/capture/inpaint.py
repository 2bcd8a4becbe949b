"""Known pixels carried on to where nothing is known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def nearest_fill(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The value of the nearest known pixel, everywhere: [H, W, C], [H, W] -> [H, W, C]."""
    if not known.any():
        return values
    unknown = (~known).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.asarray(labels, np.int64)
    table = np.zeros((int(nearest.max()) + 1, *values.shape[2:]), values.dtype)
    table[nearest[known]] = values[known]
    return table[nearest]


def push_pull(colors: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill where weight is 0 from ever coarser means of where it is not.

    `colors` [H, W, C] are premultiplied by `weight` [H, W, 1].
    """
    height, width = weight.shape[:2]
    mean = np.asarray(colors / np.maximum(weight, 1e-6), np.float32)
    if max(height, width) == 1:
        return mean
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = push_pull(_halved(colors, half), _halved(weight, half))
    filled = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.clip(weight, 0, 1)
    whole = share * mean + (1 - share) * filled.reshape(colors.shape)
    return np.asarray(whole, np.float32)


def _halved(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Area average to (width, height), the last axis kept even where it is 1."""
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(size[1], size[0], image.shape[2])
