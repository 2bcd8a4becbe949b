"""The colour of every place on a synthetic person, painted in the space of ICT's template."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flexavatar.evaluation.people.hair import above_hairline, azimuth
from flexavatar.evaluation.people.noise import fractal_noise, value_noise
from flexavatar.evaluation.people.person import Appearance
from flexavatar.evaluation.people.rig import (
    EYE,
    FACE_SKIN,
    GUMS,
    HAIR,
    LASH,
    MOUTH,
    TEETH,
    Array,
    IctRig,
)
from flexavatar.render.light import Color
from flexavatar.rigs.ict import EYE_SHELLS

PALE = np.array((0.74, 0.50, 0.39))
ABSORBED = np.array((1.85, 2.3, 2.45))
"""By melanin 1: pale skin is darkened by exp(-ABSORBED)."""
LIP = np.array((0.62, 0.27, 0.26))
"""What lips multiply skin by, at their reddest."""
UPPER_LIP_M, LOWER_LIP_M = 0.0094, 0.0102
"""From where the lips turn inwards to the border of the red, in the middle."""
BROW_X = (0.010, 0.018, 0.030, 0.040, 0.053)
BROW_Y = (0.0505, 0.0530, 0.0570, 0.0575, 0.0520)
BROW_HALF = (0.0014, 0.0036, 0.0038, 0.0028, 0.0008)
"""Metres: a brow's line over the template, and half its thickness."""
IRIS_M, PUPIL_M = 0.0060, 0.0021


@dataclass(frozen=True)
class Paint:
    """Material of N places."""

    albedo: Array  # [N, 3] linear
    gloss: Array  # [N] strength of the mirror part
    sharp: Array  # [N] its exponent


