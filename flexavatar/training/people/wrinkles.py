"""Lines that come with expressions: small reliefs and shades, each driven by ARKit weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from flexavatar.training.people.canvas import (
    Array,
    PaintCanvas,
    gaussian_spot,
    polyline_distance,
    smooth,
)
from flexavatar.training.people.noise import Field, f32, value_noise
from flexavatar.training.people.traits import Traits

Gains = dict[str, float]
SHARPEST = 1.6
"""Lines deepen faster than the face moves."""


@dataclass(frozen=True)
class Crease:
    """One group of lines of one person."""

    drive: Gains
    """ARKit names and how much each brings the lines out."""
    rest: float
    """How deep they are when the face rests, 0..1."""
    index: NDArray[np.int64]  # [N] texels
    slopes: Array  # [N, 3] tilt of the normal at their deepest
    shade: Array  # [N, 3] absorption at their deepest
    fades: Gains
    """ARKit names and how much each takes the lines away."""

    def depth(self, weights: Mapping[str, float]) -> float:
        """How deep they are in this face, 0..1.3."""
        asked = sum(gain * weights.get(name, 0.0) for name, gain in self.drive.items())
        gone = sum(share * weights.get(name, 0.0) for name, share in self.fades.items())
        deep = self.rest + (1 - self.rest) * float(np.clip(asked, 0, 1.3)) ** SHARPEST
        return deep * float(np.clip(1 - gone, 0, 1))


def side_gains(name: str, gain: float, side: str = "") -> Gains:
    """Either side's shape at half the gain, or that of one side."""
    if side:
        return {f"{name}{side}": gain}
    return {f"{name}Left": gain / 2, f"{name}Right": gain / 2}


def make_creases(canvas: PaintCanvas, traits: Traits) -> tuple[Crease, ...]:
    """All lines that this person's face has."""
    rng = np.random.default_rng((traits.seed, 2))
    maker = _CreaseMaker(canvas, traits, rng)
    maker.forehead()
    maker.frown()
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        maker.around_eye(side, sign)
        maker.cheek(side, sign)
        maker.nose(side, sign)
        maker.lid(side)
    maker.chin()
    maker.pucker()
    maker.colors()
    return tuple(maker.made)


