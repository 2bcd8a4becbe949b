"""Cameras: framing, orbiting, projecting."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from flexavatar.errors import InputError
from flexavatar.types import Camera

MAX_SIDE = 4096


def resize_camera(camera: Camera, width: int, height: int) -> Camera:
    """The same view in another size; what fitted before still fits, centred."""
    for name, value in (("width", width), ("height", height)):
        if not 1 <= value <= MAX_SIDE:
            raise InputError(f"{name}: expected 1..{MAX_SIDE} pixels, got {value}")
    ratio = min(width / camera.width, height / camera.height)
    K = camera.K.clone()
    K[:2] *= ratio
    K[0, 2] += (width - ratio * camera.width) / 2
    K[1, 2] += (height - ratio * camera.height) / 2
    return replace(camera, K=K, width=width, height=height)


def orbit(
    camera: Camera, yaw_deg: float, pitch_deg: float = 0.0, pivot: Tensor | None = None
) -> Camera:
    """Orbit around `pivot` [3] (head frame, default the origin), which stays where it is seen.

    Yaw turns the camera to the person's left (+x), pitch lifts it; both in degrees.
    """
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    turn = _axis_rotation(0, pitch) @ _axis_rotation(1, -yaw)  # world turned, camera at rest
    turn = turn.to(camera.viewmat)
    centre = torch.zeros(3).to(camera.viewmat) if pivot is None else pivot.to(camera.viewmat)
    about = torch.eye(4).to(camera.viewmat)
    about[:3, :3] = turn
    about[:3, 3] = centre - turn @ centre
    return replace(camera, viewmat=camera.viewmat @ about)


def project(camera: Camera, points: Tensor) -> Tensor:
    """Head frame to pixels and depth: [..., 3] -> [..., 3] (x, y, z)."""
    seen = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    depth = seen[..., 2:].clamp_min(1e-6)
    pixels = seen[..., :2] / depth * camera.K.diagonal()[:2] + camera.K[:2, 2]
    return torch.cat((pixels, seen[..., 2:]), -1)


def unproject(camera: Camera, pixels: Tensor, depth: Tensor) -> Tensor:
    """Pixels [..., 2] at depth [...] metres back to the head frame: [..., 3]."""
    rays = (pixels - camera.K[:2, 2]) / camera.K.diagonal()[:2]
    seen = torch.cat((rays, torch.ones_like(rays[..., :1])), -1) * depth[..., None]
    return (seen - camera.viewmat[:3, 3]) @ camera.viewmat[:3, :3]


def camera_position(camera: Camera) -> Tensor:
    """Position of the camera in the head frame: [3] metres."""
    return -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]


def _axis_rotation(axis: int, angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = torch.eye(3)
    rotation[i, i] = rotation[j, j] = c
    rotation[i, j], rotation[j, i] = -s, s
    return rotation


def look_from(
    yaw_deg: float,
    pitch_deg: float,
    side: int,
    target: np.ndarray,
    framed: float,
    distance: float = 1.0,
    roll_deg: float = 0.0,
) -> Camera:
    """A square picture that shows `framed` metres at `target` [3], from `distance` metres.

    Yaw goes to the person's left, pitch up.
    """
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
