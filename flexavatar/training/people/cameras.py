"""Where synthetic people are photographed from."""

from __future__ import annotations

import numpy as np
import torch

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
    return look_from(yaw, pitch, side, distance, float(rng.normal(0, 3)), framed, target)


def around_camera(rng: np.random.Generator, side: int) -> Camera:
    """From anywhere: profiles, the back, above and below."""
    yaw, pitch = float(rng.uniform(-180, 180)), float(np.clip(rng.normal(0, 16), -40, 45))
    framed = FRAMED_M * float(rng.uniform(0.82, 1.15))
    target = MIDDLE + rng.normal(0, 0.01, 3)
    distance = float(rng.uniform(0.6, 1.6))
    return look_from(yaw, pitch, side, distance, float(rng.normal(0, 4)), framed, target)


def look_from(
    yaw_deg: float,
    pitch_deg: float,
    side: int,
    distance: float = 1.0,
    roll_deg: float = 0.0,
    framed: float = FRAMED_M,
    target: np.ndarray = MIDDLE,
) -> Camera:
    """A square picture that shows `framed` metres at `target`; yaw goes to the person's left."""
    yaw, pitch, roll = np.radians((yaw_deg, pitch_deg, roll_deg))
    back = np.array((np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)))
    right = np.array((np.cos(yaw), 0.0, -np.sin(yaw)))
    down = np.cross(-back, right)
    c, s = np.cos(roll), np.sin(roll)
    turn = np.stack((c * right + s * down, c * down - s * right, -back))
    viewmat = np.eye(4)
    viewmat[:3, :3] = turn
    viewmat[:3, 3] = -turn @ (target + distance * back)
    focal = side * distance / framed
    K = np.array(((focal, 0, side / 2), (0, focal, side / 2), (0, 0, 1)))
    return Camera(torch.from_numpy(viewmat).float(), torch.from_numpy(K).float(), side, side)
