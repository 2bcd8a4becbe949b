"""Colours of what a photo shows little of: eyeballs, teeth, tongue and the mouth's walls.

Every avatar owns them. Sclera, iris and skin are measured in the photos; the rest is anatomy,
tinted by the photo's light. What the photos do show is laid over it afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flexavatar.create.eyeball import eyeball_colors
from flexavatar.create.iris import Iris, eyeball_of
from flexavatar.head.flame import FlameHead
from flexavatar.head.texels import Texels, Zone, texel_points_and_normals

TYPICAL_SKIN = 0.55
"""Luminance of skin in a well lit portrait; a darker photo darkens the mouth likewise."""
TEETH = (0.80, 0.76, 0.68)
TONGUE = (0.62, 0.33, 0.32)
CAVITY = (0.22, 0.08, 0.08)


def paint_eyes_and_mouth(
    colors: Tensor, texels: Texels, head: FlameHead, neutral: Tensor, iris: Iris, skin: Tensor
) -> Tensor:
    """Eyeballs and mouth in their own colours: [T, 3] -> [T, 3]. `skin` is the mean skin, [3]."""
    painted = colors.clone()
    points, _ = texel_points_and_normals(neutral, texels, head.faces)
    for zone, side in ((Zone.LEFT_EYE, "left"), (Zone.RIGHT_EYE, "right")):
        own = texels.zones == int(zone)
        ball = eyeball_of(head, neutral, neutral, side)
        painted[own] = eyeball_colors(ball.iris_radii(points[own]), iris)
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
