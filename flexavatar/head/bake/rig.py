"""Joints and skinning weights of the open head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.head.bake.mesh import HeadMesh
from flexavatar.head.bake.source import Source
from flexavatar.head.mesh_operators import smoothing_step

NECK_SHARES = {"neck03": 0.72, "neck02": 0.4, "neck01": 0.12}
"""How far a vertex of each neck bone follows the skull."""
BODY_BONES = ("spine", "clavicle", "shoulder", "breast", "upperarm", "lowerarm", "root", "neck")
CONDYLE_X = 0.065
"""Distance of the skin over a jaw condyle from the midplane, metres."""


@dataclass(frozen=True)
class JawHinge:
    """The hinge that best explains how `jawOpen` moves the lower teeth."""

    pivot: np.ndarray  # [3] metres, on the midplane between the condyles
    angle: float  # radians about +x at jawOpen 1

    def displacement(self, points: np.ndarray) -> np.ndarray:
        """What the full turn does to these points: [V, 3] -> [V, 3]."""
        return turn_x(self.angle, points - self.pivot) + self.pivot - points


def turn_x(angle: float, points: np.ndarray) -> np.ndarray:
    """Turn about +x through the origin: [..., 3] -> [..., 3]."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])


def fit_hinge(points: np.ndarray, moves: np.ndarray) -> JawHinge:
    """Least-squares turn about an axis along x: [V, 3], [V, 3]."""
    before, after = points[:, 1:], points[:, 1:] + moves[:, 1:]
    middle, target = before.mean(0), after.mean(0)
    cross = (before - middle).T @ (after - target)
    angle = float(np.arctan2(cross[0, 1] - cross[1, 0], cross[0, 0] + cross[1, 1]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pivot = np.linalg.solve(np.eye(2) - turn, target - turn @ middle)
    return JawHinge(np.array([0.0, *pivot]), angle)


def skull_weights(source: Source, mesh: HeadMesh) -> np.ndarray:
    """How far each vertex follows the skull rather than the shoulders, 0..1: [V]."""
    follow = np.zeros(len(source.base.vertices))
    for bone, weight in source.bone_weights.items():
        if bone in NECK_SHARES:
            follow += NECK_SHARES[bone] * weight
        elif not bone.startswith(BODY_BONES):
            follow += weight
    inside = ~mesh.part("skin")
    weights = mesh.sampler @ follow
    step = smoothing_step(mesh.faces, len(mesh.mirror))
    for _ in range(60):
        weights = step @ weights
        weights[inside] = 1
    return np.clip(weights, 0, 1)


def jaw_weights(
    mesh: HeadMesh, points: np.ndarray, move: np.ndarray, hinge: JawHinge
) -> np.ndarray:
    """How far each vertex turns with the jaw, from the `jawOpen` field, 0..1: [V]."""
    full = hinge.displacement(points)
    share = (move * full).sum(1) / np.maximum((full * full).sum(1), 1e-9)
    weights = np.clip(share, 0, 1)
    step = smoothing_step(mesh.faces, len(mesh.mirror))
    for _ in range(3):
        weights = step @ weights
    weights[mesh.part("lower_teeth")] = 1
    weights[mesh.part("upper_teeth", "leye", "reye")] = 0
    return np.where(weights < 0.004, 0, weights)


def skinning(mesh: HeadMesh, skull: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """LBS weights of global, neck, jaw and the two eyes: [V, 5], rows sum to 1."""
    weights = np.stack((1 - skull, skull * (1 - jaw), skull * jaw, 0 * jaw, 0 * jaw), axis=1)
    for column, part in ((3, "leye"), (4, "reye")):
        weights[mesh.part(part)] = np.eye(5)[column]
    return weights


def regressor_row(points: np.ndarray, support: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """Smallest weights over `support` that sum to 1 and average to `joint`: [V]."""
    chosen = np.flatnonzero(support)
    constraints = np.vstack((points[chosen].T, np.ones(len(chosen))))
    row = np.zeros(len(points))
    row[chosen] = np.linalg.pinv(constraints) @ np.append(joint, 1)
    return row


def joint_regressor(mesh: HeadMesh, points: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Rows for the five joints, from the surface around each: [5, V]."""
    skin = mesh.part("skin")
    offset = np.abs(points[:, None] - joints)  # [V, 5, 3]
    sideways = np.abs(np.abs(points[:, 0]) - CONDYLE_X)
    condyles = np.sqrt(sideways**2 + offset[:, 2, 1] ** 2 + offset[:, 2, 2] ** 2)
    supports = (
        skin & (offset[:, 0, 1] < 0.02) & (np.abs(points[:, 0]) < 0.09),
        skin & (offset[:, 1, 1] < 0.03) & (points[:, 2] < joints[1, 2] + 0.02),
        skin & (condyles < 0.03),
        mesh.part("leye"),
        mesh.part("reye"),
    )
    rows = [regressor_row(points, s, j) for s, j in zip(supports, joints, strict=True)]
    return np.stack(rows)
