"""A synthetic person's mesh with one expression: skin, hair, lashes, eyes, teeth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.evaluation.people.hair import curtain, hair_rise
from flexavatar.evaluation.people.lashes import lashes
from flexavatar.evaluation.people.person import Person
from flexavatar.evaluation.people.rig import FACE_SKIN, HAIR, LASH, Array, IctRig, Index
from flexavatar.evaluation.people.torso import torso
from flexavatar.head.mesh_tools import vertex_normals


@dataclass(frozen=True)
class Body:
    """What light falls on."""

    vertices: Array  # [V, 3] metres
    faces: Index  # [F, 3]
    rest: Array  # [V, 3] where each vertex is on ICT's template: paint sticks to that
    part: NDArray[np.int8]  # [V]


class Model:
    """One person who can make faces."""

    def __init__(self, rig: IctRig, person: Person) -> None:
        self.rig, self.person = rig, person
        bald = rig.neutral(person.betas)
        normals = vertex_normals(bald, rig.faces)
        rise = hair_rise(rig.template, rig.part, person.look)
        self.neutral: Array = bald + rise[:, None] * normals
        self.curtain = curtain(rig.template, self.neutral, rig.part, person.look)

    def skin(self, weights: Mapping[str, float]) -> Array:
        """ICT's own vertices, hair included: [V, 3] metres."""
        return self.rig.pose(self.neutral, weights)

    def body(self, weights: Mapping[str, float]) -> Body:
        """With everything that ICT's mesh lacks."""
        skin = self.skin(weights)
        lash, spikes = lashes(self.rig, skin)
        pieces = (
            Body(skin, self.rig.faces, self.rig.template, self.rig.part),
            _piece(*torso(self.rig.template, skin, self.rig.faces), FACE_SKIN),
            _piece(lash, lash, spikes, LASH),
            _piece(*self.curtain, HAIR),
        )
        starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
        return Body(
            vertices=np.concatenate([piece.vertices for piece in pieces]),
            faces=np.concatenate([p.faces + n for p, n in zip(pieces, starts[:-1], strict=True)]),
            rest=np.concatenate([piece.rest for piece in pieces]),
            part=np.concatenate([piece.part for piece in pieces]),
        )


def _piece(vertices: Array, rest: Array, faces: Index, part: int) -> Body:
    return Body(vertices, faces, rest, np.full(len(vertices), part, np.int8))
