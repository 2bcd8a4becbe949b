"""Triangle meshes in numpy: edges, neighbours, mirror images, smoothing and filling of fields."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import SuperLU, splu
from scipy.spatial import cKDTree

from flexavatar.head import binding


def edges_of(faces: np.ndarray) -> np.ndarray:
    """Every edge once, lower vertex first: [F, 3] -> [E, 2]."""
    sides = np.stack((faces, np.roll(faces, -1, axis=1)), axis=-1).reshape(-1, 2)
    return np.unique(np.sort(sides, axis=1), axis=0)


def open_edges(faces: np.ndarray) -> np.ndarray:
    """Edges of one face only, in that face's direction: [F, 3] -> [E, 2]."""
    sides = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    _, first, counts = np.unique(
        np.sort(sides, axis=1), axis=0, return_index=True, return_counts=True
    )
    return sides[first[counts == 1]]


def adjacency(faces: np.ndarray, count: int) -> csr_matrix:
    """Adjacency matrix, 1 where two vertices share an edge: [V, V]."""
    a, b = edges_of(faces).T
    links = coo_matrix((np.ones(len(a)), (a, b)), shape=(count, count))
    return (links + links.T).tocsr()


def components(faces: np.ndarray, count: int) -> np.ndarray:
    """Number of the connected piece that each vertex belongs to: [V]."""
    return connected_components(adjacency(faces, count), directed=False)[1]


def mirror_map(points: np.ndarray, tolerance: float) -> np.ndarray:
    """For every vertex the one at its mirror image about x = 0: [V]; empty if one has none."""
    distance, index = cKDTree(points).query(points * (-1, 1, 1))
    mutual = (index[index] == np.arange(len(points))).all()
    return index if mutual and distance.max() < tolerance else np.zeros(0, dtype=np.int64)


def smoothing_step(faces: np.ndarray, count: int) -> csr_matrix:
    """Averages each vertex with its neighbours, half and half: [V, V], rows sum to 1."""
    links = adjacency(faces, count)
    degree = np.asarray(links.sum(1)).ravel()
    step = diags_array(0.5 / np.maximum(degree, 1)) @ links
    return (step + diags_array(np.where(degree > 0, 0.5, 1.0))).tocsr()


def neighbour_mean(field: np.ndarray, faces: np.ndarray, steps: int) -> np.ndarray:
    """Smooth a field [V] or [V, D] by so many smoothing steps."""
    step = smoothing_step(faces, len(field))
    for _ in range(steps):
        field = step @ field
    return field


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """`binding.vertex_normals` for arrays: [V, 3], [F, 3] -> [V, 3]."""
    return binding.vertex_normals(torch.as_tensor(vertices), torch.as_tensor(faces)).numpy()


def factorize(matrix: csc_matrix) -> SuperLU:
    """Sparse factors of a symmetric positive definite matrix; no pivoting is needed."""
    options = {"SymmetricMode": True}
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)


class LaplacianFill:
    """Continues a vertex field smoothly where it is not trusted.

    Least squares of `trust` times the change against the field's differences along edges. A piece
    of the mesh that is nowhere trusted keeps what it has.
    """

    def __init__(self, faces: np.ndarray, trust: np.ndarray, smoothness: float = 0.02) -> None:
        count = len(trust)
        links = adjacency(faces, count)
        laplacian = diags_array(np.asarray(links.sum(1)).ravel()) - links
        piece = components(faces, count)
        self.known = np.bincount(piece, weights=trust)[piece] > 1  # [V] in a piece with some trust
        self.weight = np.where(self.known, np.maximum(trust, 1e-4), 1.0)
        self.factors = factorize((diags_array(self.weight) + smoothness * laplacian).tocsc())

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """[V, D] -> [V, D]."""
        return self.factors.solve(self.weight[:, None] * field)
