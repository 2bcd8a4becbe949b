"""Draws synthetic people by casting rays (Intel Embree); nothing of our splat renderer is in it.

Light that reaches a vertex is gathered once per expression, shadows included; colours are painted
where each ray lands; a pixel is the mean of its rays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from flexavatar.evaluation.people.paint import Painter
from flexavatar.evaluation.people.person import Person
from flexavatar.evaluation.people.person_mesh import PersonMesh
from flexavatar.evaluation.people.rig import FACE_SKIN, Array
from flexavatar.head.mesh_operators import neighbour_mean, vertex_normals
from flexavatar.render.light import Light, mirrored_light, sky_light
from flexavatar.types import Camera

GATHER_RAYS = 72
"""Rays that ask from where light reaches a vertex."""
LIFT_M = 4e-4
"""Such rays start this far above the surface."""
SCATTER_STEPS = (9, 3, 1)
"""How many edges red, green and blue light travels under the skin."""
GRID = 2
"""A pixel is GRID x GRID rays."""
EXPOSURE = 1.1
NARROWING = 8
"""How much smaller lamps look in mirrors than they light."""
CHIN_Y, CHIN_Z, CHIN_SLOPE = -0.074, 0.095, 0.25
"""The plane that parts head and neck on ICT's template: metres, and its rise to the nape."""
NO_HIT = -1


@dataclass(frozen=True)
class RayTracedShot:
    """One picture, and which part of it is the person and the head."""

    rgb: NDArray[np.uint8]  # [H, W, 3] before the wall
    cover: NDArray[np.float32]  # [H, W] share of the pixel that is the person
    color: NDArray[np.float32]  # [H, W, 3] of the person alone, premultiplied by `cover`
    head: NDArray[np.bool_]  # [H, W] the person above the chin


class Scene:
    """One person with one expression, lit, ready to be seen from anywhere."""

    def __init__(self, mesh: PersonMesh, painter: Painter, person: Person) -> None:
        self.mesh, self.painter, self.person = mesh, painter, person
        self.embree = EmbreeScene()
        TriangleMesh(self.embree, mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))
        self.normals = vertex_normals(mesh.vertices, mesh.faces)

    @cached_property
    def light(self) -> Array:
        """Irradiance of every vertex, [V, 3]."""
        vertices, faces = self.mesh.vertices, self.mesh.faces
        used = np.unique(faces)
        directions = _hemisphere(GATHER_RAYS)
        total = np.zeros((len(vertices), 3))
        frame = _normal_frames(self.normals[used])
        start = vertices[used] + LIFT_M * self.normals[used]
        for direction in directions:
            out = frame @ direction
            free = self._cast(start, out)[0] == NO_HIT
            total[used] += free[:, None] * radiance(self.person.light, out)
        total /= len(directions)
        skin = self.mesh.part[:, None] == FACE_SKIN
        soft = [neighbour_mean(total[:, i], faces, n) for i, n in enumerate(SCATTER_STEPS)]
        return np.where(skin, np.stack(soft, 1), total)

    def render(self, camera: Camera) -> RayTracedShot:
        """A picture. Pixel centres are at +0.5."""
        rays, origin = _camera_rays(camera)
        hit, bary = self._cast(np.broadcast_to(origin, rays.shape), rays)
        there = hit != NO_HIT
        bary, corners = bary[there], self.mesh.faces[hit[there]]
        color = np.zeros((len(rays), 3))
        color[there] = self._shade(corners, bary, -rays[there])
        above = np.zeros(len(rays))
        above[there] = self._is_head(corners, bary)
        size = (camera.height, GRID, camera.width, GRID, -1)
        small = [
            x.reshape(size).mean((1, 3))
            for x in (_develop(color) * there[:, None], there.astype(float), above)
        ]
        person, cover = small[0].astype(np.float32), small[1][..., 0].astype(np.float32)
        wall = _develop(np.array([self.person.wall]))[0]
        rgb = person + (1 - cover[..., None]) * wall
        return RayTracedShot(
            np.round(rgb.clip(0, 1) * 255).astype(np.uint8),
            cover,
            person,
            small[2][..., 0] > 0.5,
        )

    def _shade(self, corners: NDArray[np.int64], bary: Array, to_eye: Array) -> Array:
        """Linear colour of hit places: [N, 3], [N, 3], [N, 3] -> [N, 3]."""
        rest, normal, light = (
            np.einsum("nk,nkd->nd", bary, field[corners])
            for field in (self.mesh.rest, self.normals, self.light)
        )
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        paint = self.painter.paint(rest, self.mesh.part[corners].max(1))
        facing = (normal * to_eye).sum(1)
        normal *= np.where(facing < 0, -1, 1)[:, None]  # hair sheets have two sides
        mirror = 2 * np.abs(facing)[:, None] * normal - to_eye
        fresnel = paint.gloss * (0.3 + 0.7 * (1 - np.abs(facing)) ** 4)
        glint = mirrored_light(self.person.light, mirror, paint.sharp, NARROWING)
        open_share = light.mean(1) / np.maximum(_ambient(self.person.light), 1e-6)
        glint *= np.minimum(open_share, 1)[:, None]
        return paint.albedo * light + fresnel[:, None] * glint

    def _is_head(self, corners: NDArray[np.int64], bary: Array) -> Array:
        """1 above the plane from under the chin to the nape, on the template."""
        rest = np.einsum("nk,nkd->nd", bary, self.mesh.rest[corners])
        return (rest[:, 1] > CHIN_Y + CHIN_SLOPE * (CHIN_Z - rest[:, 2])).astype(float)

    def _cast(self, start: Array, out: Array) -> tuple[NDArray[np.int64], Array]:
        """First face that each ray meets, or NO_HIT [N], and where on it, barycentric [N, 3]."""
        origins = np.ascontiguousarray(start, np.float32)
        found = self.embree.run(origins, np.ascontiguousarray(out, np.float32), output=1)
        u, v = found["u"].astype(np.float64), found["v"].astype(np.float64)
        return found["primID"].astype(np.int64), np.stack((1 - u - v, u, v), 1)


