"""Bends one head onto another: similarity on landmarks, then non-rigid ICP.

Non-rigid ICP after Amberg, Romdhani and Vetter, "Optimal step nonrigid ICP algorithms for surface
registration" (CVPR 2007): closest points and a linear solve in turn, ever softer. Here the unknown
is one displacement per vertex, kept smooth by its first and second differences.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix, diags_array, vstack

from flexavatar.head.mesh_operators import adjacency, factorize, open_edges, vertex_normals
from flexavatar.head.surface import ClosestPointQuery, Similarity, fit_similarity
from flexavatar.rigs.rig_parts import LEFT_EYE, RIGHT_EYE, SKIN, RigParts

NORMAL_LENGTH = 0.012
"""Metres that opposite normals stand apart, halved: a lid's two sides do not meet."""
JAW_LENGTH = 0.03
"""Metres between what turns with the jaw and what does not, at the mouth."""
MOUTH_REACH = 0.03
"""Metres from the mouth over which upper and lower lip are told apart."""


@dataclass(frozen=True)
class FitConfig:
    """Schedule of the non-rigid fit."""

    stiffness: tuple[float, ...] = (30, 10, 5, 2, 1, 0.5, 0.25, 0.12, 0.06, 0.03)
    bending: float = 2.0
    """Of second differences against first ones."""
    passes: tuple[int, ...] = (1, 1, 1, 1, 1, 1, 1, 1, 2, 3)
    reach: tuple[float, float] = (0.02, 0.006)
    """A match further away than this is no match, metres; first and last step."""
    landmark: tuple[float, float] = (10.0, 0.3)
    """Weight of a landmark against a surface match; first and last step."""


@dataclass(frozen=True)
class LandmarkPairs:
    """The same places on both rigs."""

    source: np.ndarray  # [L, 3]
    target: np.ndarray  # [L, 3]
    mouth: tuple[np.ndarray, np.ndarray] = field(default=(np.zeros(3), np.zeros(3)))
    """Middle of the mouth on both."""


def align(source: RigParts, target: RigParts, marks: LandmarkPairs) -> Similarity:
    """Source to target by landmarks and eyeball centres."""
    a = np.concatenate((marks.source, source.joints[3:]))
    b = np.concatenate((marks.target, target.joints[3:]))
    return fit_similarity(a, b)


def register(
    source: RigParts, target: RigParts, marks: LandmarkPairs, config: FitConfig
) -> np.ndarray:
    """The source's vertices bent onto the target's surface: [V, 3]."""
    start = align(source, target, marks)
    bent = start.apply(source.vertices)
    bent = _fit_skin(source, target, bent, marks, config)
    for part in (LEFT_EYE, RIGHT_EYE):
        bent[source.part == part] = _fit_eyeball(source, target, part, start)
    return _shift_mouth(source, target, bent, start)


def _fit_skin(
    source: RigParts, target: RigParts, start: np.ndarray, marks: LandmarkPairs, config: FitConfig
) -> np.ndarray:
    system = _SmoothSystem(source, start, config)
    anchor = ClosestPointQuery(
        source.vertices, source.faces, source.normals * 0, _skin_faces(source)
    )
    places = anchor.nearest(marks.source, np.zeros_like(marks.source))
    pins = places.matrix(source.faces, len(start))
    bent = start.copy()
    steps = np.repeat(np.arange(len(config.stiffness)), config.passes)
    matcher = _Matcher(source, target, marks)
    for step in steps:
        late = step / max(len(config.stiffness) - 1, 1)
        reach = config.reach[0] ** (1 - late) * config.reach[1] ** late
        pin = config.landmark[0] ** (1 - late) * config.landmark[1] ** late
        rows, goals = matcher.match(bent, reach)
        rows = vstack((rows, np.sqrt(pin) * pins)).tocsr()
        goals = np.concatenate((goals, np.sqrt(pin) * marks.target))
        bent = start + system.solve(rows, goals - rows @ start, config.stiffness[step])
    return bent


def _skin_faces(rig: RigParts) -> np.ndarray:
    return rig.faces_of((rig.part == SKIN) & rig.visible)


class _SmoothSystem:
    """Smoothness of a displacement of the skin, and the solve against data rows."""

    def __init__(self, rig: RigParts, start: np.ndarray, config: FitConfig) -> None:
        self.skin = np.flatnonzero(rig.part == SKIN)
        links = adjacency(rig.faces, len(start))[self.skin][:, self.skin].tocoo()
        length = np.linalg.norm(start[self.skin[links.row]] - start[self.skin[links.col]], axis=1)
        share = np.minimum(np.median(length) / np.maximum(length, 1e-5), 4.0)
        weights = csr_matrix((share, (links.row, links.col)), shape=links.shape)
        degree = np.asarray(weights.sum(1)).ravel()
        first = diags_array(degree) - weights
        second = diags_array(1 / np.maximum(degree, 1e-9)) @ first
        self.smooth = (first + config.bending * len(self.skin) / 1000 * (second.T @ second)).tocsc()

    def solve(self, rows: csr_matrix, goals: np.ndarray, stiffness: float) -> np.ndarray:
        """Displacement [V, 3] of least energy; vertices outside the skin stay."""
        own = rows[:, self.skin]
        normal = (own.T @ own + stiffness * self.smooth).tocsc()
        move = np.zeros((rows.shape[1], 3))
        move[self.skin] = factorize(normal).solve(own.T @ goals)
        return move