class _CreaseMaker:
    """Draws lines on a canvas."""

    def __init__(self, canvas: PaintCanvas, traits: Traits, rng: Generator) -> None:
        self.canvas, self.traits, self.rng = canvas, traits, rng
        self.made: list[Crease] = []
        bare = canvas.skin & (canvas.masks["face"] > 0.02)
        self.bare = np.flatnonzero(bare)
        self.p = canvas.points[self.bare]
        self.age = traits.skin.age

    def add(self, drive: Gains, field: Field, depth_m: float, dark: float, rest: float) -> None:
        """Lines as a field of the bare texels, 1 in their middle: a groove, and its shade."""
        strength = self.traits.skin.lines * float(self.rng.uniform(0.6, 1.3))
        height = np.zeros(len(self.canvas), np.float32)
        height[self.bare] = -depth_m * strength * field
        slopes = self.canvas.tilt_of_relief(height)
        shade = np.outer(dark * strength * field, f32((0.75, 1.0, 1.05)))
        self.keep(drive, slopes[self.bare], shade, rest)

    def keep(
        self, drive: Gains, slopes: Array, shade: Field, rest: float, fades: Gains | None = None
    ) -> None:
        """Keep lines where they tilt or shade a texel at all."""
        seen = np.einsum("nk,nk->n", slopes, slopes) + np.einsum("nk,nk->n", shade, shade)
        used = seen > 0.006**2
        self.made.append(
            Crease(drive, float(np.clip(rest, 0, 1.0)), self.bare[used],
                   f32(slopes[used]), f32(shade[used]), fades or {})
        )  # fmt: skip

    def _groove(self, points: list[tuple[float, ...]], width_m: float, fade: float = 0.2) -> Array:
        """A groove along a polyline, thinning out at its ends: [N]."""
        line = np.array(points)
        jitter = self.rng.normal(0, 0.0006, line.shape)
        far, along = polyline_distance(self.p[:, : line.shape[1]], line + jitter)
        ends = smooth(along, 0, fade) * smooth(along, 1, 1 - fade)
        return np.exp(-((far / width_m) ** 2)) * (0.25 + 0.75 * ends)

    def forehead(self) -> None:
        """Level lines above the brows; either half follows its own brow."""
        x, y = self.p[:, 0], self.p[:, 1]
        count = int(self.rng.integers(2, 6))
        field = np.zeros(len(self.p), np.float32)
        for height in np.linspace(0.053, 0.078, count) + self.rng.normal(0, 0.0015, count):
            wave = 0.0025 * value_noise(self.p * f32((1, 0, 1)), 45, int(self.rng.integers(10**6)))
            arch = 0.003 * np.cos(np.abs(x) / 0.02)
            span = smooth(np.abs(x), 0.05, float(self.rng.uniform(0.02, 0.04)))
            field += np.exp(-(((y - height - arch - wave) / 0.0016) ** 2)) * span
        field *= self.p[:, 2] > 0.05
        rest = 0.55 * self.age**1.5
        middle = np.exp(-0.5 * (x / 0.018) ** 2)
        self.add({"browInnerUp": 1.0}, field * middle, 9e-4, 0.28, rest)
        for side, sign in (("Left", 1), ("Right", -1)):
            half = smooth(sign * x, 0.002, 0.022)
            drive = {f"browOuterUp{side}": 0.9, "browInnerUp": 0.25}
            self.add(drive, field * half, 9e-4, 0.26, rest)

    def frown(self) -> None:
        """One to three upright lines between the brows, and the bulge beside them."""
        offsets = {0: (0.0,), 1: (-0.0065, 0.0065), 2: (-0.008, 0.0, 0.0075)}
        field = np.zeros(len(self.p), np.float32)
        for x in offsets[int(self.rng.choice(3, p=(0.15, 0.65, 0.2)))]:
            tilt = float(self.rng.normal(0, 0.001)) + 0.15 * x
            field += self._groove([(x, 0.029), (x + tilt, 0.038), (x + 2 * tilt, 0.049)], 0.0017)
        self.add(side_gains("browDown", 1.0), field, 1.1e-3, 0.32, 0.5 * self.age**2)

    def around_eye(self, side: str, sign: float) -> None:
        """Crow's feet, and lines under the eye."""
        field = np.zeros(len(self.p), np.float32)
        for angle in np.linspace(-38, 32, int(self.rng.integers(3, 6))):
            angle = np.radians(angle + self.rng.normal(0, 5))
            long = float(self.rng.uniform(0.012, 0.022))
            start = np.array((0.0475, 0.0165)) + 0.004 * np.array((np.cos(angle), np.sin(angle)))
            end = start + long * np.array((0.75 * np.cos(angle), 1.1 * np.sin(angle)))
            curve = [tuple(start * (sign, 1)), tuple(end * (sign, 1))]
            field = np.maximum(field, self._groove(curve, 0.0012, 0.35))
        field *= self.p[:, 2] > 0.03
        drive = side_gains("eyeSquint", 0.5, side) | side_gains("cheekSquint", 0.7, side)
        drive |= side_gains("mouthSmile", 0.45, side) | side_gains("eyeBlink", 0.12, side)
        self.add(drive, field, 6e-4, 0.22, 0.45 * self.age**1.5)
        arcs = np.zeros(len(self.p), np.float32)
        for drop in self.rng.uniform(0.002, 0.009, 2):
            shape = [(0.018, 0.010), (0.026, 0.006), (0.036, 0.006), (0.046, 0.011)]
            arcs = np.maximum(arcs, self._groove([(sign * x, y - drop) for x, y in shape], 0.0012))
        drive = side_gains("eyeSquint", 0.7, side) | side_gains("cheekSquint", 0.8, side)
        self.add(drive, arcs, 6e-4, 0.2, 0.4 * self.age**1.5 + 0.1 * self.traits.skin.bags)

    def cheek(self, side: str, sign: float) -> None:
        """From nostril to mouth, the crescent outside it, dimple, and below the corner."""
        fold = [(0.0185, -0.020), (0.026, -0.030), (0.0325, -0.041), (0.036, -0.053)]
        field = self._groove([(sign * x, y) for x, y in fold], 0.0026)
        drive = side_gains("mouthSmile", 0.9, side) | side_gains("noseSneer", 0.6, side)
        drive |= side_gains("mouthUpperUp", 0.6, side) | side_gains("mouthStretch", 0.35, side)
        drive |= side_gains("mouthDimple", 0.4, side) | side_gains("cheekSquint", 0.3, side)
        self.add(drive, field, 1.9e-3, 0.34, 0.06 + 0.6 * self.age)
        outer = [(0.042, -0.022), (0.047, -0.036), (0.046, -0.052)]
        moon = self._groove([(sign * x, y) for x, y in outer], 0.0024)
        drive = side_gains("mouthSmile", 1.0, side)
        self.add(drive, moon * float(self.rng.uniform(0, 1)), 1e-3, 0.2, 0.25 * self.age**2)
        spot = gaussian_spot(self.p, (sign * 0.0385, -0.048), 0.0028) * float(
            self.rng.uniform() ** 2
        )
        drive = side_gains("mouthDimple", 0.9, side) | side_gains("mouthSmile", 0.6, side)
        self.add(drive, spot, 1.5e-3, 0.3, 0.0)
        down = [(0.029, -0.055), (0.033, -0.064), (0.035, -0.075)]
        drop = self._groove([(sign * x, y) for x, y in down], 0.0022)
        drive = side_gains("mouthFrown", 0.9, side) | side_gains("mouthStretch", 0.5, side)
        drive |= {"mouthShrugLower": 0.3}
        self.add(drive, drop, 1.3e-3, 0.28, 0.5 * self.age**1.5)

    def nose(self, side: str, sign: float) -> None:
        """Bunny lines."""
        field = np.zeros(len(self.p), np.float32)
        for rise in (0.0, 0.0045, 0.009):
            curve = [(sign * 0.004, 0.010 + rise), (sign * 0.010, 0.006 + rise),
                     (sign * 0.015, -0.001 + rise)]  # fmt: skip
            field = np.maximum(field, self._groove(curve, 0.0011))
        drive = side_gains("noseSneer", 1.0, side) | side_gains("cheekSquint", 0.15, side)
        self.add(drive, field, 7e-4, 0.24, 0.0)

    def lid(self, side: str) -> None:
        """The crease above an open eye; a closed lid is smooth."""
        head = self.canvas.head
        rim = head.template[head.rings[f"{side.lower()}_upper_lid_crease"]].numpy()
        rise = np.sin(np.linspace(0.1, np.pi - 0.1, len(rim)))[:, None] * f32((0, 0.0016, 0))
        far, _ = polyline_distance(self.p, rim + rise)
        line = np.exp(-((far / 0.0011) ** 2))
        tone = np.outer(line * self.traits.eyes.crease, f32((0.55, 0.7, 0.7)))
        height = np.zeros(len(self.canvas), np.float32)
        height[self.bare] = -5e-4 * self.traits.eyes.crease * line
        fades = {f"eyeBlink{side}": 1.3, f"eyeLookDown{side}": 0.4}
        self.keep({}, self.canvas.tilt_of_relief(height)[self.bare], tone, 1.0, fades)

    def chin(self) -> None:
        """Orange peel, and the line under the lower lip."""
        where = gaussian_spot(self.p, (0, -0.079), (0.013, 0.008))
        cells = np.clip(value_noise(self.p, 330, int(self.rng.integers(10**6))), 0, 1)
        drive = {"mouthShrugLower": 0.9, "mouthRollLower": 0.3} | side_gains("mouthFrown", 0.5)
        self.add(drive, where * cells, 7e-4, 0.25, 0.05)
        under = self._groove([(-0.014, -0.0695), (0, -0.0675), (0.014, -0.0695)], 0.0026)
        self.add({"mouthShrugLower": 0.9, "mouthRollLower": 0.4}, under, 1.2e-3, 0.22, 0.15)

    def pucker(self) -> None:
        """Lines that run from the red of the lips outwards."""
        arm = self.p[:, :2] - f32((0, -0.0525))
        turn = np.arctan2(arm[:, 1] * 1.4, arm[:, 0])
        far = np.hypot(arm[:, 0] / 1.55, arm[:, 1])
        turn = turn + 0.15 * value_noise(self.p, 120, int(self.rng.integers(10**6)))
        rays = np.clip(np.cos(turn * int(self.rng.integers(20, 30))), 0, 1) ** 2
        ring = smooth(far, 0.006, 0.011) * smooth(far, 0.021, 0.014)
        drive = {"mouthPucker": 1.0, "mouthFunnel": 0.35, "mouthClose": 0.3}
        drive |= side_gains("mouthPress", 0.3)
        field = rays * ring * (self.p[:, 2] > 0.08)
        self.add(drive, field, 5e-4, 0.2, 0.35 * max(self.age - 0.4, 0))

    def colors(self) -> None:
        """Blood: pressed out of stretched lips, into puffed cheeks; lids are darker when closed."""
        flat = np.zeros((len(self.p), 3), np.float32)
        lips = self.canvas.masks["lips"][self.bare] * gaussian_spot(
            self.p, (0, -0.0525), (0.03, 0.009)
        )
        pale = np.outer(lips, f32((-0.02, -0.22, -0.2)))
        gains = side_gains("mouthStretch", 0.8) | side_gains("mouthSmile", 0.5)
        self.keep(gains | side_gains("mouthPress", 0.8), flat, pale, 0.0)
        sides = np.abs(self.p[:, :2]) * f32((1, -1))
        cheeks = gaussian_spot(sides, (0.042, 0.035), (0.016, 0.017))
        red = np.outer(cheeks, f32((0.0, 0.22, 0.18)))
        self.keep({"cheekPuff": 1.0}, flat, red, 0.0)
        for side, sign in (("Left", 1), ("Right", -1)):
            lid = gaussian_spot(self.p, (sign * 0.031, 0.0225, 0.09), (0.012, 0.004, 0.012))
            dark = np.outer(lid, f32((0.12, 0.17, 0.14)))
            self.keep({f"eyeBlink{side}": 1.0}, flat, dark, 0.0)
