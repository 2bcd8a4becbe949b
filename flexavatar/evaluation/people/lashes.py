"""Eyelashes as thin spikes on the margins of the lids; they ride wherever the lids go."""

from __future__ import annotations

import numpy as np

from flexavatar.evaluation.people.rig import Array, IctRig, Index

UPPER_M, LOWER_M = 0.0080, 0.0030
"""Length of a lash."""
WIDTH_M = 0.0007
PER_LID = 60
LIFT = 0.45
"""How much they curl away from the eye, against sticking straight out."""


def lashes(rig: IctRig, skin: Array) -> tuple[Array, Index]:
    """Vertices [N, 3] and faces for a posed skin [V, 3]."""
    spikes = [
        _row(skin[row], length, up)
        for rim in rig.lid_rims
        for row, length, up in _rows(rig.template, rim)
    ]
    vertices = np.concatenate(spikes)
    return vertices, np.arange(len(vertices)).reshape(-1, 3)


def _rows(template: Array, rim: Index) -> list[tuple[Index, float, float]]:
    """Upper and lower margin, each from corner to corner, with length and direction."""
    points = template[rim]
    order = np.argsort(points[:, 0])
    corners = points[order[[0, -1]]]
    line = np.interp(points[:, 0], corners[:, 0], corners[:, 1])
    upper = order[points[order, 1] >= line[order]]
    lower = order[points[order, 1] < line[order]]
    return [(rim[upper], UPPER_M, 1.0), (rim[lower], LOWER_M, -1.0)]


def _row(points: Array, length: float, up: float) -> Array:
    """Triangles along a polyline [N, 3]: [3 * PER_LID, 3]."""
    steps = np.linspace(0.04, 0.96, PER_LID) * (len(points) - 1)
    known = np.arange(len(points))
    root = np.stack([np.interp(steps, known, points[:, i]) for i in range(3)], 1)
    along = np.gradient(root, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    fan = np.linspace(-0.45, 0.45, PER_LID)[:, None] * (1, 0, 0)
    out = np.array((0, up * LIFT, 1.0)) + fan
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    taper = np.sin(np.linspace(0.25, np.pi - 0.25, PER_LID))[:, None]
    side = along * WIDTH_M / 2
    return np.stack((root - side, root + side, root + out * length * taper), 1).reshape(-1, 3)
