"""How different two pictures look, without learned weights.

LPIPS needs a backbone's weights, which do not come with this package; HaarPSI needs none and agrees
with people about as well on the usual sets of distorted pictures. Never put one beside the other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIMILARITY_FLOOR = 30.0
STEEPNESS = 4.2
"""C and α of the paper."""
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)

Channels = NDArray[np.floating]  # [C, H, W]


def haarpsi_distance(
    shown: NDArray[np.float32], wanted: NDArray[np.float32], where: NDArray[np.bool_]
) -> float:
    """1 − HaarPSI of two pictures [H, W, 3] 0..1, over the pixels `where` [H, W]: 0 if equal.

    Reisenhofer, Bosse, Kutyniok and Wiegand, "A Haar wavelet-based perceptual similarity index for
    image quality assessment", Signal Processing: Image Communication 2018. At half the size, as the
    paper says. What has no edge in either picture does not count; NaN if nothing has one.
    """
    similarity, weight = _local_similarities(_yiq(shown), _yiq(wanted))
    inside = where[::2, ::2]
    similarity = similarity[:, inside].astype(np.float64)
    weight = weight[:, inside].astype(np.float64)
    if not weight.any():
        return float("nan")
    mean = (weight / (1 + np.exp(-STEEPNESS * similarity))).sum() / weight.sum()
    return 1 - float((np.log(mean / (1 - mean)) / STEEPNESS) ** 2)


def _yiq(picture: NDArray[np.float32]) -> Channels:
    """Luma and two chromas at half size: [3, H / 2, W / 2], luma 0..255."""
    channels = np.moveaxis(cv2.transform(picture, YIQ * 255), -1, 0)
    return np.stack([_box_filter(channel)[::2, ::2] for channel in channels])


def _box_filter(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of 2 x 2 pixels, [H, W]."""
    return _filter(channel, np.full((2, 2), 0.25, np.float32))


def _filter(channel: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    middle = ((kernel.shape[1] - 1) // 2, (kernel.shape[0] - 1) // 2)
    return np.asarray(
        cv2.filter2D(channel, -1, kernel, anchor=middle, borderType=cv2.BORDER_CONSTANT), np.float32
    )


def _haar(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Strength of edges lying and standing, at three scales: [H, W] -> [2, 3, H, W]."""
    kernels = [np.full((2**scale, 2**scale), 2.0**-scale, np.float32) for scale in (1, 2, 3)]
    for kernel in kernels:
        kernel[: len(kernel) // 2] *= -1
    lying = [_filter(luma, kernel) for kernel in kernels]
    standing = [_filter(luma, np.ascontiguousarray(kernel.T)) for kernel in kernels]
    return np.abs(np.array((lying, standing), np.float32))


def _local_similarities(a: Channels, b: Channels) -> tuple[Channels, Channels]:
    """Local similarity of lying edges, standing edges and colour, and their weight: [3, H, W]."""
    edges_a, edges_b = _haar(a[0]), _haar(b[0])
    edges = _similarity(edges_a[:, :2], edges_b[:, :2]).mean(1)
    tints_a, tints_b = (np.abs([_box_filter(c) for c in x[1:]]) for x in (a, b))
    colour = _similarity(tints_a, tints_b).mean(0)
    weight = np.maximum(edges_a[:, 2], edges_b[:, 2])
    return np.stack((*edges, colour)), np.stack((*weight, weight.mean(0)))


def _similarity(a: Channels, b: Channels) -> Channels:
    return (2 * a * b + SIMILARITY_FLOOR) / (a * a + b * b + SIMILARITY_FLOOR)