def radiance(light: Light, out: Array) -> Array:
    """Light that comes from directions [N, 3]: [N, 3]."""
    total = np.asarray(sky_light(light, out), np.float64)
    for lamp in light.lamps:
        lobe = np.exp(lamp.tightness * (out @ np.array(lamp.direction) - 1))
        total = total + lobe[:, None] * np.array(lamp.color)
    return total


def _ambient(light: Light) -> float:
    return float(0.5 * (np.mean(light.sky) + np.mean(light.ground)))


def _hemisphere(count: int) -> Array:
    """Directions about +z, cosine-weighted, evenly spread: [N, 3]."""
    i = np.arange(count) + 0.5
    radius, turn = np.sqrt(i / count), np.pi * (1 + 5**0.5) * i
    return np.stack((radius * np.cos(turn), radius * np.sin(turn), np.sqrt(1 - radius**2)), 1)


def _normal_frames(normals: Array) -> Array:
    """Rotations that take +z to each normal: [N, 3] -> [N, 3, 3]."""
    helper = np.where(np.abs(normals[:, :1]) < 0.8, (1.0, 0, 0), (0, 1.0, 0))
    side = np.cross(helper, normals)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    columns = (side, np.cross(normals, side), normals)
    return np.asarray(np.stack(columns, -1), np.float64)


def _camera_rays(camera: Camera) -> tuple[Array, Array]:
    """Unit directions, GRID x GRID a pixel [H * GRID * W * GRID, 3], and where they start [3]."""
    view, K = camera.viewmat.double().numpy(), camera.K.double().numpy()
    y, x = np.mgrid[0 : camera.height * GRID, 0 : camera.width * GRID]
    pixels = np.stack(((x + 0.5) / GRID, (y + 0.5) / GRID, np.ones_like(x)), -1).reshape(-1, 3)
    out = pixels @ np.linalg.inv(K).T @ view[:3, :3]
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return out, -view[:3, :3].T @ view[:3, 3]


def _develop(linear: Array) -> Array:
    """Linear light as a camera stores it: exposed, highlights rolled off, sRGB."""
    exposed = EXPOSURE * linear
    rolled = exposed * (1 + exposed / 6) / (1 + 0.55 * exposed)
    rolled = rolled.clip(0, 1)
    return np.where(rolled < 0.0031308, 12.92 * rolled, 1.055 * rolled ** (1 / 2.4) - 0.055)
