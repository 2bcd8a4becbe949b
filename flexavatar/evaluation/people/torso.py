"""Shoulders below ICT's bust, so that photos show no cut edge."""

from __future__ import annotations

import numpy as np

from flexavatar.evaluation.people.rig import Array, Index

RINGS = ((1.0, 0.0, 0.0), (1.02, 0.5, 0.0), (1.05, 1.0, 0.02), (1.10, 1.0, 0.25))
"""From the bust's edge down: how much wider, share of the way to FLOOR_M, metres below that."""
FLOOR_M = -0.2
COLLAR_M = -0.1
"""ICT's only open edge below this is that of the bust."""


def torso(template: Array, skin: Array, faces: Index) -> tuple[Array, Array, Index]:
    """A sleeve that hangs from the edge of the bust: vertices, their template places, faces."""
    sides = _open_edges(faces, template)
    edge, sides = np.unique(sides, return_inverse=True)
    a, b = sides.reshape(-1, 2).T
    n = len(edge)
    quad = np.stack((b, a, b + n, a, a + n, b + n), 1).reshape(-1, 3)
    rows = np.arange(len(RINGS) - 1)[:, None, None] * n
    return _rings(skin[edge]), _rings(template[edge]), (quad + rows).reshape(-1, 3)


def _rings(edge: Array) -> Array:
    """[N, 3] -> [len(RINGS) * N, 3]."""
    middle = edge.mean(0) * (1, 0, 1)
    return np.concatenate(
        [
            middle + (edge - middle) * (wide, 1 - share, wide) + (0, share * FLOOR_M - drop, 0)
            for wide, share, drop in RINGS
        ]
    )


def _open_edges(faces: Index, template: Array) -> Index:
    """Sides of one face only, along the bust, in that face's direction: [E, 2]."""
    sides = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    _, first, counts = np.unique(
        np.sort(sides, axis=1), axis=0, return_index=True, return_counts=True
    )
    single = sides[first[counts == 1]]
    return single[(template[single, 1] < COLLAR_M).all(1)]
