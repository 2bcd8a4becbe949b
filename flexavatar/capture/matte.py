"""Matte of a person: a net says roughly where, colours say where exactly."""

from __future__ import annotations

import threading
from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.closed_form import closed_form_alpha
from flexavatar.errors import AssetError

NET_SIDE = 256
CERTAIN = 0.95
"""The net's answer beyond which it is believed, away from its own edges."""
EDGE, BAND = 1 / 64, 1 / 128
"""Shares of the picture's longer side: as near to the net's edge colours decide; as near to theirs
a pixel may be of both."""
ROUNDS, LEAST_SAMPLES = 4, 200
"""Of learning colours and cutting, and pixels to learn a side's colours from."""

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


def person_matte(
    rgb: NDArray[np.uint8],
    face: NDArray[np.bool_] | None = None,
    inside: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Share of each pixel that is the person: [H, W, 3] -> [H, W] 0..1.

    The 256 x 256 net is averaged with its mirror image and says what surely is the person and what
    the background; `face` [H, W] is the person's too. Colours of both sides decide the rest
    (GrabCut), and along the edge how much of a pixel is whose (closed-form matting). Nothing
    outside `inside` [H, W] is the person, nor is anything learnt there.
    """
    height, width = rgb.shape[:2]
    flipped = np.ascontiguousarray(rgb[:, ::-1])
    net = 0.5 * (_segment(rgb) + _segment(flipped)[:, ::-1])
    net = cv2.resize(net, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    whole = np.ones((height, width), bool) if inside is None else inside
    person = _cut_by_color(rgb, np.asarray(net, np.float32), face, whole)
    if person is None:
        return np.asarray(net * whole, np.float32)
    edge = BAND * max(height, width)
    unknown = (_distance(person) <= edge) & (_distance(~person) <= edge) & whole
    unit = np.asarray(rgb / 255, np.float32)
    return closed_form_alpha(unit, person.astype(np.float32), unknown) * whole


def _cut_by_color(
    rgb: NDArray[np.uint8],
    net: NDArray[np.float32],
    face: NDArray[np.bool_] | None,
    inside: NDArray[np.bool_],
) -> NDArray[np.bool_] | None:
    """Which pixels are the person's, [H, W]; None if there is too little of either side to learn.

    Rother, Kolmogorov and Blake, "GrabCut" (SIGGRAPH 2004).
    """
    kernel = np.ones((2 * round(EDGE * max(net.shape)) + 1,) * 2, np.uint8)
    person, wall = (cv2.erode((s > CERTAIN).astype(np.uint8), kernel) > 0 for s in (net, 1 - net))
    if face is not None:
        person |= cv2.erode(face.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    labels = np.where(net > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    labels = np.where(person, cv2.GC_FGD, np.where(wall, cv2.GC_BGD, labels)).astype(np.uint8)
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    own = np.ascontiguousarray(labels[window])
    if min(int((own == sure).sum()) for sure in (cv2.GC_FGD, cv2.GC_BGD)) < LEAST_SAMPLES:
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(rgb[window][..., ::-1])
    cv2.grabCut(bgr, own, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)  # pyright: ignore
    cut = np.zeros(net.shape, bool)
    cut[window] = (own == cv2.GC_FGD) | (own == cv2.GC_PR_FGD)
    return cut


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pixels to the nearest one outside the mask, 0 there: [H, W]."""
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


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
