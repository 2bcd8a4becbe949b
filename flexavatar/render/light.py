"""Lamps and the light of a scene, linear, and what of it comes from each direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Color = tuple[float, float, float]
"""Linear light, 0..1."""


@dataclass(frozen=True)
class Lamp:
    """A soft light far away."""

    direction: tuple[float, float, float]
    """Unit vector towards it: +x is the person's left, +y up, +z ahead."""
    color: Color
    tightness: float
    """Of the lobe exp(tightness * (cos - 1)); large is a small lamp."""


@dataclass(frozen=True)
class Light:
    """All light there is; it stays with the person while cameras go round."""

    sky: Color
    ground: Color
    lamps: tuple[Lamp, ...]


def lamp_direction(yaw_deg: float, pitch_deg: float) -> tuple[float, float, float]:
    """Unit vector towards a lamp; yaw goes to the person's left, pitch up."""
    yaw, pitch = np.radians((yaw_deg, pitch_deg))
    x, y, z = np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)
    return float(x), float(y), float(z)


def sky_light(light: Light, directions: NDArray[np.floating]) -> NDArray[np.floating]:
    """Light of the room that comes from directions [N, 3], lamps not counted: [N, 3]."""
    up = (0.5 + 0.5 * directions[:, 1:2]).clip(0, 1)
    sky, ground = (np.asarray(color, up.dtype) for color in (light.sky, light.ground))
    return up * sky + (1 - up) * ground


def mirrored_light(
    light: Light,
    directions: NDArray[np.floating],
    sharpness: float | NDArray[np.floating],
    narrowing: float,
) -> NDArray[np.floating]:
    """What a glossy surface mirrors from directions [N, 3]: [N, 3].

    The room, and each lamp as wide as lamp and gloss make it: `sharpness` is the gloss's exponent,
    one or [N], `narrowing` how much smaller lamps look in mirrors than they light.
    """
    total = sky_light(light, directions)
    for lamp in light.lamps:
        width = 1 / (1 / (narrowing * lamp.tightness) + 1 / sharpness)
        lobe = np.exp(width * (directions @ np.asarray(lamp.direction, directions.dtype) - 1))
        total += (0.2 * width * lobe)[:, None] * np.asarray(lamp.color, directions.dtype)
    return total
