"""The eyeballs as photos show them: where they look, and the colours of iris and white.

An iris is a disc whose colour depends on the distance from its middle. What lids shade and what it
mirrors belongs to neither it nor the white, and is left out here: see `eyeball`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.portrait import Portrait
from flexavatar.create.pixels import SHUT, polygon_mask, sample_bilinear
from flexavatar.easing import smoothstep
from flexavatar.head.flame import FlameHead
from flexavatar.render.camera import project
from flexavatar.types import Camera

SIDES = ("left", "right")
JOINTS = {"left": 3, "right": 4}
OUTLINES = {"left": topology.LEFT_EYE, "right": topology.RIGHT_EYE}
LUMINANCE = torch.tensor([0.3, 0.6, 0.1])
SCLERA, IRIS = (0.80, 0.77, 0.75), (0.26, 0.18, 0.13)
"""Colours where no photo shows an eye."""
PUPIL, PUPIL_COLOR = 0.38, 0.04
"""Its share of the iris's radius in ordinary light, and its grey."""
LIMBUS = (0.93, 1.07)
"""Radii over which iris turns into white."""
RING = 0.62
"""Lightness of the limbal ring beside the iris's middle."""
CLEAR_PX = (4.0, 9.0)
"""Radius of an iris in the photo's own pixels from which its profile is believed, in part and
wholly; below, blur has mixed pupil, iris and white."""
RINGS, AROUND = 11, 48
"""Samples of the profile, and directions that each is the median of."""
FEWEST = 8
"""Samples that say a colour."""
SEARCH = np.linspace(-0.14, 0.14, 15)
"""Radians that the tracked gaze may be off."""
LEASH = 2.0
"""How much contrast a radian squared costs: where there is nothing to see the gaze stays."""


@dataclass(frozen=True)
class Eyeball:
    """A sphere that has turned."""

    centre: Tensor  # [3] head frame, metres
    rotmat: Tensor  # [3, 3] from the neutral eye
    radius: float

    @property
    def iris_angle(self) -> float:
        """Radians between the optical axis and the iris's rim."""
        return float(np.arcsin(min(topology.IRIS_RADIUS / self.radius, 0.99)))

    def points(self, directions: Tensor) -> Tensor:
        """On its surface, by unit directions in the neutral eye: [N, 3] -> [N, 3]."""
        return self.centre + self.radius * directions @ self.rotmat.T

    def iris_radii(self, points: Tensor) -> Tensor:
        """How far from the iris's middle points [N, 3] are, in its radii: [N]."""
        arms = (points - self.centre) @ self.rotmat
        return torch.atan2(arms[:, :2].norm(dim=-1), arms[:, 2]) / self.iris_angle


@dataclass(frozen=True)
class EyeView:
    """One eye in one photo."""

    portrait: Portrait
    camera: Camera
    side: str
    ball: Eyeball
    opening: Tensor  # [S, S] 1 between the lids, a pixel of rim left out; nothing of a shut eye

    @property
    def metres_per_pixel(self) -> float:
        """At the eye."""
        return float(project(self.camera, self.ball.centre)[2] / self.camera.K[0, 0])

    def pixels(self) -> tuple[Tensor, Tensor]:
        """What is between the lids: places [N, 2] in pixels, colours [N, 3]."""
        ys, xs = self.opening.nonzero().T
        return torch.stack((xs, ys), 1) + 0.5, torch.from_numpy(self.portrait.rgb)[ys, xs]

    def on_ball(self, pixels: Tensor) -> Tensor:
        """Where the sight through pixels [N, 2] meets the eyeball, or passes nearest: [N, 3]."""
        rotation, shift = self.camera.viewmat[:3, :3], self.camera.viewmat[:3, 3]
        rays = (pixels - self.camera.K[:2, 2]) / self.camera.K.diagonal()[:2]
        rays = torch.cat((rays, torch.ones_like(rays[:, :1])), 1) @ rotation
        rays = torch.nn.functional.normalize(rays, dim=-1)
        origin = -rotation.T @ shift
        along = ((self.ball.centre - origin) * rays).sum(-1)
        miss = (origin + along[:, None] * rays - self.ball.centre).norm(dim=-1)
        depth = along - (self.ball.radius**2 - miss**2).clamp_min(0).sqrt()
        return origin + depth[:, None] * rays

    def sample(self, radii: Tensor, angles: Tensor) -> Tensor:
        """Colours at polar places of the iris that are seen between the lids: [N] -> [M, 3]."""
        directions = iris_directions(radii, angles, self.ball.iris_angle)
        pixels = project(self.camera, self.ball.points(directions))[:, :2]
        inside = sample_bilinear(self.opening, pixels) > 0.5
        return sample_bilinear(torch.from_numpy(self.portrait.rgb), pixels[inside])


