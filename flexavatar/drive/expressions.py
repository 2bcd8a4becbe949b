"""Expressions that are asked for in more than one place, by ARKit's names."""

from __future__ import annotations


def pair(name: str, weight: float = 1.0) -> dict[str, float]:
    """Both sides of an ARKit shape."""
    return {f"{name}Left": weight, f"{name}Right": weight}


GAZE_LEFT = {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}
GAZE_RIGHT = {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0}
GAZE_UP = pair("eyeLookUp")
GAZE_DOWN = pair("eyeLookDown")
BROWS_UP = {"browInnerUp": 1.0} | pair("browOuterUp")
