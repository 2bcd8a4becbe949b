"""A synthetic person with one expression: lit once, then photographed from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.evaluation.people.person import Light
from flexavatar.head.binding import vertex_normals
from flexavatar.render.camera import position, scaled
from flexavatar.render.mesh import MeshView, render_mesh
from flexavatar.training.people.canvas import Array
from flexavatar.training.people.light import GREY, Lit, gather
from flexavatar.training.people.looks import Tone
from flexavatar.training.people.noise import f32
from flexavatar.training.people.wall import draw_wall
from flexavatar.types import Camera, FlameCodes

if TYPE_CHECKING:
    from flexavatar.training.people.figure import Figure

GRID = 2
"""A pixel is GRID x GRID samples."""
BOUNCE = 0.35
"""Share of hidden light that comes back from what hides it."""
SKIN_SHARP, EYE_SHARP = 14.0, 400.0
"""Exponents of gloss."""


@dataclass(frozen=True)
class Shot:
    """One picture of a person, and what is to be put behind."""

    rgb: Tensor  # [H, W, 3] 0..1 display-referred, premultiplied by `cover`
    cover: Tensor  # [H, W] share of the pixel that is the person
    wall: Tensor  # [H, W, 3] 0..1

    def composed(self) -> Tensor:
        """The person before the wall: [H, W, 3]."""
        return self.rgb + (1 - self.cover[..., None]) * self.wall


class Face:
    """The person with one expression, lit."""

    vertices: Tensor  # [V, 3] posed, metres

    def __init__(self, figure: Figure, weights: Mapping[str, float], codes: FlameCodes) -> None:
        self.figure, self.weights = figure, weights
        self.vertices = figure.head.pose(figure.neutral, codes).vertices
        self.normals: Array = vertex_normals(self.vertices, figure.head.faces).numpy()

    @cached_property
    def lit(self) -> Lit:
        """Light at the vertices."""
        return gather(self.vertices.numpy(), self.normals, self.figure.rays)

    @cached_property
    def linear(self) -> Array:
        """Light that each texel sends out, without gloss: [T, 3]."""
        figure, canvas, lit = self.figure, self.figure.canvas, self.lit
        slopes, shade = figure.slopes.copy(), np.zeros((len(canvas), 3), np.float32)
        for crease in figure.creases:
            depth = crease.depth(self.weights)
            if depth > 0.01:
                bare = figure.bare[crease.index, None] * f32(depth)
                slopes[crease.index] += bare * crease.slopes
                shade[crease.index] += bare * crease.shade
        bounce = BOUNCE * (1 - lit.free[:, None]) * lit.color.mean(0) * f32((1, 0.7, 0.6))
        fields = canvas.spread(np.concatenate((lit.color + bounce, lit.lean), 1))
        grey = np.maximum(fields[:, :3] @ GREY, 1e-4)
        tilt = np.clip((fields[:, 3:] * slopes).sum(1) / grey, -0.7, 0.9)
        return figure.paint.albedo * np.exp(-shade) * fields[:, :3] * (1 + tilt[:, None])

    def chart(self) -> Tensor:
        """Colour of every texel as lit, display-referred, 0 off the chart: [3, U, U]."""
        size, canvas = self.figure.canvas.size, self.figure.canvas
        grid = np.zeros((size * size, 3), np.float32)
        grid[canvas.cells] = self._stored(self.linear)
        return torch.from_numpy(grid).T.reshape(3, size, size).contiguous()

    def shoot(self, camera: Camera) -> Shot:
        """A picture. Pixel centres are at +0.5."""
        fine = scaled(camera, camera.width * GRID, camera.height * GRID)
        view = render_mesh(self.vertices, self.figure.head.faces, fine)
        there = (view.face_ids >= 0).numpy()
        color = np.zeros((*there.shape, 3), np.float32)
        color[there] = self._stored(self._seen(view, there, camera))
        wall = draw_wall(self.figure.traits, camera.height, camera.width)
        return Shot(_shrunk(color), _shrunk(there[..., None].astype(np.float32))[..., 0], wall)

    @cached_property
    def _sheet(self) -> Array:
        """Light and gloss as a picture: [U, U, 4]."""
        return self.figure.canvas.grid(
            np.concatenate((self.linear, self.figure.paint.gloss[:, None]), 1)
        )

    def _seen(self, view: MeshView, there: NDArray[np.bool_], camera: Camera) -> Array:
        """Light that reaches the camera from the samples that show the person: [N, 3]."""
        head, size = self.figure.head, self.figure.canvas.size
        ids, bary = view.face_ids.numpy()[there], view.bary.numpy()[there]
        uv = _blend(head.uvs.numpy(), head.uv_faces.numpy()[ids], bary)
        places = np.zeros((*there.shape, 2), np.float32)
        places[there] = uv * f32((size, -size)) + f32((-0.5, size - 0.5))
        sheet = cv2.remap(
            self._sheet,
            places[..., 0],
            places[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        light, gloss = sheet[there][:, :3], sheet[there][:, 3]
        corners = head.faces.numpy()[ids]
        fields = np.concatenate((self.normals, self.vertices.numpy(), self._exposed), 1)
        field = _blend(fields, corners, bary)
        toward = position(camera).numpy() - field[:, 3:6]
        toward /= np.linalg.norm(toward, axis=1, keepdims=True)
        eye = head.masks["eyes"].numpy()[corners[:, 0]] > 0.5
        sharp = np.where(eye, f32(EYE_SHARP), f32(SKIN_SHARP))
        shine = _gloss(self.figure.traits.light, field[:, :3], toward, sharp)
        return light + (gloss * field[:, 6])[:, None] * shine

    @cached_property
    def _exposed(self) -> Array:
        """How much of the light's mirror image a vertex can show: [V, 1]."""
        return np.clip(self.lit.free * 1.3, 0, 1)[:, None] ** 2

    def _stored(self, linear: Array) -> Array:
        """Linear light as this camera stores it: [N, 3] -> [N, 3] 0..1."""
        return developed(linear, self.figure.exposure, self.figure.traits.tone)


