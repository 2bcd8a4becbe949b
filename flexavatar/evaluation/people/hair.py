"""Hair: where it grows on ICT's template, how far it stands off, and what hangs down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flexavatar.easing import smoothstep
from flexavatar.evaluation.people.noise import fractal_noise
from flexavatar.evaluation.people.person import Appearance
from flexavatar.evaluation.people.rig import FACE_SKIN, Array, Index

AXIS_Z = 0.015
"""Metres; the upright axis through the middle of the head, for azimuths."""
LINE_DEG = (0, 25, 45, 62, 74, 84, 100, 112, 122, 150, 180)
LINE_M = (0.098, 0.097, 0.086, 0.062, 0.012, 0.014, 0.053, 0.045, -0.012, -0.042, -0.05)
"""The hairline: its height by azimuth from the front, around ear and nape."""
EDGE_M = 0.028
"""Over which hair reaches its full depth."""
ROWS, COLUMNS = 26, 72
CURTAIN_FROM_DEG = 84.0
CURTAIN_TOP_M = 0.105
NECK_M = -0.08
"""Below this nothing pushes hair outwards: it hangs in front of the shoulders."""


def azimuth(points: Array) -> Array:
    """Degrees from straight ahead, to either side: [N, 3] -> [N]."""
    return np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - AXIS_Z))


def above_hairline(rest: Array, appearance: Appearance) -> Array:
    """Metres above the hairline of template points [N, 3], ragged like hair: [N]."""
    line = np.interp(azimuth(rest), LINE_DEG, LINE_M)
    front = np.clip(1 - azimuth(rest) / 70, 0, 1)
    ragged = 0.003 * fractal_noise(rest * 400, appearance.seed)
    ragged += 0.004 * fractal_noise(rest * 60, 7)
    above = rest[:, 1] - line - front * appearance.hairline + ragged
    return np.where(is_ear(rest), -0.02, above)


def is_ear(rest: Array) -> NDArray[np.bool_]:
    """Whether template points stand off the side of the head: [N]."""
    return (np.abs(rest[:, 0]) > 0.079) & (rest[:, 1] < 0.042) & (rest[:, 2] > -0.035)


def hair_height(template: Array, part: NDArray[np.int8], appearance: Appearance) -> Array:
    """How far each template vertex is lifted along its normal: [V] metres."""
    share = smoothstep(above_hairline(template, appearance), 0.0, EDGE_M)
    lumps = 1 + 0.25 * fractal_noise(template * 35, appearance.seed + 50)
    rise = appearance.hair_depth * lumps * share
    return np.where(part == FACE_SKIN, rise, 0)


def hanging_hair(
    template: Array, neutral: Array, part: NDArray[np.int8], appearance: Appearance
) -> tuple[Array, Array, Index]:
    """Hair that hangs over ears and nape: vertices, their template places, faces.

    A sheet around sides and back that starts inside the hair of the crown; empty for short hair.
    """
    if not appearance.hair_length:
        return np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    turn = np.linspace(CURTAIN_FROM_DEG, 360 - CURTAIN_FROM_DEG, COLUMNS)
    drop = np.linspace(CURTAIN_TOP_M, -0.02 - appearance.hair_length, ROWS)
    angle, height = np.meshgrid(np.radians(turn), drop)
    solid = (part == FACE_SKIN) & ~is_ear(template) & (template[:, 1] > NECK_M)
    radius = _reach(neutral[solid], turn, drop)
    wave = 0.004 * fractal_noise(np.stack((angle * 9, height * 25, 0 * angle), -1).reshape(-1, 3),
                                 appearance.seed + 60).reshape(radius.shape)  # fmt: skip
    edge = np.minimum(turn, 360 - turn) - CURTAIN_FROM_DEG
    tuck = 0.03 * np.clip((height - 0.05) / 0.055, 0, 1) + 0.02 * np.clip(1 - edge / 12, 0, 1)
    radius = radius + wave - tuck
    vertices = np.stack(
        (radius * np.sin(angle), height, AXIS_Z + radius * np.cos(angle)), -1
    ).reshape(-1, 3)
    cell = np.arange((ROWS - 1) * COLUMNS).reshape(ROWS - 1, COLUMNS)[:, :-1].reshape(-1, 1)
    halves = np.array(((0, COLUMNS, 1), (1, COLUMNS, COLUMNS + 1)))
    faces = np.concatenate([cell + half for half in halves])
    return vertices, vertices, faces


def _reach(points: Array, turn: Array, drop: Array) -> Array:
    """Distance from the axis that clears the head, never less than higher up: [ROWS, COLUMNS]."""
    around = np.degrees(np.arctan2(points[:, 0], points[:, 2] - AXIS_Z)) % 360
    away = np.hypot(points[:, 0], points[:, 2] - AXIS_Z)
    reach = np.zeros((len(drop), len(turn)))
    for i, height in enumerate(drop):
        band = np.abs(points[:, 1] - height) < 0.012
        for j, direction in enumerate(turn):
            near = band & (np.abs(around - direction) < 9)
            reach[i, j] = away[near].max(initial=0.0)
    return np.maximum.accumulate(reach, axis=0)
