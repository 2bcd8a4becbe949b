"""Colours of what a photo shows little of: eyeballs, teeth, tongue and the mouth's walls.

Every avatar owns them. Sclera, iris and skin are measured in the photos; the rest is anatomy,
tinted by the photo's light. What the photos do show is laid over it afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.portrait import Portrait
from flexavatar.create.pixels import PUPIL_SHARE, eye_pixels
from flexavatar.easing import smoothstep
from flexavatar.head.flame import FlameHead
from flexavatar.head.texels import Texels, Zone, texel_points_and_normals

TYPICAL_SKIN = 0.55
"""Luminance of skin in a well lit portrait; a darker photo darkens the mouth likewise."""
TEETH = (0.80, 0.76, 0.68)
TONGUE = (0.62, 0.33, 0.32)
CAVITY = (0.22, 0.08, 0.08)
SCLERA = (0.80, 0.77, 0.75)
IRIS = (0.26, 0.18, 0.13)

Color = NDArray[np.float32]


@dataclass(frozen=True)
class EyeColors:
    """One eye's colours, RGB 0..1."""

    sclera: Color
    iris: Color


def measure_eyes(portraits: Sequence[Portrait]) -> EyeColors:
    """Typical sclera and iris over both eyes and all photos; anatomy's means if eyes are shut."""
    whites: list[Color] = []
    irises: list[Color] = []
    for portrait in portraits:
        for iris, outline in (
            (topology.LEFT_IRIS, topology.LEFT_EYE),
            (topology.RIGHT_IRIS, topology.RIGHT_EYE),
        ):
            white, coloured = eye_pixels(portrait, iris, outline)
            whites.append(portrait.rgb[white])
            irises.append(portrait.rgb[coloured])
    white, coloured = np.concatenate(whites), np.concatenate(irises)
    sclera, iris = np.array(SCLERA, np.float32), np.array(IRIS, np.float32)
    if len(white) >= 6:
        light = white.sum(1)
        bright = white[light >= np.quantile(light, 0.5)]
        sclera = np.clip(np.median(bright, 0) * 1.05, 0, 0.92)
    if len(coloured) >= 6:
        iris = np.median(coloured, 0)
    return EyeColors(sclera.astype(np.float32), iris.astype(np.float32))


def paint_eyes_and_mouth(
    colors: Tensor, texels: Texels, head: FlameHead, neutral: Tensor, eyes: EyeColors, skin: Tensor
) -> Tensor:
    """Eyeballs and mouth in their own colours: [T, 3] -> [T, 3]. `skin` is the mean skin, [3]."""
    painted = colors.clone()
    points, _ = texel_points_and_normals(neutral, texels, head.faces)
    joints = head.joints(neutral)
    for zone, joint in ((Zone.LEFT_EYE, 3), (Zone.RIGHT_EYE, 4)):
        own = texels.zones == int(zone)
        painted[own] = _eyeball(points[own] - joints[joint], eyes)
    light = float((skin @ torch.tensor([0.3, 0.6, 0.1])) / TYPICAL_SKIN)
    light = min(max(light, 0.45), 1.25)
    mouth = texels.zones == int(Zone.MOUTH)
    front = points[texels.masks["teeth"] > 0.5][:, 2].max()
    deep = ((front - points[:, 2]) / 0.035).clamp(0, 1)[:, None]  # metres behind the front teeth
    for name, base, floor in (
        ("teeth", TEETH, 0.35),
        ("tongue", TONGUE, 0.5),
        ("cavity", CAVITY, 0.3),
    ):
        own = mouth & (texels.masks[name] > 0.5)
        shade = light * (1 - (1 - floor) * deep)
        painted[own] = (torch.tensor(base) * shade)[own].clamp(0, 1)
    return painted


def _eyeball(arms: Tensor, eyes: EyeColors) -> Tensor:
    """Pupil, iris with its dark rim, sclera reddening to the back: [N, 3] from the centre."""
    radius = arms.norm(dim=-1).median()
    angle = torch.atan2(arms[:, :2].norm(dim=-1), arms[:, 2])
    rim = torch.asin((topology.IRIS_RADIUS / radius).clamp(max=0.99))
    r = angle / rim
    iris = torch.from_numpy(eyes.iris) * (1.15 - 0.35 * r.clamp(0, 1))[:, None]
    iris = torch.lerp(iris, iris * 0.4, smoothstep(r, 0.8, 1.0)[:, None])
    dark = smoothstep(r, PUPIL_SHARE - 0.08, PUPIL_SHARE + 0.08)[:, None]
    iris = torch.lerp(torch.full_like(iris, 0.03), iris, dark)
    red = torch.tensor([1.0, 0.93, 0.91])
    white = torch.from_numpy(eyes.sclera) * torch.lerp(
        torch.ones(3), red, smoothstep(r, 1.8, 3.2)[:, None]
    )
    return torch.lerp(iris, white, smoothstep(r, 0.94, 1.08)[:, None]).clamp(0, 1)
