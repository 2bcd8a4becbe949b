"""What the shipped performance says and does, timed by hand. Seconds, degrees and ARKit weights."""

from __future__ import annotations

from collections.abc import Mapping

DURATION_S = 10.0


def sides(name: str, weight: float) -> dict[str, float]:
    """Both sides of a shape, the right a little weaker: no face is symmetric."""
    return {f"{name}Left": weight, f"{name}Right": 0.93 * weight}


PRESS = sides("mouthPress", 0.35) | {"mouthRollLower": 0.28, "mouthRollUpper": 0.16}
BITE = {"jawOpen": 0.06, "mouthRollLower": 0.45} | sides("mouthUpperUp", 0.16)
TEETH = {"jawOpen": 0.07} | sides("mouthStretch", 0.18) | sides("mouthLowerDown", 0.26)
WIDE = {"jawOpen": 0.13} | sides("mouthStretch", 0.22) | sides("mouthLowerDown", 0.3)
OPEN = {"jawOpen": 0.54} | sides("mouthLowerDown", 0.32) | sides("mouthUpperUp", 0.12)
MID = {"jawOpen": 0.31} | sides("mouthLowerDown", 0.24)
ROUND = {"jawOpen": 0.16, "mouthPucker": 0.62, "mouthFunnel": 0.28}
HALF_ROUND = {"jawOpen": 0.33, "mouthPucker": 0.34, "mouthFunnel": 0.38}
TIP = {"jawOpen": 0.11, "tongueOut": 0.04} | sides("mouthLowerDown", 0.18)

Viseme = tuple[Mapping[str, float], float]  # weights, dominance over its neighbours

VISEMES: Mapping[str, Viseme] = {
    "sil": ({}, 0.5),
    "m": (PRESS, 16.0),
    "f": (BITE, 6.0),
    "s": (TEETH, 1.6),
    "t": (TIP, 1.2),
    "sh": ({"jawOpen": 0.09, "mouthFunnel": 0.5, "mouthPucker": 0.2}, 2.0),
    "k": ({"jawOpen": 0.16} | sides("mouthLowerDown", 0.18), 0.8),
    "r": ({"jawOpen": 0.14, "mouthPucker": 0.35, "mouthFunnel": 0.22}, 1.2),
    "w": ({"jawOpen": 0.08, "mouthPucker": 0.8, "mouthFunnel": 0.2}, 2.4),
    "ee": (WIDE, 1.2),
    "eh": (MID | sides("mouthStretch", 0.12), 1.0),
    "ah": (MID, 1.0),
    "aa": (OPEN, 1.3),
    "oh": (HALF_ROUND, 1.4),
    "oo": (ROUND, 2.0),
}

PHONES: tuple[tuple[float, str], ...] = (
    # "Hi there!"
    (0.00, "sil"), (0.72, "eh"), (0.78, "aa"), (0.92, "ee"), (1.02, "t"), (1.08, "eh"), (1.24, "r"),
    (1.40, "sil"),
    # "I was just one photo,"
    (1.86, "aa"), (1.96, "ee"), (2.02, "w"), (2.09, "ah"), (2.17, "s"), (2.25, "sh"), (2.34, "ah"),
    (2.43, "s"), (2.51, "t"), (2.56, "w"), (2.66, "ah"), (2.80, "t"), (2.88, "f"), (3.00, "oh"),
    (3.14, "oo"), (3.20, "t"), (3.26, "oh"), (3.42, "oo"), (3.56, "sil"),
    # "and now I move like you."
    (3.84, "eh"), (3.92, "t"), (4.00, "aa"), (4.14, "oo"), (4.24, "aa"), (4.34, "ee"), (4.40, "m"),
    (4.50, "oo"), (4.66, "f"), (4.76, "t"), (4.83, "aa"), (4.95, "ee"), (5.02, "k"), (5.10, "ee"),
    (5.16, "oo"), (5.44, "sil"),
    # "Wow!"
    (7.30, "w"), (7.40, "aa"), (7.58, "w"), (7.72, "sil"),
    (DURATION_S, "sil"),
)  # fmt: skip
"""Start of each phone; it lasts until the next."""

