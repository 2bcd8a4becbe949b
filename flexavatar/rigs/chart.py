"""UV charts for rigs that come without one: read a template's, or unwrap.

The unwrap is a plain atlas: faces are grouped by the axis they look along, seen along that axis,
split until no two faces of a group cover each other, and packed in rows at one common scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from flexavatar.errors import AssetError

MARGIN = 0.004
"""Room around every chart, as a share of the atlas."""


@dataclass(frozen=True)
class Chart:
    """Texture coordinates of a mesh."""

    uvs: np.ndarray  # [Vt, 2] u right, v up, 0..1
    faces: np.ndarray  # [F, 3] corners in the order of the mesh's faces


def read_obj_chart(path: Path, faces: np.ndarray) -> Chart:
    """The chart of a Wavefront template with the same triangles, in any order.

    Raises AssetError if a triangle is missing or the file is damaged.
    """
    try:
        uvs, corners = _parse_obj(path.read_text(errors="replace"))
    except (ValueError, IndexError) as error:
        raise AssetError(f"{path}: expected v/vt triangles, {error}") from error
    found = {frozenset(v): dict(zip(v, t, strict=True)) for v, t in corners}
    try:
        chart = [[found[frozenset(f)][v] for v in f] for f in faces.tolist()]
    except KeyError as error:
        raise AssetError(
            f"{path}: expected the rig's {len(faces)} triangles, one is missing"
        ) from error
    table = np.array(chart, dtype=np.int64)
    if table.min() < 0 or table.max() >= len(uvs) or not np.isfinite(uvs).all():
        raise AssetError(f"{path}: expected texture coordinates 1..{len(uvs)}, got others")
    return Chart(uvs.astype(np.float32), table)


def _parse_obj(text: str) -> tuple[np.ndarray, list[tuple[list[int], list[int]]]]:
    """Texture coordinates, and (vertex ids, texture ids) of every triangle."""
    uvs: list[list[float]] = []
    corners: list[tuple[list[int], list[int]]] = []
    for line in text.splitlines():
        if line.startswith("vt "):
            uvs.append([float(x) for x in line.split()[1:3]])
        elif line.startswith("f "):
            pairs = [part.split("/") for part in line.split()[1:]]
            corners.append(([int(p[0]) - 1 for p in pairs], [int(p[1]) - 1 for p in pairs]))
    return np.array(uvs, dtype=np.float64).reshape(-1, 2), corners


def unwrap(vertices: np.ndarray, faces: np.ndarray) -> Chart:
    """An atlas without overlaps: [V, 3], [F, 3]. Any mesh will do."""
    flat, axes = _axis_views(vertices, faces)
    group = _islands(faces, axes)
    while len(hidden := _overlapping(flat, group)):
        raised = np.zeros(len(faces), dtype=np.int64)
        raised[hidden] = 1
        group = _islands(faces, group * 2 + raised)
    placed = _pack(flat, group)
    corners = np.unique(
        np.stack((np.repeat(group, 3), faces.ravel()), 1),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    uvs = placed.reshape(-1, 2)[corners[1]]
    return Chart(uvs.astype(np.float32), corners[2].reshape(-1, 3).astype(np.int64))


def _axis_views(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every face seen along the axis it looks along, counter-clockwise: [F, 3, 2]; the axis [F]."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    axis = np.abs(normals).argmax(1)
    sign = np.where(np.take_along_axis(normals, axis[:, None], 1)[:, 0] < 0, -1, 1)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rows = np.arange(len(faces))[:, None]
    flat = np.stack(
        (corners[rows, [[0, 1, 2]], first[:, None]], corners[rows, [[0, 1, 2]], second[:, None]]),
        -1,
    )
    flat[..., 0] *= sign[:, None]
    return flat, axis * 2 + (sign > 0)


def _islands(faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Number the patches of equal label that hang together by edges: [F], [F] -> [F]."""
    edges = np.sort(np.stack((faces, np.roll(faces, -1, 1)), -1).reshape(-1, 2), 1)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    same = (edges[order[1:]] == edges[order[:-1]]).all(1)
    a, b = owner[order[1:]][same], owner[order[:-1]][same]
    joined = labels[a] == labels[b]
    links = coo_matrix((np.ones(joined.sum()), (a[joined], b[joined])), (len(faces),) * 2)
    return connected_components(links, directed=False)[1].astype(np.int64)


def _overlapping(flat: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Faces that a lower-numbered face of their own group covers in part."""
    a, b = _near_pairs(flat, group)
    clash = ~_disjoint(flat[a], flat[b])
    return np.unique(b[clash])


def _near_pairs(flat: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs a < b of one group whose boxes overlap, by sweeping along u."""
    low, high = flat.min(1), flat.max(1)
    first, second = [], []
    for members in np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1]):
        order = members[np.argsort(low[members, 0], kind="stable")]
        ends = np.searchsorted(low[order, 0], high[order, 0])
        counts = np.maximum(ends - np.arange(len(order)) - 1, 0)
        i = np.repeat(np.arange(len(order)), counts)
        j = i + 1 + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        p, q = order[i], order[j]
        near = (low[p, 1] < high[q, 1]) & (low[q, 1] < high[p, 1])
        first.append(np.minimum(p, q)[near])
        second.append(np.maximum(p, q)[near])
    return np.concatenate(first), np.concatenate(second)


def _disjoint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Separating-axis test, touching counts as apart: [P, 3, 2], [P, 3, 2] -> [P] bool."""
    apart = np.zeros(len(a), dtype=bool)
    for one, other in ((a, b), (b, a)):
        for corner in range(3):
            start = one[:, corner]
            side = one[:, (corner + 1) % 3] - start
            across = side[:, None, 0] * (other - start[:, None])[..., 1]
            across -= side[:, None, 1] * (other - start[:, None])[..., 0]
            apart |= (across <= 1e-9 * (side * side).sum(1)[:, None]).all(1)
    return apart


def _pack(flat: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Put the groups on shelves in the unit square, tallest first, at one scale: [F, 3, 2]."""
    count = group.max() + 1
    low = np.full((count, 2), np.inf)
    high = np.full((count, 2), -np.inf)
    np.minimum.at(low, group, flat.min(1))
    np.maximum.at(high, group, flat.max(1))
    size = high - low
    scale = 1 / np.sqrt(size.prod(1).sum())
    while (corners := _shelves(size * scale)) is None:
        scale *= 0.97
    return ((flat - low[group][:, None]) * scale + corners[group][:, None]).clip(0, 1)


def _shelves(size: np.ndarray) -> np.ndarray | None:
    """Lower left corners of boxes [C, 2] in the unit square; None if they do not fit."""
    margin = min(MARGIN, 0.1 / np.sqrt(len(size)))
    corners = np.zeros_like(size)
    x, y, shelf = margin, margin, 0.0
    for i in np.argsort(-size[:, 1]):
        width, height = size[i] + margin
        if x + width > 1:
            x, y, shelf = margin, y + shelf, 0.0
        if x + width > 1 or y + height > 1:
            return None
        corners[i] = x, y
        x, shelf = x + width, max(shelf, height)
    return corners
