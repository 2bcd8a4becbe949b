"""Edge loops, flood fills and one level of interpolating subdivision on a quad mesh."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

Edge = tuple[int, int]


def edge_key(a: int, b: int) -> Edge:
    return (a, b) if a < b else (b, a)


@dataclass
class QuadMesh:
    """Neighbourhoods of a quad mesh."""

    quads: np.ndarray  # [F, 4]
    edge_faces: dict[Edge, list[int]] = field(init=False)
    neighbours: dict[int, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.edge_faces, self.neighbours = defaultdict(list), defaultdict(set)
        for index, quad in enumerate(self.quads.tolist()):
            for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
                self.edge_faces[edge_key(a, b)].append(index)
                self.neighbours[a].add(b)
                self.neighbours[b].add(a)

    def straight_on(self, before: int, here: int) -> int | None:
        """The vertex after `here` on the edge loop coming from `before`; None at a pole."""
        if len(self.neighbours[here]) != 4:
            return None
        behind = set(self.edge_faces[edge_key(before, here)])
        for ahead in sorted(self.neighbours[here] - {before}):
            if not behind & set(self.edge_faces[edge_key(here, ahead)]):
                return ahead
        return None

    def loop(self, first: int, second: int) -> list[int]:
        """The closed edge loop through two neighbours."""
        loop = [first, second]
        while (ahead := self.straight_on(*loop[-2:])) != first:
            assert ahead is not None, "this edge loop ends in a pole"
            loop.append(ahead)
        return loop

    def flood(self, start: int, walls: Iterable[int]) -> np.ndarray:
        """Faces reached from the vertex `start` without crossing the loop `walls`: [F] bool."""
        ring = list(walls)
        blocked = {edge_key(a, b) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)}
        inside = (self.quads == start).any(1)
        queue = deque(np.flatnonzero(inside).tolist())
        while queue:
            quad = self.quads[queue.popleft()].tolist()
            for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
                edge = edge_key(a, b)
                for face in self.edge_faces[edge] if edge not in blocked else ():
                    if not inside[face]:
                        inside[face] = True
                        queue.append(face)
        return inside


@dataclass(frozen=True)
class Subdivision:
    """Triangles and the linear map from old vertices to old and new ones."""

    operator: csr_matrix  # [V', V]
    quads: list[tuple[int, ...]]  # polygons of 3 or 4 corners
    parents: list[int]  # index of the quad that each polygon comes from


def subdivide(mesh: QuadMesh, count: int, chosen: np.ndarray) -> Subdivision:
    """Split the chosen quads in four; their neighbours are stitched without cracks.

    Old vertices stay. A new edge point is the four-point rule along its edge loop, which keeps
    curvature, and a new face point the middle of the Coons patch.
    """
    chosen = _without_thin_gaps(mesh, chosen)
    edges = sorted(_split_edges(mesh, chosen))
    middle = {edge: count + i for i, edge in enumerate(edges)}
    rows = [{i: 1.0} for i in range(count)] + [_four_point(mesh, *edge) for edge in edges]
    polygons: list[tuple[int, ...]] = []
    parents: list[int] = []
    for index, quad in enumerate(mesh.quads.tolist()):
        mids = [middle.get(edge_key(quad[i], quad[(i + 1) % 4])) for i in range(4)]
        if chosen[index]:
            rows.append(_coons(rows, quad, [m for m in mids if m is not None]))
        pieces = _split(quad, mids, len(rows) - 1) if chosen[index] else _stitch(quad, mids)
        polygons += pieces
        parents += [index] * len(pieces)
    return Subdivision(_matrix(rows, count), polygons, parents)


def _split_edges(mesh: QuadMesh, chosen: np.ndarray) -> set[Edge]:
    return {edge for edge, faces in mesh.edge_faces.items() if chosen[faces].any()}


def _without_thin_gaps(mesh: QuadMesh, chosen: np.ndarray) -> np.ndarray:
    """Also choose the quads that would have three split edges or more, until there are none."""
    chosen = chosen.copy()
    while True:
        edges = _split_edges(mesh, chosen)
        quads = mesh.quads.tolist()
        splits = [sum(edge_key(q[i], q[(i + 1) % 4]) in edges for i in range(4)) for q in quads]
        more = (np.array(splits) >= 3) & ~chosen
        if not more.any():
            return chosen
        chosen |= more


def _four_point(mesh: QuadMesh, a: int, b: int) -> dict[int, float]:
    row = defaultdict(float, {a: 0.5, b: 0.5})
    before, after = mesh.straight_on(b, a), mesh.straight_on(a, b)
    if before is not None and after is not None:
        for vertex, weight in ((a, 1), (b, 1), (before, -1), (after, -1)):
            row[vertex] += weight / 16
    return dict(row)


def _coons(rows: list[dict[int, float]], quad: list[int], mids: list[int]) -> dict[int, float]:
    total: dict[int, float] = defaultdict(float)
    for vertex, weight in [(m, 0.5) for m in mids] + [(q, -0.25) for q in quad]:
        for old, share in rows[vertex].items():
            total[old] += weight * share
    return dict(total)


def _split(quad: list[int], mids: list[int | None], centre: int) -> list[tuple[int, ...]]:
    ring = [m for m in mids if m is not None]
    return [(quad[i], ring[i], centre, ring[i - 1]) for i in range(4)]


def _stitch(quad: list[int], mids: list[int | None]) -> list[tuple[int, ...]]:
    """Polygons of a quad with none, one or two split edges."""
    split = [i for i in range(4) if mids[i] is not None]
    if not split:
        return [tuple(quad)]
    start = 3 if split == [0, 3] else split[0]
    a, b, c, d = (quad[(start + i) % 4] for i in range(4))
    m, n, o, _ = (mids[(start + i) % 4] for i in range(4))
    assert m is not None
    if len(split) == 1:
        return [(m, b, c), (m, c, d), (m, d, a)]
    if n is not None:
        return [(m, b, n), (m, n, d), (a, m, d), (n, c, d)]
    assert o is not None
    return [(a, m, o, d), (m, b, c, o)]


def _matrix(rows: list[dict[int, float]], count: int) -> csr_matrix:
    entries = [(i, j, w) for i, row in enumerate(rows) for j, w in row.items()]
    i, j, w = (np.array(column) for column in zip(*entries, strict=True))
    return csr_matrix((w, (i, j)), shape=(len(rows), count))
