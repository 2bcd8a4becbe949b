"""Closed-form matting: the alpha of doubtful pixels from the picture's own colours.

Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting" (TPAMI 2008): in each
3 x 3 window the colours of person and background lie on a line each, so alpha is an affine function
of the colour there. The quadratic form that says so is solved over the doubtful pixels alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, eye
from scipy.sparse.linalg import splu

EPSILON = 1e-5
"""Variance of colours added in each window: larger smooths alpha within flat windows."""
WINDOW = 9
"""Pixels in a window."""
PRIOR = 1e-3
"""How much the first guess counts beside the windows."""


def closed_form_alpha(
    rgb: NDArray[np.float32], alpha: NDArray[np.float32], unknown: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Alpha [H, W] 0..1, changed where it is unknown [H, W] to what colours [H, W, 3] 0..1 say.

    There `alpha` is a first guess; elsewhere it is the truth.
    """
    pixels = np.flatnonzero(unknown)
    if not len(pixels):
        return alpha
    known = alpha.astype(np.float64).ravel()
    laplacian, pull = _matting_system(rgb, known, unknown)
    solver = splu(
        (laplacian + PRIOR * eye(len(pixels))).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    solved = alpha.copy().ravel()
    solved[pixels] = solver.solve(pull + PRIOR * known[pixels]).clip(0, 1)
    return solved.reshape(alpha.shape)


def _matting_system(
    rgb: NDArray[np.float32], known: NDArray[np.float64], unknown: NDArray[np.bool_]
) -> tuple[csc_matrix, NDArray[np.float64]]:
    """The Laplacian over the unknown pixels, and what known ones [H W] pull them to."""
    count, width = int(unknown.sum()), unknown.shape[1]
    number = np.full(unknown.size, -1, np.int64)
    number[unknown.ravel()] = np.arange(count)
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    y, x = np.nonzero(near[1:-1, 1:-1])  # upper left corners of the windows
    around = (np.arange(3)[:, None] * width + np.arange(3)).ravel()
    windows = (y * width + x)[:, None] + around  # [W, 9] pixels
    coupling = np.eye(WINDOW) - _affinities(rgb.reshape(-1, 3)[windows].astype(np.float64))
    rows = number[windows]
    inside = rows >= 0
    both = inside[:, :, None] & inside[:, None, :]
    i = np.broadcast_to(rows[:, :, None], both.shape)[both]
    j = np.broadcast_to(rows[:, None, :], both.shape)[both]
    laplacian = csc_matrix((coupling[both], (i, j)), shape=(count, count))
    outer = np.where(inside, 0.0, known[windows])
    pull = -(coupling @ outer[..., None])[..., 0]
    pulls = np.bincount(rows[inside], pull[inside], count)
    return laplacian, np.asarray(pulls, np.float64)


def _affinities(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """How alike the pixels of windows are, by their colours: [W, 9, 3] -> [W, 9, 9]."""
    away = colors - colors.mean(1, keepdims=True)
    transposed = away.transpose(0, 2, 1)
    covariance = transposed @ away / WINDOW + np.eye(3) * (EPSILON / WINDOW)
    return (1 + away @ np.linalg.solve(covariance, transposed)) / WINDOW
