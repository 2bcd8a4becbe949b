"""One synthetic person: shape and paint made once, then face after face."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from flexavatar.avatar.poser import rig_with_own_lids
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import vertex_normals
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.training.people.camera import LUMA, develop
from flexavatar.training.people.canvas import Array, Paint, PaintCanvas, load_canvas, smooth
from flexavatar.training.people.coverings import (
    Coverage,
    make_coverage,
    paint_clothes,
    paint_hair,
    paint_hat,
)
from flexavatar.training.people.extra_meshes import make_glasses
from flexavatar.training.people.eyes_and_mouth import eye_normals, lid_shade, paint_inner
from flexavatar.training.people.hair import add_hair
from flexavatar.training.people.light import VertexLight, gather_light, light_rays
from flexavatar.training.people.noise import Field, f32, value_noise
from flexavatar.training.people.skin import paint_skin
from flexavatar.training.people.traits import Traits
from flexavatar.training.people.wrinkles import make_creases
from flexavatar.types import FlameCodes

FACE_GREY, PALE_GREY = 0.36, 0.5
"""Linear light that a pale face is exposed to, and its albedo."""
BOUNCE = 0.35
"""Share of hidden light that comes back from what hides it."""
FLESH_COLOR = f32((1, 0.7, 0.6))
"""Its colour."""
LEAST_DEPTH = 0.01
"""Lines less deep than this are left out."""
TILT_LIMITS = (-0.7, 0.9)
"""How much relief may change the light at most."""


class SyntheticPerson:
    """One person: shape, paint, lines and light, from which faces are made."""

    head: FlameHead
    """The open head with this person's own lids."""
    neutral: Tensor  # [V, 3] metres, hair and hat included

    def __init__(self, traits: Traits, texels: int = 256) -> None:
        self.traits, self.canvas = traits, load_canvas(texels)
        self.neutral = _make_neutral(traits)
        self.head = rig_with_own_lids(self.neutral, load_open_head())
        covers = make_coverage(self.canvas, traits)
        self.bare = covers.bare
        self.paint = _paint_texels(self.canvas, traits, covers)
        self.slopes: Array = self.canvas.tilt_of_relief(self.paint.relief)
        self.creases = make_creases(self.canvas, traits)
        self.glasses = make_glasses(traits, self.head, self.neutral.numpy())
        self.rays = light_rays(traits.light)

    @cached_property
    def exposure(self) -> float:
        """What the camera multiplies light by, metered on the resting face."""
        face = self.canvas.masks["face"] > 0.9
        albedo = float((self.paint.albedo[face] @ LUMA).mean())
        light = float((self.face({}).linear[face] @ LUMA).mean()) / albedo
        tone = self.traits.tone
        target = FACE_GREY * (albedo / PALE_GREY) ** (1 - tone.metering)
        return tone.exposure * target / (light * albedo)

    def codes(self, weights: Mapping[str, float]) -> FlameCodes:
        """ARKit weights as codes of the rig. Raises DriveError for bad names or values."""
        return arkit_to_flame(weights, load_arkit_basis(load_open_head()))

    def face(self, weights: Mapping[str, float], codes: FlameCodes | None = None) -> LitFace:
        """The person with one expression; `codes` may turn head and neck as well."""
        return LitFace(self, weights, self.codes(weights) if codes is None else codes)


