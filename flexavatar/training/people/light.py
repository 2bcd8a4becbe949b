"""Light that reaches every vertex of a posed person, shadows included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array

from flexavatar.head.mesh_operators import adjacency
from flexavatar.head.open_head import load_open_head
from flexavatar.render.light import Light, sky_light
from flexavatar.training.people.camera import LUMA
from flexavatar.training.people.noise import Array, Field, f32

ROOM_RAYS, LAMP_RAYS = 28, 7
"""Directions from which the room is looked at, and each lamp."""
LIFT_M = 6e-4
"""Rays start this far above the surface."""
SCATTER_STEPS = (7, 3, 1)
"""How many edges red, green and blue light travels under the skin."""


@dataclass(frozen=True)
class LightRays:
    """Light as a bundle of directions, each with what a surface square to it receives."""

    directions: Array  # [D, 3] unit, towards the light
    colors: Array  # [D, 3]


@dataclass(frozen=True)
class VertexLight:
    """Light at every vertex."""

    color: Array  # [V, 3] irradiance
    lean: Array  # [V, 3] where it comes from: change of grey irradiance as the normal tilts
    free: Array  # [V] share of the hemisphere that nothing hides


def light_rays(light: Light) -> LightRays:
    """The room evenly from all around, and every lamp's own lobe."""
    i = np.arange(ROOM_RAYS) + 0.5
    height, turn = 1 - 2 * i / ROOM_RAYS, np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - height * height)
    room = np.stack((ring * np.cos(turn), height, ring * np.sin(turn)), 1)
    colors = [sky_light(light, room) * 4 / ROOM_RAYS]
    directions = [room]
    for lamp in light.lamps:
        directions.append(_lamp_rays(np.array(lamp.direction), lamp.tightness))
        total = 2 * (1 - np.exp(-2 * lamp.tightness)) / lamp.tightness
        colors.append(np.tile(np.array(lamp.color) * total / LAMP_RAYS, (LAMP_RAYS, 1)))
    return LightRays(f32(np.concatenate(directions)), f32(np.concatenate(colors)))


def gather_light(vertices: Array, normals: Array, rays: LightRays) -> VertexLight:
    """Light at each vertex that no surface hides it from: vertices and normals [V, 3]."""
    scene = EmbreeScene()
    TriangleMesh(scene, vertices, load_open_head().faces.numpy().astype(np.int32))
    facing = normals @ rays.directions.T  # [V, D]
    vertex, ray = np.nonzero(facing > 0)
    start = (vertices + LIFT_M * normals)[vertex]
    hit = scene.run(
        np.ascontiguousarray(start), np.ascontiguousarray(rays.directions[ray]), query="OCCLUDED"
    )
    seen = np.zeros_like(facing)
    seen[vertex, ray] = np.asarray(hit) == -1
    arriving = seen * facing
    grey = rays.colors @ LUMA
    room = arriving[:, :ROOM_RAYS].sum(1) / np.maximum(facing[:, :ROOM_RAYS].clip(0).sum(1), 1e-6)
    return VertexLight(
        _subsurface_scatter(arriving @ rays.colors),
        f32(seen @ (rays.directions * grey[:, None])),
        room,
    )


def _subsurface_scatter(light: Field) -> Array:
    """Light that has gone under the skin and come up again: [V, 3] -> [V, 3]."""
    step = _neighbour_average()
    columns = []
    for channel, count in enumerate(SCATTER_STEPS):
        field = light[:, channel]
        for _ in range(count):
            field = step @ field
        columns.append(field)
    return np.stack(columns, 1)


@lru_cache(maxsize=1)
def _neighbour_average() -> csr_matrix:
    """A vertex averaged with its neighbours, half and half: [V, V]."""
    head = load_open_head()
    links = adjacency(head.faces.numpy(), len(head.template)).astype(np.float32)
    degree = np.asarray(links.sum(1)).ravel()
    mean = diags_array(f32(0.5) / np.maximum(degree, 1)) @ links
    return (mean + diags_array(np.where(degree > 0, 0.5, 1.0).astype(np.float32))).tocsr()


def _lamp_rays(direction: NDArray[np.float64], tightness: float) -> NDArray[np.float64]:
    """Directions spread like exp(tightness * (cos - 1)): [LAMP_RAYS, 3]."""
    i = np.arange(LAMP_RAYS) + 0.5
    cosine = 1 + np.log(1 - i / LAMP_RAYS * (1 - np.exp(-2 * tightness))) / tightness
    turn = np.pi * (1 + 5**0.5) * i
    sine = np.sqrt(np.clip(1 - cosine * cosine, 0, 1))
    helper = np.array((1.0, 0, 0)) if abs(direction[0]) < 0.8 else np.array((0, 1.0, 0))
    side = np.cross(helper, direction)
    side /= np.linalg.norm(side)
    up = np.cross(direction, side)
    around = np.outer(np.cos(turn), side) + np.outer(np.sin(turn), up)
    return cosine[:, None] * direction + sine[:, None] * around
