"""Motion transfer: the open head moves as another rig moves, over their correspondence."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flexavatar.errors import InputError
from flexavatar.head.mesh_operators import LaplacianFill
from flexavatar.head.surface import Similarity, fit_similarity
from flexavatar.rigs.correspondence import Correspondence
from flexavatar.types import check_shape

SUPPORT = 0.95
"""A vertex that follows a joint this much shows how the joint has turned."""
SAMPLES = 500
"""No more vertices than this are asked how a joint has turned."""
ROUNDS = 6
"""Of reweighting in a robust fit: expressions must not pass for a turn of the head."""
LEAST_OPEN = 0.5
"""Where the other rig's eye is open by less than this share of the open head's, at the corners, it
is not asked how far it has closed."""
SHUT = 0.08
"""Share of an eye's opening between the margins' mapped places when lids touch: they are thick."""
PRESS = 1e-3
"""Metres that pressed lips may overlap by."""
STILL = 1e-4
"""Metres; residuals below this all count the same in that fit."""


class DriveThrough:
    """Transfers poses of another rig to the open head, for one person on each: [Vb, 3], [Va, 3].

    What turns (head, jaw, eyes) is measured on the posed vertices and turned about the open head's
    own places; what is left is carried over as displacement. Lids close as far as the other rig's
    do, however wide either eye is open; lips do not pass through each other.
    """

    def __init__(self, found: Correspondence, rig_neutral: Tensor, open_neutral: Tensor) -> None:
        check_shape("rig_neutral", rig_neutral, len(found.weights_b), 3)
        check_shape("open_neutral", open_neutral, len(found.weights_a), 3)
        self.found = found
        self.rig = rig_neutral.double().numpy()
        self.open = open_neutral.double().numpy()
        self.matrix = found.matrix_b()
        self.rig_places = self.matrix @ self.rig
        self.rig_weights = self.matrix @ found.weights_b
        self.size = fit_similarity(self.open, self.rig_places, found.trust_b**2)
        self.weights = _skin_weights(self.rig_weights, found)
        self.supports = [_support(found, joint) for joint in range(5)]
        self.gaps = found.lids.gaps(self.open)
        self.rig_gaps = found.lids.gaps(self.rig_places)
        self.wide = self._open_pairs()
        doubt = found.lids.spread[:, ~self.wide].sum(1)
        skin = found.weights_a[:, 3:].sum(1) < 0.5
        self.fill = LaplacianFill(found.faces_a, found.trust_b * skin * (1 - doubt))

    def pose(self, rig_posed: Tensor) -> Tensor:
        """[Vb, 3] posed -> [Va, 3] posed, in the open head's frame, metres.

        Raises InputError if a number is not finite.
        """
        check_shape("rig_posed", rig_posed, len(self.rig), 3)
        posed = rig_posed.numpy().astype(np.float64)
        if not np.isfinite(posed).all():
            raise InputError("rig_posed: expected finite numbers, got NaN or infinity")
        turns = self._joint_motions(posed)
        own = self._joint_motions_of_open_head(turns)
        rotation, shift = _blend_rigid(self.weights, own)
        base = (rotation @ self.open[..., None])[..., 0] + shift
        extra = self._residual_displacement(posed, turns) * self.fill.known[:, None]
        moved = base + (rotation @ self.fill(extra)[..., None])[..., 0]
        moved = self._close_lids(moved, rotation, posed)
        return torch.from_numpy(self._part_lips(moved, own[1].rotation)).to(rig_posed)

    def _open_pairs(self) -> np.ndarray:
        """Pairs of lid places that can tell how far the other rig's eye has closed: [P] bool."""
        width = np.linalg.norm(self.gaps, axis=1)
        rest = (self.rig_gaps * self.size.apply_to_vectors(self.gaps)).sum(1) / (
            self.size.scale * width
        )
        return rest > LEAST_OPEN * self.size.scale * width

    def _joint_motions(self, posed: np.ndarray) -> list[Similarity]:
        """How each joint of the other rig has moved, neutral to posed."""
        head = _robust_rigid(self.rig, posed, self.supports[1])
        return [
            _robust_rigid(self.rig, posed, support) if len(support) > 3 else head
            for support in self.supports
        ]

    def _joint_motions_of_open_head(self, turns: list[Similarity]) -> list[Similarity]:
        """The same in the open head's frame and size; an eye turns about its own centre."""
        carried = [_conjugate(self.size.inverse, turn, self.size) for turn in turns]
        for joint in (3, 4):
            centre = self.open[self.found.weights_a[:, joint] > SUPPORT]
            support = self.supports[joint]
            if not len(centre) or len(support) <= 3:
                continue
            there = self.rig[support].mean(0)
            drift = self.size.inverse.apply_to_vectors(
                turns[joint].apply(there) - turns[1].apply(there)
            )
            middle = centre.mean(0)
            goal = carried[1].apply(middle) + drift
            rotation = carried[joint].rotation
            carried[joint] = Similarity(1.0, rotation, goal - rotation @ middle)
        return carried

    def _residual_displacement(self, posed: np.ndarray, turns: list[Similarity]) -> np.ndarray:
        """Displacement beyond the turns, before them and in the open head's size: [Va, 3]."""
        rotation, shift = _blend_rigid(self.rig_weights, turns)
        left = self.matrix @ posed - shift - (rotation @ self.rig_places[..., None])[..., 0]
        return self.size.inverse.apply_to_vectors(
            np.linalg.solve(rotation, left[..., None])[..., 0]
        )

    def _close_lids(self, moved: np.ndarray, rotation: np.ndarray, posed: np.ndarray) -> np.ndarray:
        """Make the eyes as open, in share of their own opening, as the other rig's: [Va, 3]."""
        lids = self.found.lids
        if not len(lids.upper):
            return moved
        turned = rotation[lids.lower]  # [P, 3, 3]
        width = np.linalg.norm(self.gaps, axis=1)
        axis = self.gaps / width[:, None]
        rig_axis = axis @ self.size.rotation.T
        back = self.size.rotation @ turned.transpose(0, 2, 1) @ self.size.rotation.T
        now = ((back @ lids.gaps(self.matrix @ posed)[..., None])[..., 0] * rig_axis).sum(1)
        rest = (self.rig_gaps * rig_axis).sum(1)
        share = np.ones(len(width))
        for eye in (0, 1):
            seen = self.wide & (lids.eye == eye)
            if seen.any():
                left = now[seen].sum() / rest[seen].sum()
                share[lids.eye == eye] = max((left - SHUT) / (1 - SHUT), 0)
        wanted = width * share
        direction = (turned @ axis[..., None])[..., 0]
        missing = wanted - (lids.gaps(moved) * direction).sum(1)
        return moved + lids.closure(missing[:, None] * direction)

    def _part_lips(self, moved: np.ndarray, head: np.ndarray) -> np.ndarray:
        """Take lips that have passed through each other back to where they press: [Va, 3]."""
        up = head[:, 1]
        total = moved.copy()
        for seam, sign in zip(self.found.lips, (1, -1), strict=True):
            if len(seam.upper):
                least = np.minimum(seam.gaps(self.open)[:, 1] * sign, 0) - PRESS
                missing = np.maximum(least - seam.gaps(moved) @ up * sign, 0)
                total += seam.closure(0.5 * sign * missing[:, None] * up)
        return total