class _Matcher:
    """Closest compatible places, from source to target and back."""

    def __init__(self, source: RigParts, target: RigParts, marks: LandmarkPairs) -> None:
        self.source, self.target = source, target
        self.source_jaw = jaw_coordinate(source, marks.mouth[0])
        self.target_jaw = jaw_coordinate(target, marks.mouth[1])
        faces = _skin_faces(target)
        features = np.column_stack((target.normals * NORMAL_LENGTH, self.target_jaw))
        self.surface = ClosestPointQuery(target.vertices, target.faces, features, faces)
        self.target_border = _border(target)
        self.source_border = _border(source)
        self.source_ids = np.flatnonzero((source.part == SKIN) & source.visible)
        self.target_ids = np.flatnonzero((target.part == SKIN) & target.visible)

    def match(self, bent: np.ndarray, reach: float) -> tuple[csr_matrix, np.ndarray]:
        """Weighted data rows on the source's vertices, and where they should come to lie."""
        normals = vertex_normals(bent, self.source.faces)
        features = np.column_stack((normals * NORMAL_LENGTH, self.source_jaw))
        there = self.surface.nearest(bent[self.source_ids], features[self.source_ids])
        goal = there.matrix(self.target.faces, len(self.target.vertices)) @ self.target.vertices
        on_border = self.target_border[self.target.faces[there.face_ids]].any(1)
        keep = ~on_border & (np.linalg.norm(goal - bent[self.source_ids], axis=1) < reach)
        ids = self.source_ids[keep]
        shape = (len(ids), len(bent))
        forward = csr_matrix((np.ones(len(ids)), (np.arange(len(ids)), ids)), shape=shape)
        back, back_goal = self._match_back(bent, features, reach)
        return vstack((forward, back)).tocsr(), np.concatenate((goal[keep], back_goal))

    def _match_back(
        self, bent: np.ndarray, features: np.ndarray, reach: float
    ) -> tuple[csr_matrix, np.ndarray]:
        own = ClosestPointQuery(bent, self.source.faces, features, _skin_faces(self.source))
        ids = self.target_ids
        there = own.nearest(self.target.vertices[ids], self.surface.features[ids])
        rows = there.matrix(self.source.faces, len(bent))
        gap = np.linalg.norm(rows @ bent - self.target.vertices[ids], axis=1)
        on_border = self.source_border[self.source.faces[there.face_ids]].any(1)
        keep = ~on_border & (gap < reach) & ~self.target_border[ids]
        weight = np.sqrt(min(len(self.source_ids) / max(len(ids), 1), 1.0))
        return weight * rows[keep], weight * self.target.vertices[ids[keep]]


def jaw_coordinate(rig: RigParts, mouth: np.ndarray) -> np.ndarray:
    """A coordinate that stands lower lip off from upper lip and fades away from the mouth: [V]."""
    near = np.exp(-((rig.vertices - mouth) ** 2).sum(1) / MOUTH_REACH**2)
    return JAW_LENGTH * near * rig.weights[:, 2]


def _border(rig: RigParts) -> np.ndarray:
    """Vertices on the open border of the skin: [V] bool."""
    border = np.zeros(len(rig.vertices), dtype=bool)
    border[open_edges(rig.faces[rig.faces_of(rig.part == SKIN)])] = True
    return border


def _fit_eyeball(source: RigParts, target: RigParts, part: int, start: Similarity) -> np.ndarray:
    """The source's eyeball moved and scaled onto the target's: [N, 3]."""
    own = source.vertices[source.part == part]
    goal = target.vertices[target.part == part]
    joint = 3 if part == LEFT_EYE else 4
    if not len(goal):
        return start.apply(own)
    arm = own - source.joints[joint]
    radius = [np.median(np.linalg.norm(x, axis=1)) for x in (arm, goal - target.joints[joint])]
    return target.joints[joint] + arm @ start.rotation.T * (radius[1] / radius[0])


def _shift_mouth(
    source: RigParts, target: RigParts, bent: np.ndarray, start: Similarity
) -> np.ndarray:
    """Teeth and tongue follow the skin that moves with them: the lips, smoothly."""
    inner = source.part > RIGHT_EYE
    skin = (source.part == SKIN) & source.visible
    moved = bent - start.apply(source.vertices)
    centre = source.vertices[inner].mean(0) if inner.any() else np.zeros(3)
    near = skin * np.exp(-((source.vertices - centre) ** 2).sum(1) / MOUTH_REACH**2)
    shift = (near[:, None] * moved).sum(0) / max(near.sum(), 1e-9)
    bent = bent.copy()
    bent[inner] = start.apply(source.vertices[inner]) + shift
    return bent
