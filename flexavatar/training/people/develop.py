"""How a camera turns light into stored colours."""

from __future__ import annotations

import numpy as np

from flexavatar.training.people.looks import Tone
from flexavatar.training.people.noise import Array, Field, f32

GREY = f32((0.3, 0.6, 0.1))
"""Weights of brightness."""
PIVOT = 0.42
"""Stored grey that contrast leaves alone."""
_STEPS = 4096


def _srgb(linear: Field) -> Array:
    return f32(np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


_TABLE = _srgb(np.linspace(0, 1, _STEPS) ** 2)
"""sRGB by the root of linear light."""


def developed(linear: Field, exposure: float, tone: Tone) -> Array:
    """Exposed, white balanced, highlights rolled off, sRGB, contrast and saturation.

    [N, 3] light -> [N, 3] 0..1.
    """
    x = linear * (f32(exposure) * f32(tone.gains))
    x = x * (1 + x / 9) / (1 + 0.45 * x)
    stored = _TABLE[(np.sqrt(np.clip(x, 0, 1)) * (_STEPS - 1)).astype(np.int32)]
    grey = (stored @ GREY)[:, None]
    stored = grey + f32(tone.saturation) * (stored - grey)
    return f32(np.clip(PIVOT + f32(tone.contrast) * (stored - PIVOT), 0, 1))
