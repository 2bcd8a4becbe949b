"""Moves the open head as another rig moves, over their correspondence."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flexavatar.errors import InputError
from flexavatar.head.correspondence import Correspondence
from flexavatar.head.mesh_tools import Fill
from flexavatar.head.surface import Similarity, fit_similarity
from flexavatar.types import check_shape

SUPPORT = 0.95
"""A vertex that follows a joint this much shows how the joint has turned."""
ROUNDS = 8
"""Of reweighting in a robust fit: expressions must not pass for a turn of the head."""
STILL = 1e-4
"""Metres; residuals below this all count the same in that fit."""


def drive_through(
    found: Correspondence, rig_neutral: Tensor, rig_posed: Tensor, open_neutral: Tensor
) -> Tensor:
    """The open head's person in the other rig's pose: [Vb, 3], [Vb, 3], [Va, 3] -> [Va, 3].

    For many poses of the same two people make one `DriveThrough`.
    """
    return DriveThrough(found, rig_neutral, open_neutral).pose(rig_posed)


class DriveThrough:
    """One person on each rig: the other rig's [Vb, 3] and the open head's [Va, 3], metres.

    What turns (head, jaw, eyes) is measured on the posed vertices and turned about the open head's
    own places; what is left is carried over as displacement. Lids close as far as the other rig's
    do, however wide either eye is open.
    """

    def __init__(self, found: Correspondence, rig_neutral: Tensor, open_neutral: Tensor) -> None:
        check_shape("rig_neutral", rig_neutral, len(found.weights_b), 3)
        check_shape("open_neutral", open_neutral, len(found.weights_a), 3)
        self.found = found
        self.rig = rig_neutral.double().numpy()
        self.open = open_neutral.double().numpy()
        self.matrix = found.matrix_b()
        self.size = fit_similarity(self.open, self.matrix @ self.rig, found.trust_b**2)
        self.weights = _skin_weights(self.matrix @ found.weights_b, found)
        self.supports = [_support(found, joint) for joint in range(5)]
        self.fill = Fill(found.faces_a, found.trust_b * (found.weights_a[:, 3:].sum(1) < 0.5))
        self.gaps = found.lids.gaps(self.open)
        self.rig_gaps = found.lids.gaps(self.matrix @ self.rig)

    def pose(self, rig_posed: Tensor) -> Tensor:
        """[Vb, 3] posed -> [Va, 3] posed, in the open head's frame, metres.

        Raises InputError if a number is not finite.
        """
        check_shape("rig_posed", rig_posed, len(self.rig), 3)
        if not torch.isfinite(rig_posed).all():
            raise InputError("rig_posed: expected finite numbers, got NaN or infinity")
        posed = rig_posed.double().numpy()
        turns = self._turns(posed)
        own = self._open_turns(turns)
        rotation = np.einsum("vj,jab->vab", self.weights, np.stack([t.rotation for t in own]))
        shift = self.weights @ np.stack([t.shift for t in own])
        base = (rotation @ self.open[..., None])[..., 0] + shift
        extra = self._extra(posed, turns)
        moved = base + (rotation @ self.fill(extra)[..., None])[..., 0]
        return torch.from_numpy(self._lids(moved, rotation, posed)).to(rig_posed)

    def _turns(self, posed: np.ndarray) -> list[Similarity]:
        """How each joint of the other rig has moved, neutral to posed."""
        head = _robust_rigid(self.rig, posed, self.supports[1])
        return [
            _robust_rigid(self.rig, posed, support) if len(support) > 3 else head
            for support in self.supports
        ]

    def _open_turns(self, turns: list[Similarity]) -> list[Similarity]:
        """The same in the open head's frame and size; an eye turns about its own centre."""
        carried = [_between(self.size.inverse, turn, self.size) for turn in turns]
        for joint in (3, 4):
            centre = self.open[self.found.weights_a[:, joint] > SUPPORT]
            support = self.supports[joint]
            if not len(centre) or len(support) <= 3:
                continue
            there = self.rig[support].mean(0)
            drift = self.size.inverse.turn(turns[joint].apply(there) - turns[1].apply(there))
            middle = centre.mean(0)
            goal = carried[1].apply(middle) + drift
            rotation = carried[joint].rotation
            carried[joint] = Similarity(1.0, rotation, goal - rotation @ middle)
        return carried

    def _extra(self, posed: np.ndarray, turns: list[Similarity]) -> np.ndarray:
        """Displacement beyond the turns, before them and in the open head's size: [Va, 3]."""
        weights = self.found.weights_b
        rotation = np.einsum("vj,jab->vab", weights, np.stack([t.rotation for t in turns]))
        shift = weights @ np.stack([t.shift for t in turns])
        left = posed - shift - (rotation @ self.rig[..., None])[..., 0]
        return self.size.inverse.turn(self.matrix @ np.linalg.solve(rotation, left[..., None])[..., 0])

    def _lids(self, moved: np.ndarray, rotation: np.ndarray, posed: np.ndarray) -> np.ndarray:
        """Make the eyes as open, in share of their own opening, as the other rig's: [Va, 3]."""
        lids = self.found.lids
        if not len(lids.upper):
            return moved
        turned = rotation[lids.lower]  # [P, 3, 3]
        axis = self.gaps / np.linalg.norm(self.gaps, axis=1, keepdims=True)
        rig_axis = (axis @ self.size.rotation.T)[..., None]
        gap = lids.gaps(self.matrix @ posed)
        back = self.size.rotation @ turned @ self.size.rotation.T
        now = (gap[:, None] @ back @ rig_axis)[:, 0, 0]
        rest = (self.rig_gaps[:, None] @ rig_axis)[:, 0, 0]
        wanted = np.linalg.norm(self.gaps, axis=1) * now / np.maximum(rest, 1e-4)
        direction = (turned @ axis[..., None])[..., 0]
        missing = wanted - (lids.gaps(moved) * direction).sum(1)
        return moved + lids.closure(missing[:, None] * direction)


def _skin_weights(there: np.ndarray, found: Correspondence) -> np.ndarray:
    """Which turns move each vertex of the open head: the rig's where trusted, else its own."""
    eyes = found.weights_a[:, 3:].sum(1) > 0.5
    trust = np.where(eyes, 0, found.trust_b)[:, None]
    weights = trust * there + (1 - trust) * found.weights_a
    return weights / weights.sum(1, keepdims=True)


def _support(found: Correspondence, joint: int) -> np.ndarray:
    used = np.zeros(len(found.weights_b), dtype=bool)
    used[found.faces_b] = True
    return np.flatnonzero(used & (found.weights_b[:, joint] > SUPPORT))


def _between(after: Similarity, turn: Similarity, before: Similarity) -> Similarity:
    """The rigid motion after(turn(before(x)))."""
    rotation = before.rotation.T @ turn.rotation @ before.rotation
    return Similarity(1.0, rotation, after.apply(turn.apply(before.apply(np.zeros(3)))))


def _robust_rigid(before: np.ndarray, after: np.ndarray, support: np.ndarray) -> Similarity:
    """Rigid motion of least absolute residuals over these vertices."""
    a, b = before[support], after[support]
    weights = np.ones(len(a))
    for _ in range(ROUNDS):
        turn = fit_similarity(a, b, weights, rigid=True)
        weights = 1 / np.maximum(np.linalg.norm(turn.apply(a) - b, axis=1), STILL)
    return turn
