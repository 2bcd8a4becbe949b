"""Matte of a person, and the person's colours without the background's."""

from __future__ import annotations

import threading
from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.inpaint import nearest_fill
from flexavatar.errors import AssetError

NET_SIDE = 256
CERTAIN = 0.97
"""The net's answer beyond which it does not waver."""
NEIGHBOURHOOD, DOUBT = 61, 13
"""Pixels at the net's size: wall that is near, and how far doubt reaches."""
MIXTURE, LEAST_SAMPLES, LEAST_SPREAD = 6, 200, 20.0
"""Gaussians of a side's colours in Lab, pixels to learn them from, variance added to each."""
COLOR_WEIGHT, MOST = 0.7, 5.0
"""Of the logarithms of the colours' densities, and their largest say."""
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

    The 256 x 256 net is averaged with its mirror image, colours decide where it wavers, then a
    guided filter moves its soft edge onto the picture's own edges.
    """
    height, width = rgb.shape[:2]
    flipped = np.ascontiguousarray(rgb[:, ::-1])
    coarse = _refine_by_color(0.5 * (_segment(rgb) + _segment(flipped)[:, ::-1]), rgb)
    matte = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    radius = max(2, round(max(height, width) / 85))
    guide = rgb.astype(np.float32) / 255
    filtered = cv2.ximgproc.guidedFilter(guide, matte, radius, 1e-4)
    return np.clip((filtered - 0.25) / 0.6, 0, 1).astype(np.float32)


def _refine_by_color(coarse: NDArray[np.float32], rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The net's answer [N, N], with its doubtful pixels moved to the side whose colours they have.

    Long hair makes the net waver from frame to frame where any eye sees hair before a wall. Where
    both sides have the pixel's colour, the net's answer stands.
    """
    side = len(coarse)
    small = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
    colors = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32).reshape(-1, 3)
    person = cv2.erode((coarse > CERTAIN).astype(np.uint8), np.ones((3, 3)))
    near = cv2.dilate(person, _square(NEIGHBOURHOOD)) > 0
    wall = cv2.erode((coarse < 1 - CERTAIN).astype(np.uint8), np.ones((3, 3))) > 0
    samples = [colors[mask.ravel()] for mask in (person > 0, wall & near)]
    if min(map(len, samples)) < LEAST_SAMPLES:
        return coarse
    likelihood = [_log_density(own, colors).reshape(side, side) for own in samples]
    evidence = np.clip(COLOR_WEIGHT * (likelihood[0] - likelihood[1]), -MOST, MOST)
    prior = np.clip(coarse, 0.02, 0.98)
    sided = 1 / (1 + np.exp(-(np.log(prior / (1 - prior)) + evidence)))
    doubtful = cv2.dilate(((coarse > 0.05) & (coarse < CERTAIN)).astype(np.uint8), _square(DOUBT))
    return np.where(doubtful > 0, sided, coarse).astype(np.float32)


def _log_density(samples: NDArray[np.float32], at: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log density at [N, 3] of a Gaussian mixture learnt from `samples` [S, 3]: [N]."""
    mixture = cv2.ml.EM.create()
    mixture.setClustersNumber(MIXTURE)
    mixture.setTermCriteria((cv2.TERM_CRITERIA_COUNT, 12, 0))
    cv2.setRNGSeed(0)
    mixture.trainEM(samples[:: max(1, len(samples) // 3000)])
    means, weights = mixture.getMeans(), mixture.getWeights()[0]
    parts: list[NDArray[np.float64]] = []
    for mean, cov, weight in zip(means, mixture.getCovs(), weights, strict=True):
        spread = cov + np.eye(3) * LEAST_SPREAD
        away = at - mean
        distance = (away @ np.linalg.inv(spread) * away).sum(1)
        parts.append(np.log(weight + 1e-9) - 0.5 * (distance + np.log(np.linalg.det(spread))))
    return np.asarray(np.logaddexp.reduce(parts, 0), np.float64)


def _square(size: int) -> NDArray[np.uint8]:
    return np.ones((size, size), np.uint8)


def keep_component(matte: NDArray[np.float32], seed: tuple[int, int]) -> NDArray[np.float32]:
    """Keep the connected part of the matte at the pixel `seed` (x, y): others are other people."""
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
    near = _blur(nearest_fill(rgb, sure), sure)
    grown = np.where(sure[..., None], rgb, near)
    keep = np.clip((matte[..., None] - 0.9) / 0.1, 0, 1)
    return (keep * rgb + (1 - keep) * grown).astype(np.float32)


def _blur(values: NDArray[np.float32], sure: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Blurred, against the streaks that nearest pixels leave: [H, W, 3]."""
    radius = len(values) / 170
    return np.asarray(cv2.GaussianBlur(values, (0, 0), radius), np.float32)
