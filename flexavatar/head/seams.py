"""Where the open head's lids and lips meet, so that they close exactly and do not pass through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.easing import smoothstep
from flexavatar.head.flame import FlameHead

SIDES = ("left", "right")
LOOP = "middle"
"""The edge loop of the lid margin that meets the other lid's when the eye is closed."""
REACH = 0.010
"""Metres from the margin over which a change of the lid's travel fades out."""
SPREAD = 0.003
"""Metres along the margin over which one pair's change is spread."""
RIDGE = 0.02
"""Smooths a change along the margin; without it neighbours would be thrown to and fro."""
CORNER_SHARE = 0.08
"""Share of the lid's length at both ends where the lids hang together."""


@dataclass(frozen=True)
class Seam:
    """Pairs of opposite vertices on two margins, and how a change of the first margin spreads."""

    upper: np.ndarray  # [P] vertex ids of the open head
    lower: np.ndarray  # [P]
    eye: np.ndarray  # [P] 0 left, 1 right; 0 at the lips
    spread: np.ndarray  # [V, P] share of pair p's change that a vertex takes on

    def gaps(self, vertices: np.ndarray) -> np.ndarray:
        """Vectors from the second margin to the first: [V, 3] -> [P, 3]."""
        return vertices[self.upper] - vertices[self.lower]

    def closure(self, change: np.ndarray) -> np.ndarray:
        """Field that moves the first margin by `change`, and skin with it: [P, 3] -> [V, 3]."""
        own = self.spread[self.upper]
        gram = own.T @ own + RIDGE * np.eye(len(own))
        return self.spread @ np.linalg.solve(gram, own.T @ change)


def lid_seam(head: FlameHead) -> Seam:
    """Upper lids over lower lids; no pairs for a rig without rings."""
    points = head.template.double().numpy()
    upper: list[int] = []
    lower: list[int] = []
    eyes: list[int] = []
    spreads = [np.zeros((len(points), 0))]
    for eye, side in enumerate(SIDES):
        names = [f"{side}_{half}_lid_{LOOP}" for half in ("upper", "lower")]
        if not all(name in head.rings for name in names):
            continue
        above, below = (head.rings[name].numpy() for name in names)
        a, b = _arc_length_share(points[above]), _arc_length_share(points[below])
        inner = (a > CORNER_SHARE) & (a < 1 - CORNER_SHARE)
        upper += above[inner].tolist()
        lower += below[np.abs(a[inner, None] - b).argmin(1)].tolist()
        eyes += [eye] * int(inner.sum())
        side_of = _side_share(points, above[inner], below)
        spreads.append(_spread_weights(points, above[inner], side_of))
    ids = np.array([upper, lower, eyes], dtype=np.int64).reshape(3, -1)
    return Seam(ids[0], ids[1], ids[2], np.concatenate(spreads, axis=1))


def lip_seams(head: FlameHead) -> tuple[Seam, Seam]:
    """Upper lip over lower lip, and lower under upper; no pairs for a rig without rings."""
    points = head.template.double().numpy()
    names = ("upper_lip_contact", "lower_lip_contact")
    if not all(name in head.rings for name in names):
        none = np.zeros(0, dtype=np.int64)
        empty = Seam(none, none, none, np.zeros((len(points), 0)))
        return empty, empty
    upper, lower = (head.rings[name].numpy() for name in names)
    with_jaw = np.clip(4 * head.lbs_weights[:, 2].double().numpy() - 1.5, 0, 1)
    return _lip_seam(points, upper, lower, 1 - with_jaw), _lip_seam(points, lower, upper, with_jaw)


def _lip_seam(points: np.ndarray, own: np.ndarray, other: np.ndarray, side: np.ndarray) -> Seam:
    a, b = _arc_length_share(points[own]), _arc_length_share(points[other])
    inner = np.flatnonzero((a > CORNER_SHARE) & (a < 1 - CORNER_SHARE))
    opposite = other[np.abs(a[inner, None] - b).argmin(1)]
    spread = _spread_weights(points, own[inner], side)
    return Seam(own[inner], opposite, np.zeros(len(inner), dtype=np.int64), spread)


def _arc_length_share(points: np.ndarray) -> np.ndarray:
    """Share of the way along a line of points: [N, 3] -> [N] 0..1."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    way = np.concatenate(([0.0], np.cumsum(steps)))
    return way / way[-1]


def _side_share(points: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 on one margin, falling to 0 half way to the other: [V]."""
    a, b = (np.linalg.norm(points[:, None] - points[ids], axis=2).min(1) for ids in (one, other))
    return np.clip((b - a) / np.maximum(a + b, 1e-9), 0, 1)


def _spread_weights(points: np.ndarray, margin: np.ndarray, side: np.ndarray) -> np.ndarray:
    """1 in sum on the margin, fading away from it, and only on its own side [V]: [V, P]."""
    distance = np.linalg.norm(points[:, None] - points[margin], axis=2)  # [V, P]
    nearest = distance.min(1)
    share = np.exp(-0.5 * (distance**2 - nearest[:, None] ** 2) / SPREAD**2)
    amount = side * smoothstep(1 - nearest / REACH)
    return amount[:, None] * share / share.sum(1)[:, None]