BLINKS = (0.34, 1.52, 2.72, 3.70, 5.62, 6.62, 7.84, 9.36)
"""Instants at which the lids are closed. Most fall on pauses and gaze moves, as people's do."""

GAZE: tuple[tuple[float, float, float], ...] = (
    (0.00, 0, 0), (1.50, -9, 5), (1.95, 0, 0), (2.74, 7, -9), (3.18, 0, 0), (3.72, -5, 8),
    (4.02, 0, 0), (5.48, 31, 2), (6.58, -31, 3), (7.24, 0, 0), (7.90, 0, 17), (8.30, 0, 0),
    (8.92, 6, -3), (9.34, 0, 0),
)  # fmt: skip
"""Where the eyes look in the room from this instant: yaw to the person's left, pitch upwards."""

HEAD: tuple[tuple[float, float, float, float], ...] = (
    (0.00, 0, 0, 0), (0.62, 0, 2, 0), (0.92, 2, -5, 3), (1.30, 1, 1, 1), (1.80, -5, 2, -3),
    (2.35, -2, -2, -1), (2.90, 5, -6, 3), (3.40, 2, 1, 2), (3.80, -3, 3, -2), (4.42, 2, -5, 1),
    (5.05, 1, 2, 4), (5.52, 2, 1, 2), (6.02, 25, 2, 3), (6.50, 25, 1, 3), (7.16, -25, 2, -3),
    (7.34, -24, 2, -3), (7.72, 0, 4, 0), (8.06, 1, 8, 0), (8.46, 0, -2, -4), (8.74, 0, -1, -4),
    (9.02, 0, 2, 2), (9.34, 0, 1, 2), (9.52, 0, -6, 0), (9.72, 0, 1, 0), (9.92, 0, 0, 0),
    (10.0, 0, 0, 0),
)  # fmt: skip
"""Yaw, pitch and roll at an instant; the way between two is minimum jerk."""

Keys = tuple[tuple[float, float], ...]

MOODS: tuple[tuple[Mapping[str, float], Keys], ...] = (
    # smile
    (sides("mouthSmile", 1.0) | sides("cheekSquint", 0.45) | sides("eyeSquint", 0.22) |
     sides("mouthDimple", 0.15),
     ((0.6, 0), (0.95, 0.45), (1.45, 0.5), (1.85, 0.2), (3.5, 0.15), (4.9, 0.2), (5.45, 0.5),
      (5.85, 0.85), (6.4, 0.8), (6.75, 0.5), (7.1, 0.3), (7.7, 0.35), (8.3, 0.0), (9.2, 0.0),
      (9.45, 0.6), (9.65, 0.55), (9.95, 0))),
    # brows up
    ({"browInnerUp": 1.0} | sides("browOuterUp", 0.9) | sides("eyeWide", 0.3),
     ((0.62, 0), (0.8, 0.55), (1.15, 0.15), (1.4, 0.0), (2.5, 0.05), (2.7, 0.4), (3.0, 0.1),
      (3.95, 0.0), (4.1, 0.4), (4.4, 0.05), (5.05, 0.35), (5.4, 0.0), (7.22, 0.0), (7.42, 0.95),
      (8.0, 0.85), (8.3, 0.0))),
    # brows down: thinking
    (sides("browDown", 1.0) | sides("eyeSquint", 0.3),
     ((1.45, 0), (1.65, 0.35), (1.95, 0.0), (3.55, 0.0), (3.72, 0.25), (3.95, 0.0))),
    # a kiss
    ({"mouthPucker": 1.0, "mouthFunnel": 0.12} | sides("cheekSquint", 0.2),
     ((8.22, 0), (8.44, 0.95), (8.62, 0.95), (8.76, 0))),
    # cheeks full of air, eyes a little wide
    ({"cheekPuff": 1.0} | sides("mouthPress", 0.3) | sides("eyeWide", 0.2),
     ((8.72, 0), (8.92, 0.95), (9.2, 0.95), (9.36, 0))),
    # half a smile, sly, to one side
    ({"mouthSmileLeft": 0.5, "mouthLeft": 0.3, "noseSneerLeft": 0.12},
     ((6.4, 0), (6.75, 1.0), (7.05, 1.0), (7.22, 0))),
)  # fmt: skip
"""Weights, and how much of them at an instant; the way between two is smooth."""
