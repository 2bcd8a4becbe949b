"""Who is person and who is background: a matte, and colours free of the background's."""

from __future__ import annotations

import threading
from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.spread import nearest_fill
from flexavatar.errors import AssetError

NET_SIDE = 256
SURE = 0.95
"""Matte above which a pixel has nothing of the background."""

_lock = threading.Lock()


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    from ai_edge_litert.interpreter import Interpreter

    path = resources.files("flexavatar") / "assets/mediapipe/selfie_segmentation.tflite"
    if not path.is_file():
        raise AssetError(f"matte: expected the model file {path}, found none")
    segmenter = Interpreter(model_content=path.read_bytes(), num_threads=2)
    segmenter.allocate_tensors()
    return segmenter


def _segment(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The net's own answer at its own size: [H, W, 3] -> [256, 256] 0..1."""
    small = cv2.resize(rgb, (NET_SIDE, NET_SIDE), interpolation=cv2.INTER_AREA)
    batch = small[None].astype(np.float32) / 255
    with _lock:
        net = _segmenter()
        net.set_tensor(net.get_input_details()[0]["index"], batch)
        net.invoke()
        return net.get_tensor(net.get_output_details()[0]["index"])[0, :, :, 0].copy()


def person_matte(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of each pixel that is the person: [H, W, 3] -> [H, W] 0..1.

    The 256 x 256 net is averaged with its mirror image, then a guided filter moves its soft edge
    onto the picture's own edges.
    """
    height, width = rgb.shape[:2]
    flipped = np.ascontiguousarray(rgb[:, ::-1])
    coarse = 0.5 * (_segment(rgb) + _segment(flipped)[:, ::-1])
    matte = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    radius = max(2, round(max(height, width) / 85))
    guide = rgb.astype(np.float32) / 255
    filtered = cv2.ximgproc.guidedFilter(guide, matte, radius, 1e-4)
    return np.clip((filtered - 0.25) / 0.6, 0, 1).astype(np.float32)


def largest_part(matte: NDArray[np.float32], seed: tuple[int, int]) -> NDArray[np.float32]:
    """Keep the part of the matte that holds the pixel `seed` (x, y): others are other people."""
    count, labels = cv2.connectedComponents((matte > 0.3).astype(np.uint8))
    x = int(np.clip(seed[0], 0, matte.shape[1] - 1))
    y = int(np.clip(seed[1], 0, matte.shape[0] - 1))
    label = labels[y, x]
    if count <= 2 or label == 0:
        return matte
    others = cv2.dilate(((labels != label) & (labels > 0)).astype(np.uint8), np.ones((5, 5)))
    return np.where((others > 0) & (labels != label), np.float32(0), matte)


def foreground_colors(rgb: NDArray[np.float32], matte: NDArray[np.float32]) -> NDArray[np.float32]:
    """The person's own colours, grown outwards over the soft edge: [H, W, 3] 0..1.

    Pixels that are surely the person keep theirs; at the edge, where the background shines
    through, the colour comes from the nearest sure ones: dark hair stays dark up to its last wisp.
    """
    sure = cv2.erode(matte, np.ones((3, 3))) > SURE
    near = _smoothed(nearest_fill(rgb, sure), sure)
    grown = np.where(sure[..., None], rgb, near)
    keep = np.clip((matte[..., None] - 0.9) / 0.1, 0, 1)
    return (keep * rgb + (1 - keep) * grown).astype(np.float32)


def _smoothed(values: NDArray[np.float32], sure: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Without the streaks that nearest pixels leave: [H, W, 3]."""
    radius = len(values) / 170
    return np.asarray(cv2.GaussianBlur(values, (0, 0), radius), np.float32)
