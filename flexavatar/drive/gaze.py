"""Where the eyes look: angles of each eye in the head, and ARKit's eyeLook weights for them."""

from __future__ import annotations

from collections.abc import Mapping

from flexavatar.head.arkit import GAZE_PITCH, GAZE_YAW, SIDES

Gaze = tuple[float, float]
"""Yaw to the person's left and pitch upwards of one eye in the head, radians."""


def gaze_weights(left: Gaze, right: Gaze) -> dict[str, float]:
    """Angles of the eyes -> eyeLook weights by ARKit's name, 0..1."""
    weights = {}
    for side, outward, (yaw, pitch) in zip(SIDES, (1, -1), (left, right), strict=True):
        across, up = outward * yaw / GAZE_YAW, pitch / GAZE_PITCH
        shown = {"Out": across, "In": -across, "Up": up, "Down": -up}
        weights |= {f"eyeLook{to}{side}": min(max(v, 0.0), 1.0) for to, v in shown.items()}
    return weights


def gaze_angles(weights: Mapping[str, float]) -> tuple[Gaze, Gaze]:
    """eyeLook weights by ARKit's name -> angles of the left and the right eye."""
    angles = []
    for side, outward in zip(SIDES, (1, -1), strict=True):
        look = {to: weights.get(f"eyeLook{to}{side}", 0.0) for to in ("Out", "In", "Up", "Down")}
        yaw = outward * GAZE_YAW * (look["Out"] - look["In"])
        angles.append((yaw, GAZE_PITCH * (look["Up"] - look["Down"])))
    return angles[0], angles[1]


def add_gaze(weights: dict[str, float], gaze: tuple[Gaze, Gaze] | None) -> dict[str, float]:
    """The same, and the eyeLook weights that the eyes' angles mean if none were sent."""
    if gaze is None or any(name.startswith("eyeLook") for name in weights):
        return weights
    return weights | gaze_weights(*gaze)
