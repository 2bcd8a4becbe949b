"""Pictures of a lit face before a wall: what each sample of a pixel shows, and their mean."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.render.camera import camera_position, resize_camera
from flexavatar.render.light import Light, mirrored_light
from flexavatar.render.mesh import render_mesh
from flexavatar.training.people.canvas import Array
from flexavatar.training.people.extra_meshes import make_extra_mesh
from flexavatar.training.people.noise import f32
from flexavatar.training.people.person import LitFace
from flexavatar.training.people.traits import Traits
from flexavatar.types import Camera

Index = NDArray[np.int64]
GRID = 2
"""A pixel is GRID x GRID samples."""
SKIN_SHARP, EYE_SHARP = 14.0, 900.0
"""Exponents of gloss."""
SKIN_NARROWING, EYE_NARROWING = 8.0, 80.0
"""How much smaller lamps look in mirrors than they light."""


@dataclass(frozen=True)
class PersonPicture:
    """One picture of a person, and the wall behind."""

    rgb: Tensor  # [H, W, 3] 0..1 display-referred, premultiplied by `cover`
    cover: Tensor  # [H, W] share of the pixel that is the person
    wall: Tensor  # [H, W, 3] 0..1

    def before_wall(self) -> Tensor:
        """The person before the wall: [H, W, 3]."""
        return self.rgb + (1 - self.cover[..., None]) * self.wall


def photograph(face: LitFace, camera: Camera) -> PersonPicture:
    """Draw a face with its glasses and chest."""
    head, person = face.person.head, face.person
    extras = make_extra_mesh(face.posed, person.glasses, person.traits, person.rays)
    vertices = torch.cat((face.vertices, torch.from_numpy(extras.vertices)))
    faces = torch.cat((head.faces, torch.from_numpy(extras.faces) + len(face.vertices)))
    view = render_mesh(
        vertices, faces, resize_camera(camera, camera.width * GRID, camera.height * GRID)
    )
    there = view.face_ids.numpy() >= 0
    ids, bary = view.face_ids.numpy()[there], view.bary.numpy()[there]
    shown = np.ones((len(ids), 4), np.float32)
    shown[:, :3] = _head_light(face, ids, bary, camera)
    extra = ids >= len(head.faces)
    corners = extras.faces[ids[extra] - len(head.faces)]
    shown[extra, :3] = _interpolate(extras.light, corners, bary[extra])
    light = np.zeros((*there.shape, 4), np.float32)
    light[there] = shown
    small = cv2.resize(light, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    cover = small[..., 3:]
    color = face.develop((small[..., :3] / np.maximum(cover, 1e-6)).reshape(-1, 3))
    wall = draw_wall(face.person.traits, camera.height, camera.width)
    rgb = color.reshape(*cover.shape[:2], 3) * cover
    return PersonPicture(torch.from_numpy(rgb), torch.from_numpy(cover[..., 0].copy()), wall)


def _head_light(face: LitFace, ids: Index, bary: Array, camera: Camera) -> Array:
    """Light that reaches the camera from the head at samples [N]: [N, 3]; anything for extras."""
    head, canvas = face.person.head, face.person.canvas
    ids = np.minimum(ids, len(head.faces) - 1)
    sheet = _sample_chart(face.light_chart, canvas.chart_pixels(ids, bary))
    corners = head.faces.numpy()[ids]
    toward = _unit(camera_position(camera).numpy() - face.vertices.numpy())
    light, open_share = face.person.traits.light, face.open_share[:, None]
    shine = open_share * mirrored_gloss(light, face.normals, toward, SKIN_SHARP, SKIN_NARROWING)
    shown = _interpolate(shine, corners, bary)
    eye = canvas.eye_faces[ids]
    if eye.any():
        fields = np.concatenate((face.normals, toward, open_share), 1)
        field = _interpolate(fields, corners[eye], bary[eye])
        normal = _unit(field[:, :3])
        shown[eye] = (
            mirrored_gloss(light, normal, field[:, 3:6], EYE_SHARP, EYE_NARROWING) * field[:, 6:]
        )
    return f32(sheet[:, :3] + sheet[:, 3:] * shown)


def _sample_chart(sheet: Array, places: Array) -> Array:
    """A picture at points [N, 2] in its pixels, bilinear: [U, U, 4] -> [N, 4]."""
    count, wide = len(places), 512
    padded = np.zeros((-(-count // wide) * wide, 2), np.float32)
    padded[:count] = places
    padded = padded.reshape(-1, wide, 2)
    found = cv2.remap(sheet, padded[..., 0], padded[..., 1], cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return f32(found.reshape(-1, sheet.shape[2])[:count])


def mirrored_gloss(
    light: Light, normal: Array, toward: Array, sharp: float, narrowing: float
) -> Array:
    """What a surface mirrors, with its fresnel factor: unit [N, 3], [N, 3] -> [N, 3]."""
    facing = np.einsum("nk,nk->n", normal, toward)
    mirror = 2 * facing[:, None] * normal - toward
    total = mirrored_light(light, mirror, sharp, narrowing)
    return f32((0.3 + 0.7 * (1 - np.abs(facing)) ** 4)[:, None] * total)


def _unit(vectors: Array) -> Array:
    length = np.sqrt(np.einsum("nk,nk->n", vectors, vectors))
    return vectors / np.maximum(length, 1e-9)[:, None]


def _interpolate(field: Array, corners: Index, bary: Array) -> Array:
    """A field at points in faces: [V, C], [N, 3], [N, 3] -> [N, C]."""
    total = field[corners[:, 0]] * bary[:, :1]
    total += field[corners[:, 1]] * bary[:, 1:2]
    total += field[corners[:, 2]] * bary[:, 2:]
    return total


def draw_wall(traits: Traits, height: int, width: int) -> Tensor:
    """Plain, shaded, or a room out of focus: [H, W, 3] 0..1."""
    rng = np.random.default_rng((traits.seed, 3))
    tone = f32(traits.wall)
    if traits.wall_kind == "plain":
        picture = np.broadcast_to(tone, (height, width, 3))
    elif traits.wall_kind == "slope":
        corners = tone * rng.uniform(0.6, 1.3, (2, 2, 1)).astype(np.float32)
        picture = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        side = int(rng.integers(4, 10))
        spots = (
            tone * rng.uniform(0.5, 1.4, (side, side, 1)) * rng.uniform(0.9, 1.1, (side, side, 3))
        )
        picture = cv2.resize(
            spots.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    return torch.from_numpy(np.array(picture, np.float32).clip(0, 1))