class LitFace:
    """The person with one expression, lit."""

    vertices: Tensor  # [V, 3] posed, metres

    def __init__(
        self, person: SyntheticPerson, weights: Mapping[str, float], codes: FlameCodes
    ) -> None:
        self.person, self.weights = person, weights
        self.posed = person.head.pose(person.neutral, codes)
        self.vertices = self.posed.vertices
        normals = vertex_normals(self.vertices, person.head.faces).numpy()
        self.normals: Array = eye_normals(person.head, self.posed, normals)

    @cached_property
    def vertex_light(self) -> VertexLight:
        """Light at the vertices."""
        return gather_light(self.vertices.numpy(), self.normals, self.person.rays)

    @cached_property
    def linear(self) -> Array:
        """Light that each texel sends out, without gloss: [T, 3]."""
        person, canvas, lit = self.person, self.person.canvas, self.vertex_light
        slopes, shade = self._crease_fields()
        hidden = (1 - lit.free[:, None]) * canvas.shallow[:, None]
        bounce = BOUNCE * hidden * lit.color.mean(0) * FLESH_COLOR
        fields = canvas.at_texels(np.concatenate((lit.color + bounce, lit.lean), 1))
        grey = np.maximum(fields[:, :3] @ LUMA, 1e-4)
        tilt = np.clip(np.einsum("nk,nk->n", fields[:, 3:], slopes) / grey, *TILT_LIMITS)
        tilt = (1 + tilt) * lid_shade(canvas, self.posed)
        return person.paint.albedo * np.exp(-shade) * fields[:, :3] * tilt[:, None]

    def _crease_fields(self) -> tuple[Array, Array]:
        """Tilt of the normals and absorption with the lines of this expression: [T, 3] each."""
        person = self.person
        slopes, shade = person.slopes.copy(), np.zeros((len(person.canvas), 3), np.float32)
        for crease in person.creases:
            depth = crease.depth(self.weights)
            if depth > LEAST_DEPTH:
                bare = person.bare[crease.index, None] * f32(depth)
                slopes[crease.index] += bare * crease.slopes
                shade[crease.index] += bare * crease.shade
        return slopes, shade

    def chart(self) -> Tensor:
        """Colour of every texel as lit, display-referred, 0 off the chart: [3, U, U]."""
        size, canvas = self.person.canvas.size, self.person.canvas
        grid = np.zeros((size * size, 3), np.float32)
        grid[canvas.cells] = self.develop(self.linear)
        return torch.from_numpy(grid).T.reshape(3, size, size).contiguous()

    @cached_property
    def light_chart(self) -> Array:
        """Light and gloss as a picture of the chart: [U, U, 4]."""
        gloss = self.person.paint.gloss[:, None]
        return self.person.canvas.grid(np.concatenate((self.linear, gloss), 1))

    @cached_property
    def open_share(self) -> Array:
        """How much of the light's mirror image a vertex can show: [V]."""
        return np.clip(1.3 * self.vertex_light.free, 0, 1) ** 2

    def develop(self, linear: Field) -> Array:
        """Light as this person's camera stores it: [N, 3] -> [N, 3] 0..1."""
        return develop(linear, self.person.exposure, self.person.traits.tone)


def _make_neutral(traits: Traits) -> Tensor:
    """Bones, then smooth distortion, then hair: [V, 3]."""
    head = load_open_head()
    bald = head.neutral(torch.tensor(traits.betas))
    template = head.template.numpy()
    shift = np.stack([value_noise(template, 14, traits.seed + 60 + i) for i in range(3)], 1)
    shift += 0.5 * np.stack([value_noise(template, 30, traits.seed + 70 + i) for i in range(3)], 1)
    for name in ("leye", "reye", "teeth"):  # hard parts move as one, and lids with their eye
        hard = head.masks[name].numpy() > 0.5
        whole = shift[hard].mean(0)
        if name != "teeth":
            away = np.linalg.norm(template - template[hard].mean(0), axis=1)
            shift += smooth(away, 0.036, 0.020)[:, None] * (whole - shift)
        shift[hard] = whole
    bald = bald.numpy() + f32(traits.warp) * shift
    return torch.from_numpy(add_hair(bald, traits))


def _paint_texels(canvas: PaintCanvas, traits: Traits, covers: Coverage) -> Paint:
    paint = Paint.blank(canvas)
    paint_skin(canvas, traits, paint)
    paint_hair(canvas, traits, covers, paint)
    paint_hat(canvas, traits, covers, paint)
    paint_clothes(canvas, traits, covers.cloth, paint)
    paint_inner(canvas, traits, paint)
    np.clip(paint.albedo, 0.002, 0.92, out=paint.albedo)
    return paint
