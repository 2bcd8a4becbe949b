"""Where synthetic people are photographed from."""

from __future__ import annotations

import numpy as np

from flexavatar.render.camera import look_from
from flexavatar.types import Camera

MIDDLE = np.array((0.0, 0.0, 0.02))
"""Metres; the middle of the head."""
FRAMED_M = 0.40
"""Height of what a portrait shows, at the head."""


def photo_camera(rng: np.random.Generator, side: int) -> Camera:
    """An ordinary portrait: head and shoulders, from about in front."""
    yaw = float(np.clip(rng.normal(0, 16), -35, 35))
    pitch = float(np.clip(rng.normal(0, 6), -15, 15))
    distance = float(rng.uniform(0.5, 1.5))
    framed = FRAMED_M * float(rng.uniform(0.82, 1.1))
    target = MIDDLE + rng.normal(0, 0.01, 3) + (0, rng.uniform(-0.03, 0.02), 0)
    return look_from(yaw, pitch, side, target, framed, distance, float(rng.normal(0, 3)))


def around_camera(rng: np.random.Generator, side: int) -> Camera:
    """From anywhere: profiles, the back, above and below."""
    yaw, pitch = float(rng.uniform(-180, 180)), float(np.clip(rng.normal(0, 16), -40, 45))
    framed = FRAMED_M * float(rng.uniform(0.82, 1.15))
    target = MIDDLE + rng.normal(0, 0.01, 3)
    distance = float(rng.uniform(0.6, 1.6))
    return look_from(yaw, pitch, side, target, framed, distance, float(rng.normal(0, 4)))