def developed(linear: Array, exposure: float, tone: Tone) -> Array:
    """Exposed, white balanced, highlights rolled off, sRGB, contrast and saturation: [N, 3]."""
    x = linear * (f32(exposure) * f32(tone.gains))
    x = x * (1 + x / 9) / (1 + 0.45 * x)
    stored = np.interp(x, _LINEAR, _SRGB).astype(np.float32)
    grey = (stored @ GREY)[:, None]
    stored = grey + f32(tone.saturation) * (stored - grey)
    pivot = f32(0.45)
    return f32(np.clip(pivot + f32(tone.contrast) * (stored - pivot), 0, 1))


_LINEAR = np.linspace(0, 1, 1024) ** 2
_SRGB = np.where(_LINEAR < 0.0031308, 12.92 * _LINEAR, 1.055 * _LINEAR ** (1 / 2.4) - 0.055)


def _gloss(light: Light, normal: Array, toward: Array, sharp: Array) -> Array:
    """What a surface mirrors, with its fresnel factor: [N, 3]."""
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    facing = (normal * toward).sum(1)
    mirror = 2 * facing[:, None] * normal - toward
    up = (0.5 + 0.5 * mirror[:, 1:2]).clip(0, 1)
    total = up * f32(light.sky) + (1 - up) * f32(light.ground)
    for lamp in light.lamps:
        width = 1 / (1 / (8 * lamp.tightness) + 1 / sharp)
        lobe = np.exp(width * (mirror @ f32(lamp.direction) - 1))
        total += (0.2 * width * lobe)[:, None] * f32(lamp.color)
    return (0.3 + 0.7 * (1 - np.abs(facing)) ** 4)[:, None] * total


def _blend(field: Array, corners: NDArray[np.int64], bary: Array) -> Array:
    """A field at points in faces: [V, C], [N, 3], [N, 3] -> [N, C]."""
    total = field[corners[:, 0]] * bary[:, :1]
    total += field[corners[:, 1]] * bary[:, 1:2]
    total += field[corners[:, 2]] * bary[:, 2:]
    return total


def _shrunk(picture: Array) -> Tensor:
    """Mean of GRID x GRID: [H * GRID, W * GRID, C] -> [H, W, C]."""
    high, wide, channels = picture.shape
    cells = picture.reshape(high // GRID, GRID, wide // GRID, GRID, channels)
    return torch.from_numpy(np.ascontiguousarray(cells.mean((1, 3))))
