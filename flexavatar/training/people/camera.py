"""Cameras of synthetic people: where they stand, and how they turn light into stored colours."""

from __future__ import annotations

import numpy as np

from flexavatar.render.camera import look_from
from flexavatar.training.people.appearance import CameraTone
from flexavatar.training.people.noise import Array, Field, f32
from flexavatar.types import Camera

MIDDLE = np.array((0.0, 0.0, 0.02))
"""Metres; the middle of the head."""
FRAMED_M = 0.40
"""Height of what a portrait shows, at the head."""
LUMA = f32((0.3, 0.6, 0.1))
"""Weights of brightness."""
PIVOT = 0.42
"""Stored grey that contrast leaves alone."""
_STEPS = 4096


def _srgb(linear: Field) -> Array:
    return f32(np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


_TABLE = _srgb(np.linspace(0, 1, _STEPS) ** 2)
"""sRGB by the root of linear light."""


def develop(linear: Field, exposure: float, tone: CameraTone) -> Array:
    """Expose and white balance, roll highlights off, store as sRGB with contrast and saturation.

    [N, 3] light -> [N, 3] 0..1.
    """
    x = linear * (f32(exposure) * f32(tone.gains))
    x = x * (1 + x / 9) / (1 + 0.45 * x)
    stored = _TABLE[(np.sqrt(np.clip(x, 0, 1)) * (_STEPS - 1)).astype(np.int32)]
    grey = (stored @ LUMA)[:, None]
    stored = grey + f32(tone.saturation) * (stored - grey)
    return f32(np.clip(PIVOT + f32(tone.contrast) * (stored - PIVOT), 0, 1))


def photo_camera(rng: np.random.Generator, side: int) -> Camera:
    """An ordinary portrait: head and shoulders, from about in front."""
    yaw = float(np.clip(rng.normal(0, 16), -35, 35))
    pitch = float(np.clip(rng.normal(0, 6), -15, 15))
    distance = float(rng.uniform(0.5, 1.5))
    framed = FRAMED_M * float(rng.uniform(0.82, 1.1))
    target = MIDDLE + rng.normal(0, 0.01, 3) + (0, rng.uniform(-0.03, 0.02), 0)
    return look_from(yaw, pitch, side, target, framed, distance, float(rng.normal(0, 3)))


def around_camera(rng: np.random.Generator, side: int) -> Camera:
    """A camera anywhere: profiles, the back, above and below."""
    yaw, pitch = float(rng.uniform(-180, 180)), float(np.clip(rng.normal(0, 16), -40, 45))
    framed = FRAMED_M * float(rng.uniform(0.82, 1.15))
    target = MIDDLE + rng.normal(0, 0.01, 3)
    distance = float(rng.uniform(0.6, 1.6))
    return look_from(yaw, pitch, side, target, framed, distance, float(rng.normal(0, 4)))
