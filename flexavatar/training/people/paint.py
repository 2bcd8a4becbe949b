"""What a synthetic person's texels are made of, layer on layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.render.light import Color
from flexavatar.training.people.canvas import Canvas
from flexavatar.training.people.noise import Array, Field, f32


@dataclass
class Paint:
    """Texels as they are painted."""

    albedo: Array  # [T, 3] linear
    gloss: Array  # [T] strength of the mirror part
    relief: Array  # [T] metres above the mesh

    @staticmethod
    def blank(canvas: Canvas) -> Paint:
        """Black and matt."""
        count = len(canvas)
        return Paint(
            np.zeros((count, 3), np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
        )

    def cover(
        self, share: Field, color: Field | Color, gloss: float, relief: Field | float
    ) -> None:
        """Lay an opaque layer over all: share [T], color [T, 3] or [3]."""
        self.albedo += share[:, None] * (np.asarray(color, np.float32) - self.albedo)
        self.gloss += share * (f32(gloss) - self.gloss)
        self.relief += share * (np.asarray(relief, np.float32) - self.relief)

    def tint(self, share: Field, color: Field | Color) -> None:
        """Lay a colour over some, keeping gloss and relief."""
        self.albedo += share[:, None] * (np.asarray(color, np.float32) - self.albedo)

    def absorb(self, amount: Field, color: tuple[float, float, float]) -> None:
        """Darken as a filter does: amount [T] times absorption per channel."""
        self.albedo *= np.exp(-np.outer(amount, f32(color)))


def at(count: int, index: NDArray[np.int64], values: Field) -> Array:
    """Values at some texels, 0 at the others: [N], [N] -> [T]."""
    full = np.zeros(count, np.float32)
    full[index] = values
    return full
