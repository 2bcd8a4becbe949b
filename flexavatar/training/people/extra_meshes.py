"""Meshes beside the head's own: spectacles that turn with the head, and a chest below the bust."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.head.binding import vertex_normals
from flexavatar.head.flame import FlameHead, PosedHead
from flexavatar.head.mesh_operators import open_edges
from flexavatar.head.open_head import load_open_head
from flexavatar.training.people.canvas import Array, Index
from flexavatar.training.people.light import LightRays
from flexavatar.training.people.noise import f32
from flexavatar.training.people.traits import Traits

LENS_SHAPES = {"round": (0.0235, 0.0225, 2.0), "square": (0.0265, 0.0190, 4.0),
          "half": (0.0260, 0.0175, 3.0)}  # fmt: skip
"""Half width and half height of a lens in metres, and how square it is."""
LENS_POINTS = 36
FRAME_M = 0.0016
LENS_AHEAD_M = 0.027
"""From the middle of the eye to the lens."""
CHEST_M = 0.35
"""How far the bust is continued down."""
BUST_Y = -0.12
"""The rig's only open edge below this is that of the bust."""


@dataclass(frozen=True)
class Glasses:
    """Frames on the resting head; no faces if none are worn."""

    vertices: Array  # [N, 3] metres
    faces: NDArray[np.int64]  # [F, 3]


def make_glasses(traits: Traits, head: FlameHead, neutral: Array) -> Glasses:
    """The frames that this person wears: neutral [V, 3]."""
    if traits.clothing.glasses == "none":
        return Glasses(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64))
    rng = np.random.default_rng((traits.seed, 5))
    wide, high, power = LENS_SHAPES[traits.clothing.glasses]
    wide, high = wide * float(rng.uniform(0.92, 1.1)), high * float(rng.uniform(0.9, 1.15))
    thick = FRAME_M * float(rng.uniform(0.6, 1.6))
    centres = np.stack([neutral[head.masks[n].numpy() > 0.5].mean(0) for n in ("leye", "reye")])
    middle = centres.mean(0)
    ears = neutral[head.masks["ears"].numpy() > 0.5]
    apart = abs(centres[0, 0] - middle[0]) + 0.002
    lines: list[tuple[Array, bool]] = []
    for sign in (1.0, -1.0):
        hub = f32((sign * apart, middle[1], middle[2] + LENS_AHEAD_M))
        lines.append((_rim(hub, sign, wide, high, power), True))
        hinge = hub + f32((sign * (wide + 0.004), 0.007, -0.011))
        ear = f32((sign * (np.abs(ears[:, 0]).min() + 0.007), middle[1] + 0.008, -0.012))
        outer = hub + f32((sign * wide, 0.006, -0.003))
        lines.append((np.stack((outer, hinge, (ear + hinge) / 2, ear)), False))
    bridge = [(apart - wide, 0.003, LENS_AHEAD_M), (0, 0.005, LENS_AHEAD_M + 0.003),
              (wide - apart, 0.003, LENS_AHEAD_M)]  # fmt: skip
    lines.append((f32(middle) + f32(bridge), False))
    return _tubes(lines, thick)


def _rim(hub: Array, sign: float, wide: float, high: float, power: float) -> Array:
    """The outline of a lens around its middle [3], bent back at the temple: [LENS_POINTS, 3]."""
    turn = np.linspace(0, 2 * np.pi, LENS_POINTS, endpoint=False)
    c, s = np.cos(turn), np.sin(turn)
    x = wide * np.sign(c) * np.abs(c) ** (2 / power)
    y = high * np.sign(s) * np.abs(s) ** (2 / power) - 0.003
    return hub + f32(np.stack((x, y, -0.07 * np.abs(x + sign * wide)), 1))


def _tubes(lines: list[tuple[Array, bool]], thick: float) -> Glasses:
    """Square tubes along polylines, closed or open."""
    vertices, faces, start = [], [], 0
    offsets = f32([(0, 1, 0.6), (0, 1, -0.6), (0, -1, -0.6), (0, -1, 0.6)]) * thick
    for line, closed in lines:
        count = len(line)
        if closed:
            radial = line - line.mean(0)
            radial /= np.linalg.norm(radial, axis=1, keepdims=True)
            spokes = radial[:, None] * offsets[:, 1:2] + offsets[:, 2:] * f32((0, 0, 1))
        else:
            spokes = np.broadcast_to(offsets + f32([(0.4 * thick, 0, 0)]), (count, 4, 3))
        vertices.append((line[:, None] + spokes).reshape(-1, 3))
        ring = np.arange(count if closed else count - 1)
        after = (ring + 1) % count
        for k in range(4):
            a, b = start + 4 * ring + k, start + 4 * ring + (k + 1) % 4
            c, d = start + 4 * after + k, start + 4 * after + (k + 1) % 4
            faces += [np.stack((a, b, d), 1), np.stack((a, d, c), 1)]
        start += 4 * count
    return Glasses(f32(np.concatenate(vertices)), np.concatenate(faces))


@dataclass(frozen=True)
class ExtraMesh:
    """Glasses and chest of a posed person, lit."""

    vertices: Array  # [N, 3] metres
    faces: Index  # [F, 3]
    light: Array  # [N, 3] linear, towards any camera


def make_extra_mesh(
    posed: PosedHead, glasses: Glasses, traits: Traits, rays: LightRays
) -> ExtraMesh:
    """Glasses that have turned with the head, and a chest."""
    turn = posed.transforms[1].numpy()
    worn = f32(glasses.vertices @ turn[:3, :3].T + turn[:3, 3])
    edge = posed.vertices.numpy()[_bust_edge()].reshape(-1, 3)
    ends = np.stack((edge, edge * f32((1.03, 1, 1)) - f32((0, CHEST_M, 0))), 1)  # [2 E, 2, 3]
    quads = np.arange(len(ends) // 2)[:, None] * 4 + np.array((0, 1, 2, 2, 1, 3))
    vertices = np.concatenate((worn, f32(ends.reshape(-1, 3))))
    faces = np.concatenate((glasses.faces, quads.reshape(-1, 3) + len(worn)))
    normals = vertex_normals(torch.from_numpy(vertices), torch.from_numpy(faces)).numpy()
    arriving = np.clip(normals @ rays.directions.T, 0, None) @ rays.colors
    colors = np.empty_like(vertices)
    colors[: len(worn)], colors[len(worn) :] = traits.clothing.glasses_color, traits.clothing.cloth
    return ExtraMesh(vertices, faces, f32(arriving * colors))


@lru_cache(maxsize=1)
def _bust_edge() -> Index:
    """The open edges of the bust: [E, 2] vertices."""
    head = load_open_head()
    edges = open_edges(head.faces.numpy())
    return edges[(head.template.numpy()[edges, 1] < BUST_Y).all(1)]
