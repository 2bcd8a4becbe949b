"""Inpainting over a head's surface: unseen texels, from the mirrored side and from around them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import LinearOperator, cg
from scipy.spatial import cKDTree
from torch import Tensor

NEIGHBOURS = 8
BORROWED = 0.2
"""Weight of a texel's own evidence from which it takes nothing of the mirrored one."""


def surface_graph(points: Tensor, normals: Tensor, groups: Tensor) -> coo_matrix:
    """Symmetric weights between texels near each other on one surface: [T, 3] -> [T, T] sparse.

    Points of different groups, or facing away from each other, are not neighbours.
    """
    place, facing, group = points.numpy(), normals.numpy(), groups.numpy()
    distance, other = cKDTree(place).query(place, k=NEIGHBOURS + 1, workers=-1)
    rows = np.repeat(np.arange(len(place)), NEIGHBOURS)
    cols, length = other[:, 1:].ravel(), distance[:, 1:].ravel()
    alike = (group[rows] == group[cols]) & ((facing[rows] * facing[cols]).sum(1) > 0)
    rows, cols, length = rows[alike], cols[alike], length[alike]
    weight = 1 / np.maximum(length, 1e-4)
    graph = coo_matrix((weight, (rows, cols)), shape=(len(place), len(place)))
    return (graph + graph.T).tocoo()


def harmonic(
    graph: coo_matrix,
    values: Tensor,
    confidence: Tensor,
    anchor: Tensor,
    pull: Tensor,
) -> Tensor:
    """The smoothest field near `values` where confidence is high: [T, C], [T], [T, C],
    [T] -> [T, C].

    Minimises |gradient|^2 + confidence |x - values|^2 + pull |x - anchor|^2.
    """
    degree = np.asarray(graph.sum(1)).ravel()
    scale = max(float(degree.mean()), 1e-9)
    hold = confidence.double().numpy() * 50.0
    laplacian = diags(degree / scale) - graph.tocsr() / scale
    drawn = pull.double().numpy()
    system = (laplacian + diags(hold + drawn)).tocsr()
    known, wanted = values.double().numpy(), anchor.double().numpy()
    right = hold[:, None] * known + drawn[:, None] * wanted
    shape, inverse = (right.size, right.size), np.repeat(1 / system.diagonal(), right.shape[1])
    # one system for all columns: a pass over the matrix serves them all
    each = LinearOperator(shape, lambda x: (system @ x.reshape(right.shape)).ravel(), dtype=float)
    jacobi = LinearOperator(shape, lambda x: inverse * x, dtype=float)
    found, _ = cg(each, right.ravel(), wanted.ravel(), rtol=1e-4, maxiter=400, M=jacobi)
    return torch.from_numpy(found.reshape(right.shape)).to(values.dtype)


def nearest_known(points: Tensor, colors: Tensor, weight: Tensor, groups: Tensor) -> Tensor:
    """Mean colour of the nearest well seen texels of the same part: [T, 3] -> [T, 3]."""
    result = colors.clone()
    for value in groups.unique():
        own = groups == value
        known = own & (weight > 0.3)
        if int(known.sum()) < NEIGHBOURS:
            continue
        tree = cKDTree(points[known].numpy())
        distance, near = tree.query(points[own].numpy(), k=24, workers=-1)
        usable = np.isfinite(distance)
        picked = colors[known][torch.from_numpy(np.where(usable, near, 0))]
        share = torch.from_numpy(usable.astype(np.float32))[..., None]
        result[own] = (picked * share).sum(1) / share.sum(1)
    return result


def borrow_mirrored(
    colors: Tensor, weight: Tensor, base: Tensor, index: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Colours [T, 3] with what the mirrored texels `index` [T] show, where they are seen better.

    It comes as detail on this side's own smooth `base` [T, 3]: light differs from left to right, so
    only the ratio of colour to smooth base crosses over. Also how much each borrowed: [T] 0..1.
    """
    ratio = (colors / base.clamp_min(0.02))[index].clamp(0.4, 2.5)
    mirrored, other = (base * ratio).clamp(0, 1), weight[index]
    borrowed = ((other - 0.1) * (1 - weight / BORROWED).clamp(0, 1)).clamp(0, 1)
    own = weight / (weight + borrowed).clamp_min(1e-9)
    return torch.lerp(mirrored, colors, own[:, None]), borrowed