@dataclass(frozen=True)
class Iris:
    """The colours of a pair of eyes."""

    profile: Tensor  # [P, 3] from the middle to the rim, evenly spaced
    white: Tensor  # [3]

    def colors(self, radii: Tensor) -> Tensor:
        """By distance from the middle in radii of the iris: [N] -> [N, 3]."""
        last = len(self.profile) - 1
        at = (radii * last).clamp(0, last)
        low = at.long().clamp_max(last - 1)
        iris = torch.lerp(self.profile[low], self.profile[low + 1], (at - low)[:, None])
        return torch.lerp(iris, self.white, smoothstep(radii, *LIMBUS)[:, None])


def eyeball_of(head: FlameHead, neutral: Tensor, vertices: Tensor, side: str) -> Eyeball:
    """An eyeball of a posed head: neutral and posed vertices [V, 3]; it moves rigidly."""
    own = head.masks[f"{side[0]}eye"] > 0.5
    arms = neutral[own] - head.joints(neutral)[JOINTS[side]]
    moved, middle = vertices[own], arms.mean(0)
    u, _, v = torch.linalg.svd((moved - moved.mean(0)).T @ (arms - middle))
    turn = u @ torch.diag(torch.tensor([1.0, 1.0, float(torch.det(u @ v))])) @ v
    return Eyeball(moved.mean(0) - turn @ middle, turn, float(arms.norm(dim=-1).median()))


def eye_view(portrait: Portrait, camera: Camera, ball: Eyeball, side: str) -> EyeView:
    """A photo of one eye of a posed head."""
    ring = portrait.face.points[list(OUTLINES[side]), :2]
    opening = cv2.erode(polygon_mask(ring, len(portrait.matte), 3), np.ones((3, 3), np.uint8))
    shut = portrait.face.scores[f"eyeBlink{side.capitalize()}"] > SHUT
    return EyeView(portrait, camera, side, ball, torch.from_numpy(opening).float() * (not shut))


def iris_directions(radii: Tensor, angles: Tensor, iris_angle: float) -> Tensor:
    """Unit directions in the neutral eye, by radii of the iris and angles around it: [N, 3]."""
    away = radii * iris_angle
    return torch.stack((away.sin() * angles.cos(), away.sin() * angles.sin(), away.cos()), -1)


def gaze_error(eye: EyeView) -> tuple[float, float]:
    """Pitch and yaw, radians, by which an eye has to turn further to look as in its photo.

    Landmarks are a pixel off, and that is a third of a small iris. The turn is searched for that
    makes the step from iris to white largest between the lids; 0 where nothing is seen.
    """
    pitch, yaw = torch.cartesian_prod(*(torch.from_numpy(SEARCH).float(),) * 2).unbind(-1)
    turned = eye.ball.rotmat @ _turns(pitch, yaw)
    white, rim = (_ring_light(eye, turned, radii) for radii in ((1.1, 1.25), (0.55, 0.75, 0.9)))
    score = white - rim - LEASH * (pitch**2 + yaw**2)
    best = int(score.nan_to_num(-torch.inf).argmax())
    if score[best].isnan():
        return 0.0, 0.0
    return float(pitch[best]), float(yaw[best])


def _ring_light(eye: EyeView, turned: Tensor, radii: Sequence[float]) -> Tensor:
    """Mean luminance of rings between the lids, as an eye of each turn would show them: [N, 3, 3]
    -> [N]; not a number where too little is seen.
    """
    angles = torch.arange(32) * (2 * np.pi / 32)
    ring = torch.tensor(radii).repeat_interleave(len(angles))
    directions = iris_directions(ring, angles.repeat(len(radii)), eye.ball.iris_angle)
    points = eye.ball.centre + eye.ball.radius * directions @ turned.mT
    pixels = project(eye.camera, points.flatten(0, 1))[:, :2]
    inside = sample_bilinear(eye.opening, pixels) > 0.5
    light = sample_bilinear(torch.from_numpy(eye.portrait.rgb), pixels) @ LUMINANCE
    share, light = (x.view(len(turned), -1) for x in (inside.float(), light))
    count = share.sum(1)
    return torch.where(count < FEWEST, torch.nan, (light * share).sum(1) / count)


