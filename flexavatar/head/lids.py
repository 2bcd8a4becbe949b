"""Where the open head's lids meet, so that eyes of another opening can be closed exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.head.flame import FlameHead

SIDES = ("left", "right")
LOOP = "middle"
"""The edge loop of the lid margin that meets the other lid's when the eye is closed."""
REACH = 0.010
"""Metres from the margin over which a change of the lid's travel fades out."""
SPREAD = 0.0025
"""Metres along the margin over which one pair's change is spread."""
CORNER_SHARE = 0.08
"""Share of the lid's length at both ends where the lids hang together."""


@dataclass(frozen=True)
class LidPairs:
    """Vertices of the upper margins, what lies below each, and how a change spreads over the lid."""

    upper: np.ndarray  # [P] vertex ids of the open head
    lower: np.ndarray  # [P]
    eye: np.ndarray  # [P] 0 left, 1 right
    spread: np.ndarray  # [V, P] share of pair p's change that a vertex takes on

    def gaps(self, vertices: np.ndarray) -> np.ndarray:
        """From lower to upper margin: [V, 3] -> [P, 3]."""
        return vertices[self.upper] - vertices[self.lower]

    def closure(self, change: np.ndarray) -> np.ndarray:
        """Field that moves the upper margins by `change`, and the lids with them: [P, 3] -> [V, 3]."""
        return self.spread @ np.linalg.solve(self.spread[self.upper], change)


def lid_pairs(head: FlameHead) -> LidPairs:
    """From the rings of the open head; no pairs for a rig without them."""
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
        a, b = _along(points[above]), _along(points[below])
        inner = (a > CORNER_SHARE) & (a < 1 - CORNER_SHARE)
        upper += above[inner].tolist()
        lower += below[np.abs(a[inner, None] - b).argmin(1)].tolist()
        eyes += [eye] * int(inner.sum())
        spreads.append(_spread(points, above[inner], below))
    ids = np.array([upper, lower, eyes], dtype=np.int64).reshape(3, -1)
    return LidPairs(*ids, np.concatenate(spreads, axis=1))


def _along(points: np.ndarray) -> np.ndarray:
    """Share of the way along a line of points: [N, 3] -> [N] 0..1."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    way = np.concatenate(([0.0], np.cumsum(steps)))
    return way / way[-1]


def _spread(points: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """1 in sum on the upper margin, fading over the upper lid, 0 on the lower lid: [V, P]."""
    to_upper = np.linalg.norm(points[:, None] - points[upper], axis=2)  # [V, P]
    to_lower = np.linalg.norm(points[:, None] - points[lower], axis=2).min(1)
    nearest = to_upper.min(1)
    t = np.clip((to_lower - nearest) / np.maximum(to_lower + nearest, 1e-9), 0, 1)
    fade = np.clip(1 - nearest / REACH, 0, 1)
    share = np.exp(-0.5 * (to_upper**2 - nearest[:, None] ** 2) / SPREAD**2)
    near = nearest < REACH
    return (
        np.where(near, t * fade * fade * (3 - 2 * fade), 0)[:, None] * share / share.sum(1)[:, None]
    )
