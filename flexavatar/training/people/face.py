"""A synthetic person with one expression: lit once, then photographed from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flexavatar.head.binding import vertex_normals
from flexavatar.training.people.canvas import Array
from flexavatar.training.people.develop import GREY, developed
from flexavatar.training.people.eyeball import eye_normals, lid_shade
from flexavatar.training.people.light import Lit, gather
from flexavatar.training.people.noise import Field, f32
from flexavatar.training.people.picture import Shot, photograph
from flexavatar.types import Camera, FlameCodes

if TYPE_CHECKING:
    from flexavatar.training.people.figure import Figure

BOUNCE = 0.35
"""Share of hidden light that comes back from what hides it."""
FLESHY = f32((1, 0.7, 0.6))
"""Its colour."""
SLIGHT = 0.01
"""Lines less deep than this are left out."""
TILT = (-0.7, 0.9)
"""How much relief may change the light at most."""


class Face:
    """The person with one expression, lit."""

    vertices: Tensor  # [V, 3] posed, metres

    def __init__(self, figure: Figure, weights: Mapping[str, float], codes: FlameCodes) -> None:
        self.figure, self.weights = figure, weights
        self.posed = figure.head.pose(figure.neutral, codes)
        self.vertices = self.posed.vertices
        normals = vertex_normals(self.vertices, figure.head.faces).numpy()
        self.normals: Array = eye_normals(figure.head, self.posed, normals)

    @cached_property
    def lit(self) -> Lit:
        """Light at the vertices."""
        return gather(self.vertices.numpy(), self.normals, self.figure.rays)

    @cached_property
    def linear(self) -> Array:
        """Light that each texel sends out, without gloss: [T, 3]."""
        figure, canvas, lit = self.figure, self.figure.canvas, self.lit
        slopes, shade = self._lined()
        hidden = (1 - lit.free[:, None]) * canvas.shallow[:, None]
        bounce = BOUNCE * hidden * lit.color.mean(0) * FLESHY
        fields = canvas.spread(np.concatenate((lit.color + bounce, lit.lean), 1))
        grey = np.maximum(fields[:, :3] @ GREY, 1e-4)
        tilt = np.clip(np.einsum("nk,nk->n", fields[:, 3:], slopes) / grey, *TILT)
        tilt = (1 + tilt) * lid_shade(canvas, self.posed)
        return figure.paint.albedo * np.exp(-shade) * fields[:, :3] * tilt[:, None]

    def _lined(self) -> tuple[Array, Array]:
        """Tilt of the normals and absorption with the lines of this expression: [T, 3] each."""
        figure = self.figure
        slopes, shade = figure.slopes.copy(), np.zeros((len(figure.canvas), 3), np.float32)
        for crease in figure.creases:
            depth = crease.depth(self.weights)
            if depth > SLIGHT:
                bare = figure.bare[crease.index, None] * f32(depth)
                slopes[crease.index] += bare * crease.slopes
                shade[crease.index] += bare * crease.shade
        return slopes, shade

    def chart(self) -> Tensor:
        """Colour of every texel as lit, display-referred, 0 off the chart: [3, U, U]."""
        size, canvas = self.figure.canvas.size, self.figure.canvas
        grid = np.zeros((size * size, 3), np.float32)
        grid[canvas.cells] = self.developed(self.linear)
        return torch.from_numpy(grid).T.reshape(3, size, size).contiguous()

    def shoot(self, camera: Camera) -> Shot:
        """A picture. Pixel centres are at +0.5."""
        return photograph(self, camera)

    @cached_property
    def sheet(self) -> Array:
        """Light and gloss as a picture of the chart: [U, U, 4]."""
        gloss = self.figure.paint.gloss[:, None]
        return self.figure.canvas.grid(np.concatenate((self.linear, gloss), 1))

    @cached_property
    def open_share(self) -> Array:
        """How much of the light's mirror image a vertex can show: [V]."""
        return np.clip(1.3 * self.lit.free, 0, 1) ** 2

    def developed(self, linear: Field) -> Array:
        """Light as this person's camera stores it: [N, 3] -> [N, 3] 0..1."""
        return developed(linear, self.figure.exposure, self.figure.traits.tone)
