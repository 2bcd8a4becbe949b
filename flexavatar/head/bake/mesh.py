"""Which part of the base mesh becomes the head: crop, parts, subdivision, mirror map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from flexavatar.head.bake.quads import QuadMesh, subdivide
from flexavatar.head.bake.source import BaseMesh
from flexavatar.head.mesh_operators import mirror_map

PARTS = ("skin", "cavity", "leye", "reye", "upper_teeth", "lower_teeth", "tongue")
GROUPS = {
    "leye": "helper-l-eye",
    "reye": "helper-r-eye",
    "upper_teeth": "helper-upper-teeth",
    "lower_teeth": "helper-lower-teeth",
    "tongue": "helper-tongue",
}

BUST_FLOOR = 0.499
"""Height of the cut through chest and upper arms in the base mesh, metres; above the armpits."""
ARM_START, ARM_SLOPE = 0.13, 0.35
"""From this distance from the midplane on the cut rises, by this much a metre."""
LONG_EDGE = 0.0087
"""Skin quads of the head with longer edges are split in four."""
SHOULDER_TOP = 0.572
"""Below this only quads twice as coarse are split."""

# Base-mesh vertices on the character's left: an edge (two neighbours) names its edge loop.
LID_LOOPS = {
    "crease": (6787, 6839),  # just outside the margin
    "outer": (6785, 6838),  # the margin, front edge
    "middle": (13352, 13359),
    "inner": (7748, 7765),  # the margin, edge towards the eyeball
    "tuck": (7774, 7791),  # inside the eyeball: the skin ends here
}
SOCKET_BACK = 8019
LIP_LOOPS = {
    "outer": (468, 7224),
    "contact": (474, 7229),  # where the lips meet
    "inner": (520, 7267),
    "cavity": (554, 7297),  # the skin ends and the mouth cavity begins
}
PALATE = 656
EYE_BACK = 0.3
"""Share of an eyeball's depth that nothing ever shows."""
LID_CORNERS = (6, 21)
"""Places in a lid loop: the corner at the nose and the outer one."""
MIRROR_TOLERANCE = 1e-6
"""Metres between a vertex and the mirror image of its partner."""
LIP_CORNER = 12
"""Place of the left mouth corner in a lip loop, which starts at the middle of the upper lip."""


@dataclass(frozen=True)
class HeadMesh:
    """Topology of the open head, and how its vertices follow from the base mesh's."""

    sampler: csr_matrix  # [V, V0] from the base mesh's vertices
    quads: list[tuple[int, ...]]  # 3 or 4 corners
    faces: np.ndarray  # [F, 3]
    face_parts: np.ndarray  # [F] index into PARTS
    mirror: np.ndarray  # [V]
    rings: dict[str, np.ndarray]

    def sample(self, field: np.ndarray) -> np.ndarray:
        """Positions or displacements of the base mesh, on this mesh: [V0, 3] -> [V, 3]."""
        return self.sampler @ field

    def part(self, *names: str) -> np.ndarray:
        """Vertices of these parts: [V] bool."""
        chosen = np.isin(self.face_parts, [PARTS.index(n) for n in names])
        mask = np.zeros(len(self.mirror), dtype=bool)
        mask[self.faces[chosen]] = True
        return mask


def build_mesh(base: BaseMesh) -> HeadMesh:
    """Crop the base mesh to a bust, split its coarse quads and triangulate it symmetrically."""
    other = _mirror_map(base.vertices)
    quads, parts = _parts(base, other)
    mesh = QuadMesh(quads)
    fine = subdivide(mesh, len(base.vertices), _coarse(base.vertices, quads, parts))
    used = np.unique(np.concatenate([np.array(q) for q in fine.quads]))
    index = np.full(fine.operator.shape[0], -1)
    index[used] = np.arange(len(used))
    sampler = smooth_rim([tuple(index[list(q)]) for q in fine.quads]) @ fine.operator[used]
    points = sampler @ base.vertices
    mirror = _mirror_map(points)
    polygons = [tuple(int(index[v]) for v in q) for q in fine.quads]
    faces, parents = triangulate(polygons, points, mirror)
    face_parts = parts[np.array(fine.parents)[parents]]
    rings = {name: index[ring] for name, ring in _rings(base, other).items()}
    return HeadMesh(sampler, polygons, faces, face_parts, mirror, rings)


def smooth_rim(polygons: list[tuple[int, ...]], steps: int = 40) -> csr_matrix:
    """Linear map that straightens the open border, the jagged edge of the crop: [V, V]."""
    sides = {(p[i], p[(i + 1) % len(p)]) for p in polygons for i in range(len(p))}
    rim = [(a, b) for a, b in sides if (b, a) not in sides]
    a, b = np.array(rim).T
    count = max(map(max, polygons)) + 1
    links = csr_matrix((np.full(len(a), 0.25), (a, b)), shape=(count, count))
    links = links + links.T
    keep = diags_array(1 - np.asarray(links.sum(1)).ravel())
    step = (links + keep).tocsr()
    total = step
    for _ in range(steps - 1):
        total = total @ step
    return total