class Painter:
    """Paints one appearance on ICT's template."""

    def __init__(self, rig: IctRig, appearance: Appearance) -> None:
        self.rig, self.appearance = rig, appearance

    def paint(self, rest: Array, part: NDArray[np.int8]) -> Paint:
        """Colour of template places [N, 3] on these parts [N]."""
        count = len(rest)
        albedo, gloss, sharp = np.zeros((count, 3)), np.zeros(count), np.full(count, 20.0)
        brushes = {
            FACE_SKIN: self._skin, MOUTH: self._inside, GUMS: self._inside, TEETH: self._teeth,
            EYE: self._eyes, HAIR: self._hair, LASH: self._lashes,
        }  # fmt: skip
        for kind, brush in brushes.items():
            here = part == kind
            if here.any():
                albedo[here], gloss[here], sharp[here] = brush(rest[here])
        return Paint(albedo.clip(0, 1), gloss, sharp)

    def _skin(self, p: Array) -> tuple[Array, Array, float]:
        """Skin, and what is drawn on it: lips, brows, stubble, hair, clothes."""
        appearance = self.appearance
        color = self._bare_skin(p)
        lips = self._lip_share(p)[:, None]
        color = color * (1 - lips * (1 - LIP ** (0.35 + 0.65 * appearance.lips)))
        gloss = 0.022 + 0.03 * lips[:, 0]
        color = _blend(color, appearance.hair, 0.8 * self._brow_share(p))
        rim = self._lid_line(p)
        color = color * (1 - np.array((0.72, 0.78, 0.8)) * rim[:, None])
        above = above_hairline(p, appearance)
        hair = np.clip(0.5 + above / 0.003, 0, 1)
        color = color * (1 - hair[:, None]) + hair[:, None] * self._hair(p)[0]
        cloth = np.clip((self._collar(p) - p[:, 1]) / 0.0008, 0, 1)
        weave = 1 + 0.25 * value_noise(p * (2500, 900, 2500), appearance.seed + 9)
        color = color * (1 - cloth[:, None]) + cloth[:, None] * np.outer(weave, appearance.cloth)
        gloss = gloss * (1 - np.maximum(hair, cloth)) + 0.03 * hair
        return color, gloss, 14.0

    def _bare_skin(self, p: Array) -> Array:
        appearance, seed = self.appearance, self.appearance.seed
        tone = PALE * np.exp(-ABSORBED * appearance.melanin)
        blotch = fractal_noise(p * 90, seed)
        pores = fractal_noise(p * 1400, seed + 1)
        color = tone * (1 + 0.07 * blotch + 0.08 * pores)[:, None]
        spots = np.clip(fractal_noise(p * 420, seed + 2) - 0.42, 0, 1) * 3.0
        color *= np.exp(-np.outer(spots * appearance.freckles, (0.35, 0.75, 1.0)))
        color *= np.exp(-np.outer(appearance.flush * self._flush(p), (0.02, 0.34, 0.28)))
        color *= np.exp(-np.outer(self._shade_under_eyes(p), (0.22, 0.28, 0.22)))
        patchy = 0.55 + 0.45 * value_noise(p * 1100, seed + 3)
        beard = np.clip(appearance.stubble * self._beard(p) * patchy, 0, 1)
        return _blend(color, tuple(0.6 * np.array(appearance.hair) + 0.015), 0.62 * beard)

    def _flush(self, p: Array) -> Array:
        """Where blood shows: cheeks, tip of the nose, ears."""
        cheeks = _blob(np.abs(p[:, :2]) - (0.043, -0.002), 0.02)
        nose = _blob(p[:, :2] - (0, 0.0), 0.012) * (p[:, 2] > 0.1)
        ears = np.clip((np.abs(p[:, 0]) - 0.076) / 0.006, 0, 1) * (p[:, 1] > -0.03)
        return cheeks * (p[:, 2] > 0.03) + nose + 0.8 * ears

    def _shade_under_eyes(self, p: Array) -> Array:
        below = (np.abs(p[:, :2]) * (1, 0) + p[:, :2] * (0, 1) - (0.030, 0.022)) / (1.6, 0.8)
        return _blob(below, 0.009) * (p[:, 2] > 0.05)

    def _beard(self, p: Array) -> Array:
        """Where men shave: chin, jaw and upper lip."""
        jaw = np.clip((-0.006 - 0.30 * np.abs(p[:, 0]) - p[:, 1]) / 0.012, 0, 1)
        neck = np.clip((p[:, 1] + 0.105) / 0.015, 0, 1)
        return jaw * neck * np.clip((80 - azimuth(p)) / 15, 0, 1)

    @cached_property
    def _lip_tree(self) -> tuple[cKDTree, NDArray[np.bool_]]:
        """The lips' inner line and which of its points are on the upper lip."""
        rim = self.rig.template[self.rig.lip_rim]
        middle = np.interp(rim[:, 0], *_midline(rim))
        return cKDTree(rim), rim[:, 1] > middle

    def _lip_share(self, p: Array) -> Array:
        """1 on the red of the lips, 0 off it."""
        tree, upper = self._lip_tree
        share = np.zeros(len(p))
        near = (np.abs(p[:, 0]) < 0.033) & (np.abs(p[:, 1] + 0.034) < 0.03) & (p[:, 2] > 0.08)
        if not near.any():
            return share
        distance, index = tree.query(p[near])
        x = np.abs(p[near, 0]) / 0.028
        fall = np.clip(1 - x**2.2, 0, 1) ** 0.7
        bow = 1 - 0.12 * np.exp(-((x / 0.16) ** 2))
        reach = np.where(upper[index], UPPER_LIP_M * bow, LOWER_LIP_M) * fall + 0.001
        share[near] = np.clip((reach - distance) / 0.0012 + 0.5, 0, 1)
        return share

    def _brow_share(self, p: Array) -> Array:
        x = np.abs(p[:, 0])
        line = np.interp(x, BROW_X, BROW_Y)
        half = np.interp(x, BROW_X, BROW_HALF, left=0.0, right=0.0) * self.appearance.brows
        edge = half - np.abs(p[:, 1] - line)
        slanted = p * (700, 1900, 300) + x[:, None] * (0, 900, 0)
        strands = value_noise(slanted, self.appearance.seed + 4)
        share = np.clip(edge / 0.0022 + 0.35 + 0.45 * strands, 0, 1)
        ends = (x > BROW_X[0] - 0.001) & (x < BROW_X[-1] + 0.002)
        return share * (edge > -0.002) * ends * (p[:, 2] > 0.05)

    @cached_property
    def _lid_tree(self) -> cKDTree:
        return cKDTree(self.rig.template[np.concatenate(self.rig.lid_rims)])

    def _lid_line(self, p: Array) -> Array:
        """The dark line at the roots of the lashes."""
        share = np.zeros(len(p))
        near = (p[:, 2] > 0.07) & (np.abs(p[:, 1] - 0.036) < 0.02)
        if near.any():
            share[near] = np.clip(1 - self._lid_tree.query(p[near])[0] / 0.0030, 0, 1)
        return 0.9 * share

    def _collar(self, p: Array) -> Array:
        """Height of the collar, higher at the nape: [N]."""
        return -0.128 + self.appearance.neckline - 0.22 * p[:, 2]

    def _hair(self, p: Array) -> tuple[Array, float, float]:
        """Strands that run down from the crown."""
        turn = np.radians(azimuth(p))[:, None] * np.sign(p[:, :1])
        lanes = np.concatenate((turn * 45, p[:, 1:2] * 22, p[:, 2:] * 22), 1)
        strand = fractal_noise(lanes, self.appearance.seed + 5, 3)
        fine = value_noise(lanes * (7, 1.5, 1.5), self.appearance.seed + 6)
        shade = np.exp(0.45 * strand + 0.35 * fine)
        return np.outer(shade, self.appearance.hair), 0.05, 12.0

    def _lashes(self, p: Array) -> tuple[Array, float, float]:
        return np.tile(0.5 * np.array(self.appearance.hair).clip(0, 0.05), (len(p), 1)), 0.0, 10.0

    def _inside(self, p: Array) -> tuple[Array, float, float]:
        """Gums, tongue and cheeks from within."""
        wet = np.array((0.36, 0.13, 0.12)) * (1 + 0.1 * fractal_noise(p * 300, 3))[:, None]
        return wet, 0.06, 40.0

    def _teeth(self, p: Array) -> tuple[Array, float, float]:
        ivory = np.array((0.72, 0.66, 0.55)) * (1 + 0.04 * fractal_noise(p * 250, 4))[:, None]
        return ivory, 0.12, 60.0

    def _eyes(self, p: Array) -> tuple[Array, float, float]:
        """Sclera, iris and pupil, by distance from the eye's axis."""
        left, right = (self.rig.template[shell] for shell in EYE_SHELLS)
        color = np.zeros_like(p)
        for shell, here in ((left, p[:, 0] > 0), (right, p[:, 0] <= 0)):
            apex = shell[shell[:, 2].argmax()]
            arm = p[here] - apex
            away = np.hypot(arm[:, 0], arm[:, 1])
            front = p[here, 2] > shell[:, 2].mean()
            color[here] = self._eye(away, np.arctan2(arm[:, 1], arm[:, 0]), front)
        return color, 0.09, 900.0

    def _eye(self, away: Array, angle: Array, front: NDArray[np.bool_]) -> Array:
        spokes = np.stack((angle * 9, away * 500, 0 * away), 1)
        shade = 1 + 0.45 * fractal_noise(spokes, self.appearance.seed + 7)
        iris = np.outer(shade, self.appearance.iris)
        limbus = np.clip((away - 0.8 * IRIS_M) / (0.25 * IRIS_M), 0, 1)[:, None]
        iris *= 1 - 0.75 * limbus
        iris *= np.clip((away - PUPIL_M) / 0.0003 + 0.5, 0, 1)[:, None]
        white = np.array((0.60, 0.56, 0.53)) - 0.07 * np.clip(away / 0.012, 0, 1)[:, None]
        outside = np.clip((away - IRIS_M) / 0.0006 + 0.5, 0, 1)[:, None]
        outside = np.where(front[:, None], outside, 1.0)
        return iris * (1 - outside) + white * outside


def _blend(color: Array, paint: Color | tuple[float, ...], share: Array) -> Array:
    return color * (1 - share[:, None]) + share[:, None] * np.array(paint)


def _blob(offset: Array, size: float) -> Array:
    """A soft spot: [N, 2] offsets -> [N]."""
    return np.exp(-(offset**2).sum(1) / (2 * size**2))


def _midline(rim: Array) -> tuple[Array, Array]:
    """The line between upper and lower rim points: x rising, and y."""
    x = np.linspace(rim[:, 0].min(), rim[:, 0].max(), 15)
    reach = 0.75 * (x[1] - x[0])
    near = [rim[np.abs(rim[:, 0] - at) < reach, 1] for at in x]
    return x, np.array([0.5 * (ys.min() + ys.max()) if len(ys) else np.nan for ys in near])
