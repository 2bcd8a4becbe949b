"""Spectacles: thin frames of their own in front of the eyes; they turn with the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.head.flame import FlameHead
from flexavatar.training.people.canvas import Array
from flexavatar.training.people.noise import f32
from flexavatar.training.people.traits import Traits

SHAPES = {"round": (0.0235, 0.0225, 2.0), "square": (0.0265, 0.0190, 4.0),
          "half": (0.0260, 0.0175, 3.0)}  # fmt: skip
"""Half width and half height of a lens in metres, and how square it is."""
POINTS = 36
THICK_M = 0.0016
AHEAD_M = 0.027
"""From the middle of the eye to the lens."""


@dataclass(frozen=True)
class Glasses:
    """Frames on the resting head; no faces if none are worn."""

    vertices: Array  # [N, 3] metres
    faces: NDArray[np.int64]  # [F, 3]


def make_glasses(traits: Traits, head: FlameHead, neutral: Array) -> Glasses:
    """What this person wears: neutral [V, 3]."""
    if traits.wear.glasses == "none":
        return Glasses(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64))
    rng = np.random.default_rng((traits.seed, 5))
    wide, high, power = SHAPES[traits.wear.glasses]
    wide, high = wide * float(rng.uniform(0.92, 1.1)), high * float(rng.uniform(0.9, 1.15))
    thick = THICK_M * float(rng.uniform(0.6, 1.6))
    centres = np.stack([neutral[head.masks[n].numpy() > 0.5].mean(0) for n in ("leye", "reye")])
    middle = centres.mean(0)
    ears = neutral[head.masks["ears"].numpy() > 0.5]
    apart = abs(centres[0, 0] - middle[0]) + 0.002
    lines: list[tuple[Array, bool]] = []
    for sign in (1.0, -1.0):
        hub = f32((sign * apart, middle[1], middle[2] + AHEAD_M))
        lines.append((_rim(hub, sign, wide, high, power), True))
        hinge = hub + f32((sign * (wide + 0.004), 0.007, -0.011))
        ear = f32((sign * (np.abs(ears[:, 0]).min() + 0.007), middle[1] + 0.008, -0.012))
        outer = hub + f32((sign * wide, 0.006, -0.003))
        lines.append((np.stack((outer, hinge, (ear + hinge) / 2, ear)), False))
    bridge = [(apart - wide, 0.003, AHEAD_M), (0, 0.005, AHEAD_M + 0.003),
              (wide - apart, 0.003, AHEAD_M)]  # fmt: skip
    lines.append((f32(middle) + f32(bridge), False))
    return _tubes(lines, thick)


def _rim(hub: Array, sign: float, wide: float, high: float, power: float) -> Array:
    """The outline of a lens around its middle [3], bent back at the temple: [POINTS, 3]."""
    turn = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
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
