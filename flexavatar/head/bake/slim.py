"""Flattens a disc-shaped mesh into a rectangle without folds, at a wanted local scale.

Tutte's embedding gives a start without folds; the symmetric Dirichlet energy against a reference
size per triangle is then lowered by scalable locally injective mappings (Rabinovich et al., ACM
Transactions on Graphics 2017). Vertices on a side of the rectangle slide along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags_array, hstack
from scipy.sparse.linalg import spsolve

from flexavatar.head.mesh_operators import adjacency

STEPS = 60


@dataclass(frozen=True)
class Disc:
    """A triangulated disc and where its border goes."""

    faces: np.ndarray  # [F, 3]
    frames: np.ndarray  # [F, 2, 2] columns: two reference edges, in units of the rectangle
    weights: np.ndarray  # [F] importance
    sides: tuple[np.ndarray, ...]  # bottom, right, top, left: border vertices, corners shared
    size: tuple[float, float]  # width, height of the rectangle
    count: int


def reference_frames(points: np.ndarray, faces: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Edges of every triangle in its own plane over its spacing: [F, 2, 2]."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    length = np.maximum(np.linalg.norm(b - a, axis=1), 1e-9)
    along = (b - a) / length[:, None]
    forward = ((c - a) * along).sum(1)
    height = np.maximum(np.linalg.norm((c - a) - forward[:, None] * along, axis=1), 0.05 * length)
    frames = np.zeros((len(faces), 2, 2))
    frames[:, 0, 0], frames[:, 0, 1], frames[:, 1, 1] = length, forward, height
    return frames / spacing[:, None, None]


def flatten(disc: Disc) -> np.ndarray:
    """Positions in the rectangle, no triangle folded: [count, 2]."""
    uv = tutte(disc)
    gradient = _gradient(disc)
    free = _free(disc)
    for _ in range(STEPS):
        target = _solve(disc, gradient, uv, free)
        uv, moved = _search(disc, uv, target - uv)
        if moved < 1e-5:
            break
    return uv


def tutte(disc: Disc) -> np.ndarray:
    """Every inner vertex at the mean of its neighbours, the border along the rectangle."""
    fixed, place = _border(disc)
    links = adjacency(disc.faces, disc.count)
    laplacian = (diags_array(np.asarray(links.sum(1)).ravel()) - links).tocsr()
    inner = np.setdiff1d(np.arange(disc.count), fixed)
    uv = np.zeros((disc.count, 2))
    uv[fixed] = place
    uv[inner] = spsolve(laplacian[inner][:, inner].tocsc(), -laplacian[inner][:, fixed] @ place)
    return uv


def _border(disc: Disc) -> tuple[np.ndarray, np.ndarray]:
    """Border vertices and their first places, evenly spread along each side."""
    width, height = disc.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height), (0, 0)])
    vertices, places = [], []
    for side, start, end in zip(disc.sides, corners[:-1], corners[1:], strict=True):
        t = np.linspace(0, 1, len(side))[:-1, None]
        vertices.append(side[:-1])
        places.append(start + t * (end - start))
    return np.concatenate(vertices), np.concatenate(places)


def _free(disc: Disc) -> np.ndarray:
    """Which coordinates may change: [2 count] bool, all u then all v."""
    free = np.ones((2, disc.count), dtype=bool)
    bottom, right, top, left = disc.sides
    free[1, bottom] = free[1, top] = False
    free[0, right] = free[0, left] = False
    return free.ravel()


def _gradient(disc: Disc) -> tuple[csr_matrix, csr_matrix]:
    """Derivatives along the two axes of every reference triangle: [F, count] twice."""
    inverse = np.linalg.inv(disc.frames)  # [F, 2, 2]
    rows = np.repeat(np.arange(len(disc.faces)), 3)
    operators = []
    for axis in range(2):
        b, c = inverse[:, 0, axis], inverse[:, 1, axis]
        values = np.stack((-b - c, b, c), axis=1).ravel()
        shape = (len(disc.faces), disc.count)
        operators.append(csr_matrix((values, (rows, disc.faces.ravel())), shape=shape))
    return operators[0], operators[1]


def _jacobians(gradient: tuple[csr_matrix, csr_matrix], uv: np.ndarray) -> np.ndarray:
    return np.stack([g @ uv for g in gradient], axis=-1)  # [F, 2, 2]


def _solve(
    disc: Disc, gradient: tuple[csr_matrix, csr_matrix], uv: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Minimum of SLIM's quadratic proxy: [count, 2]."""
    left, stretch, right = np.linalg.svd(_jacobians(gradient, uv))
    stretch = np.maximum(stretch, 1e-9)
    flat = np.abs(stretch - 1) < 1e-6
    safe = np.where(flat, 2.0, stretch)
    weight = np.where(flat, 4.0, (safe - safe**-3) / (safe - 1)) ** 0.5
    metric = np.einsum("fik,fk,fjk->fij", left, weight, left)  # [F, 2, 2]
    wanted = metric @ left @ right
    areas = np.sqrt(np.abs(np.linalg.det(disc.frames)) * disc.weights)[:, None, None]
    metric, wanted = metric * areas, wanted * areas
    dx, dy = gradient
    normal = None
    side = np.zeros(2 * disc.count)
    for axis, d in enumerate((dx, dy)):
        for row in range(2):
            u = d.multiply(metric[:, row, 0][:, None])
            v = d.multiply(metric[:, row, 1][:, None])
            block = hstack((u, v)).tocsr()
            normal = block.T @ block if normal is None else normal + block.T @ block
            side += block.T @ wanted[:, row, axis]
    assert normal is not None
    system = (normal + 1e-6 * diags_array(np.ones(2 * disc.count))).tocsr()
    side += 1e-6 * uv.T.ravel()
    result = uv.T.ravel().copy()
    held = np.where(free, 0, result)
    result[free] = spsolve(system[free][:, free].tocsc(), (side - system @ held)[free])
    return result.reshape(2, -1).T


def _search(disc: Disc, uv: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, float]:
    """Go down without folding a triangle: new positions and the relative gain."""
    share = min(1.0, 0.9 * _first_fold(disc, uv, step))
    start = _energy(disc, uv)
    for _ in range(40):
        trial = uv + share * step
        energy = _energy(disc, trial)
        if energy < start:
            return trial, (start - energy) / start
        share /= 2
    return uv, 0.0


def _edges(faces: np.ndarray, uv: np.ndarray) -> np.ndarray:
    a, b, c = (uv[faces[:, i]] for i in range(3))
    return np.stack((b - a, c - a), axis=-1)  # [F, 2, 2]


def _first_fold(disc: Disc, uv: np.ndarray, step: np.ndarray) -> float:
    """Share of the step at which the first triangle has no area."""
    here, there = _edges(disc.faces, uv), _edges(disc.faces, step)
    a, c = np.linalg.det(there), np.linalg.det(here)
    b = np.linalg.det(here + there) - a - c
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0))
    q = -0.5 * (b + np.where(b < 0, -1, 1) * root)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.stack((q / a, c / q))
    times = np.where((b * b >= 4 * a * c) & np.isfinite(times) & (times > 0), times, np.inf)
    return float(times.min())


def _energy(disc: Disc, uv: np.ndarray) -> float:
    jacobians = _edges(disc.faces, uv) @ np.linalg.inv(disc.frames)
    area = np.linalg.det(jacobians)
    if (area <= 0).any():
        return np.inf
    squared = (jacobians**2).sum((1, 2))
    sizes = np.abs(np.linalg.det(disc.frames)) * disc.weights
    return float((sizes * (squared + squared / area**2)).sum())