def _blend_rigid(weights: np.ndarray, turns: list[Similarity]) -> tuple[np.ndarray, np.ndarray]:
    """Linear blend of rigid motions: [V, 5] -> [V, 3, 3], [V, 3]."""
    rotations = np.stack([turn.rotation for turn in turns]).reshape(-1, 9)
    shifts = np.stack([turn.shift for turn in turns])
    return (weights @ rotations).reshape(-1, 3, 3), weights @ shifts


def _skin_weights(there: np.ndarray, found: Correspondence) -> np.ndarray:
    """Which turns move each vertex of the open head: the rig's where trusted, else its own."""
    eyes = found.weights_a[:, 3:].sum(1) > 0.5
    trust = np.where(eyes, 0, found.trust_b)[:, None]
    weights = trust * there + (1 - trust) * found.weights_a
    return weights / weights.sum(1, keepdims=True)


def _support(found: Correspondence, joint: int) -> np.ndarray:
    used = np.zeros(len(found.weights_b), dtype=bool)
    used[found.faces_b] = True
    followers = np.flatnonzero(used & (found.weights_b[:, joint] > SUPPORT))
    return followers[:: max(len(followers) // SAMPLES, 1)]


def _conjugate(after: Similarity, turn: Similarity, before: Similarity) -> Similarity:
    """The rigid motion after(turn(before(x)))."""
    rotation = before.rotation.T @ turn.rotation @ before.rotation
    return Similarity(1.0, rotation, after.apply(turn.apply(before.apply(np.zeros(3)))))


def _robust_rigid(before: np.ndarray, after: np.ndarray, support: np.ndarray) -> Similarity:
    """Rigid motion of least absolute residuals over these vertices."""
    a, b = before[support], after[support]
    turn = fit_similarity(a, b, rigid=True)
    for _ in range(ROUNDS):
        weights = 1 / np.maximum(np.linalg.norm(turn.apply(a) - b, axis=1), STILL)
        turn = fit_similarity(a, b, weights, rigid=True)
    return turn
