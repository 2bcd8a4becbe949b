"""Lamps and the light of a scene, linear."""

from __future__ import annotations

from dataclasses import dataclass

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