def _turns(pitch: Tensor, yaw: Tensor) -> Tensor:
    """About x, then about y: radians [N], [N] -> [N, 3, 3]."""
    none, one = torch.zeros_like(pitch), torch.ones_like(pitch)
    (cx, sx), (cy, sy) = (pitch.cos(), pitch.sin()), (yaw.cos(), yaw.sin())
    about_x = torch.stack((one, none, none, none, cx, -sx, none, sx, cx), -1)
    about_y = torch.stack((cy, none, sy, none, one, none, -sy, none, cy), -1)
    return about_y.unflatten(-1, (3, 3)) @ about_x.unflatten(-1, (3, 3))


def measure_iris(eyes: Sequence[EyeView]) -> Iris:
    """A person's eyes over all photos: what open eyes show, and anatomy where they are small."""
    white, iris = _typical_colors(eyes)
    radii = torch.linspace(0, 1, RINGS)
    middle = iris * torch.lerp(torch.tensor(1.1), torch.tensor(0.85), radii)[:, None]
    ring = 1 - (1 - RING) * smoothstep(radii, 0.78, 1.0)[:, None]
    outside = smoothstep(radii, PUPIL - 0.07, PUPIL + 0.07)[:, None]
    anatomy = torch.lerp(torch.full((3,), PUPIL_COLOR), middle * ring, outside)
    seen, belief = _profile(eyes, radii)
    seen = torch.where((radii < PUPIL - 0.1)[:, None], torch.minimum(seen, 0.5 * iris), seen)
    return Iris(torch.lerp(anatomy, seen, belief[:, None]), white)


def _typical_colors(eyes: Sequence[EyeView]) -> tuple[Tensor, Tensor]:
    """The lighter half of the white and the middle of the iris: [3] each."""
    whites, irises = [torch.zeros(0, 3)], [torch.zeros(0, 3)]
    for eye in eyes:
        pixels, colors = eye.pixels()
        radii = eye.ball.iris_radii(eye.on_ball(pixels))
        whites.append(colors[radii > 1.25])
        irises.append(colors[(radii > 0.5) & (radii < 0.85)])
    white, iris = torch.cat(whites), torch.cat(irises)
    sclera = torch.tensor(SCLERA)
    if len(white) >= FEWEST:
        light = white.sum(1)
        sclera = (1.05 * white[light >= light.quantile(0.5)].median(0).values).clamp(0, 0.92)
    return sclera, iris.median(0).values if len(iris) >= FEWEST else torch.tensor(IRIS)


def _profile(eyes: Sequence[EyeView], radii: Tensor) -> tuple[Tensor, Tensor]:
    """Median colours of rings [P, 3], mirrored lamps left out, and how far to believe them [P]."""
    found: list[list[Tensor]] = [[torch.zeros(0, 3)] for _ in radii]
    angles = torch.arange(AROUND) * (2 * np.pi / AROUND)
    clear = 0.0
    for eye in eyes:
        pixels = topology.IRIS_RADIUS / eye.metres_per_pixel / max(1.0, eye.portrait.crop_scale)
        clear = max(clear, (pixels - CLEAR_PX[0]) / (CLEAR_PX[1] - CLEAR_PX[0]))
        for ring, radius in zip(found, radii, strict=True):
            ring.append(eye.sample(radius.expand(AROUND), angles))
    rows = [torch.cat(ring) for ring in found]
    medians = torch.stack([_darker_median(row) for row in rows])
    return medians, torch.tensor([min(clear, 1.0) * (len(row) >= FEWEST) for row in rows])


def _darker_median(colors: Tensor) -> Tensor:
    """Of the darker seven tenths, without mirrored lamps: [N, 3] -> [3]; 0 of nothing."""
    if not len(colors):
        return torch.zeros(3)
    light = colors @ LUMINANCE
    return colors[light <= light.quantile(0.7)].median(0).values
