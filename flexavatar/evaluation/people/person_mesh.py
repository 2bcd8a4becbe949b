"""A synthetic person's mesh with one expression: skin, hair, torso, lashes, eyes, teeth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.evaluation.people.hair import hair_height, hanging_hair
from flexavatar.evaluation.people.person import Person
from flexavatar.evaluation.people.rig import FACE_SKIN, HAIR, LASH, Array, IctRig, Index
from flexavatar.head.mesh_operators import open_edges, vertex_normals

TORSO_RINGS = ((1.0, 0.0, 0.0), (1.02, 0.5, 0.0), (1.05, 1.0, 0.02), (1.10, 1.0, 0.25))
"""From the bust's edge down: how much wider, share of the way to FLOOR_M, metres below that."""
FLOOR_M = -0.2
COLLAR_M = -0.1
"""ICT's only open edge below this is that of the bust."""
UPPER_LASH_M, LOWER_LASH_M, LASH_WIDTH_M = 0.0080, 0.0030, 0.0007
LASHES_PER_LID = 60
LASH_LIFT = 0.45
"""How much they curl away from the eye, against sticking straight out."""


@dataclass(frozen=True)
class PersonMesh:
    """All surfaces of a person with one expression."""

    vertices: Array  # [V, 3] metres
    faces: Index  # [F, 3]
    rest: Array  # [V, 3] where each vertex is on ICT's template: paint sticks to that
    part: NDArray[np.int8]  # [V]


class PersonModel:
    """One person's shape, which can be posed."""

    def __init__(self, rig: IctRig, person: Person) -> None:
        self.rig, self.person = rig, person
        bald = rig.neutral(person.betas)
        normals = vertex_normals(bald, rig.faces)
        rise = hair_height(rig.template, rig.part, person.appearance)
        self.neutral: Array = bald + rise[:, None] * normals
        self.curtain = hanging_hair(rig.template, self.neutral, rig.part, person.appearance)

    def skin(self, weights: Mapping[str, float]) -> Array:
        """ICT's own vertices, hair included: [V, 3] metres."""
        return self.rig.pose(self.neutral, weights)

    def mesh(self, weights: Mapping[str, float]) -> PersonMesh:
        """All surfaces: skin, and the torso, lashes and hanging hair that ICT's mesh lacks."""
        skin = self.skin(weights)
        lash, spikes = lash_mesh(self.rig, skin)
        pieces = (
            PersonMesh(skin, self.rig.faces, self.rig.template, self.rig.part),
            _mesh_part(*torso_mesh(self.rig.template, skin, self.rig.faces), FACE_SKIN),
            _mesh_part(lash, lash, spikes, LASH),
            _mesh_part(*self.curtain, HAIR),
        )
        starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
        return PersonMesh(
            vertices=np.concatenate([piece.vertices for piece in pieces]),
            faces=np.concatenate([p.faces + n for p, n in zip(pieces, starts[:-1], strict=True)]),
            rest=np.concatenate([piece.rest for piece in pieces]),
            part=np.concatenate([piece.part for piece in pieces]),
        )


def _mesh_part(vertices: Array, rest: Array, faces: Index, part: int) -> PersonMesh:
    return PersonMesh(vertices, faces, rest, np.full(len(vertices), part, np.int8))


def torso_mesh(template: Array, skin: Array, faces: Index) -> tuple[Array, Array, Index]:
    """Shoulders below ICT's bust, so that photos show no cut edge: a sleeve that hangs from it.

    Vertices, their template places, faces.
    """
    sides = open_edges(faces)
    sides = sides[(template[sides, 1] < COLLAR_M).all(1)]
    edge, sides = np.unique(sides, return_inverse=True)
    a, b = sides.reshape(-1, 2).T
    n = len(edge)
    quad = np.stack((b, a, b + n, a, a + n, b + n), 1).reshape(-1, 3)
    rows = np.arange(len(TORSO_RINGS) - 1)[:, None, None] * n
    return _rings(skin[edge]), _rings(template[edge]), (quad + rows).reshape(-1, 3)


def _rings(edge: Array) -> Array:
    """[N, 3] -> [len(TORSO_RINGS) * N, 3]."""
    middle = edge.mean(0) * (1, 0, 1)
    return np.concatenate(
        [
            middle + (edge - middle) * (wide, 1 - share, wide) + (0, share * FLOOR_M - drop, 0)
            for wide, share, drop in TORSO_RINGS
        ]
    )


def lash_mesh(rig: IctRig, skin: Array) -> tuple[Array, Index]:
    """Eyelashes as thin spikes on the margins of the lids of a posed skin [V, 3].

    Vertices [N, 3] and faces.
    """
    spikes = [
        _lash_row(skin[row], length, up)
        for rim in rig.lid_rims
        for row, length, up in _lid_margins(rig.template, rim)
    ]
    vertices = np.concatenate(spikes)
    return vertices, np.arange(len(vertices)).reshape(-1, 3)


def _lid_margins(template: Array, rim: Index) -> list[tuple[Index, float, float]]:
    """Upper and lower margin, each from corner to corner, with length and direction."""
    points = template[rim]
    order = np.argsort(points[:, 0])
    corners = points[order[[0, -1]]]
    line = np.interp(points[:, 0], corners[:, 0], corners[:, 1])
    upper = order[points[order, 1] >= line[order]]
    lower = order[points[order, 1] < line[order]]
    return [(rim[upper], UPPER_LASH_M, 1.0), (rim[lower], LOWER_LASH_M, -1.0)]


def _lash_row(points: Array, length: float, up: float) -> Array:
    """Triangles along a polyline [N, 3]: [3 * LASHES_PER_LID, 3]."""
    steps = np.linspace(0.04, 0.96, LASHES_PER_LID) * (len(points) - 1)
    known = np.arange(len(points))
    root = np.stack([np.interp(steps, known, points[:, i]) for i in range(3)], 1)
    along = np.gradient(root, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    fan = np.linspace(-0.45, 0.45, LASHES_PER_LID)[:, None] * (1, 0, 0)
    out = np.array((0, up * LASH_LIFT, 1.0)) + fan
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    taper = np.sin(np.linspace(0.25, np.pi - 0.25, LASHES_PER_LID))[:, None]
    side = along * LASH_WIDTH_M / 2
    return np.stack((root - side, root + side, root + out * length * taper), 1).reshape(-1, 3)