def _mirror_map(points: np.ndarray) -> np.ndarray:
    """For every point, the index of its mirror image: [V]. The base mesh is symmetric."""
    index = mirror_map(points, MIRROR_TOLERANCE)
    assert len(index)
    return index


def _parts(base: BaseMesh, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    body = base.groups["body"]
    mesh = QuadMesh(body)
    tuck = np.array(mesh.loop(*LID_LOOPS["tuck"]))
    sockets = mesh.flood(SOCKET_BACK, tuck) | mesh.flood(int(other[SOCKET_BACK]), other[tuck])
    cavity = mesh.flood(PALATE, mesh.loop(*LIP_LOOPS["cavity"]))
    corners = base.vertices[body]
    floor = BUST_FLOOR + ARM_SLOPE * np.maximum(np.abs(corners[..., 0]) - ARM_START, 0)
    bust = (corners[..., 1] > floor).all(1) & ~sockets
    chosen = [(body[bust & ~cavity], "skin"), (body[cavity], "cavity")]
    chosen += [(_visible(base, group), part) for part, group in GROUPS.items()]
    labels = [np.full(len(quads), PARTS.index(part)) for quads, part in chosen]
    return np.concatenate([quads for quads, _ in chosen]), np.concatenate(labels)


def _visible(base: BaseMesh, group: str) -> np.ndarray:
    """Quads of a helper group; the back of an eyeball is left out."""
    quads = base.groups[group]
    if not group.endswith("-eye"):
        return quads
    depth = base.vertices[quads][..., 2].mean(1)
    low, high = depth.min(), depth.max()
    return quads[depth > low + EYE_BACK * (high - low)]


def _coarse(vertices: np.ndarray, quads: np.ndarray, parts: np.ndarray) -> np.ndarray:
    corners = vertices[quads]
    length = np.linalg.norm(corners - np.roll(corners, -1, 1), axis=2).mean(1)
    limit = np.where(corners[..., 1].mean(1) > SHOULDER_TOP, LONG_EDGE, 2 * LONG_EDGE)
    smooth = np.isin(
        parts, [PARTS.index(p) for p in ("leye", "reye", "upper_teeth", "lower_teeth")]
    )
    return smooth | ((parts == PARTS.index("skin")) & (length > limit))


def triangulate(
    polygons: list[tuple[int, ...]], points: np.ndarray, mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles, mirror images of each other, and the polygon of each: [F, 3], [F]."""
    left = {i: p for i, p in enumerate(polygons) if points[list(p), 0].mean() > 0}
    index = {frozenset(p): i for i, p in enumerate(polygons)}
    uses = np.bincount([v for p in left.values() for v in p], minlength=len(points))
    faces, parents = [], []
    for i, polygon in left.items():
        twin = index[frozenset(int(mirror[v]) for v in polygon)]
        for a, b, c in _triangles(polygon, points, uses):
            faces += [(a, b, c), (int(mirror[a]), int(mirror[c]), int(mirror[b]))]
            parents += [i, twin]
    return np.array(faces), np.array(parents)


def _triangles(
    polygon: tuple[int, ...], points: np.ndarray, uses: np.ndarray
) -> list[tuple[int, ...]]:
    """Cut a quad along its shorter diagonal, or from a corner that no other quad has."""
    if len(polygon) == 3:
        return [polygon]
    a, b, c, d = polygon
    short = np.linalg.norm(points[a] - points[c]) <= np.linalg.norm(points[b] - points[d])
    tips = [uses[v] == 1 for v in polygon]
    if tips[0] or tips[2] or (short and not (tips[1] or tips[3])):
        return [(a, b, c), (a, c, d)]
    return [(b, c, d), (b, d, a)]


def _rings(base: BaseMesh, other: np.ndarray) -> dict[str, np.ndarray]:
    """Ordered base-mesh vertices of lid margins (nose to temple) and lips (right to left)."""
    mesh = QuadMesh(base.groups["body"])
    rings: dict[str, np.ndarray] = {}
    for name, edge in LID_LOOPS.items():
        halves = _arcs(np.array(mesh.loop(*edge)), *LID_CORNERS)
        upper, lower = sorted(halves, key=lambda ring: -base.vertices[ring, 1].mean())
        for half, ring in (("upper", upper), ("lower", lower)):
            rings[f"left_{half}_lid_{name}"] = ring
            rings[f"right_{half}_lid_{name}"] = other[ring]
    for name, edge in LIP_LOOPS.items():
        loop = np.array(mesh.loop(*edge))
        lower, upper = _arcs(loop, LIP_CORNER, len(loop) - LIP_CORNER)
        rings[f"upper_lip_{name}"], rings[f"lower_lip_{name}"] = upper[::-1], lower[::-1]
    return rings


def _arcs(loop: np.ndarray, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """The two ways from one place of a closed loop to another, ends included."""
    there = loop[start : end + 1]
    back = np.concatenate((loop[end:], loop[: start + 1]))[::-1]
    return there, back
