"""The eyeball as its own small model: what turns with the gaze is never fitted splat by splat.

In a photo an iris, the shadow of its lid and the lamp that it mirrors lie over each other, and what
is fitted to their sum tears as soon as the eye turns. So each is measured by itself and moves with
what it belongs to: the iris with the eye, the shadow with the upper lid, the lamp with the head.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flexavatar.create.iris import LUMINANCE, Eyeball, EyeView, Iris, eyeball_of, iris_directions
from flexavatar.create.photo_splats import (
    BoundSplats,
    bind_to_faces,
    quats_facing,
    unmoved,
    unpose,
)
from flexavatar.easing import smoothstep
from flexavatar.head.binding import SurfaceMotion
from flexavatar.head.flame import FlameHead
from flexavatar.head.off_mesh_binding import off_mesh_binding
from flexavatar.render.camera import project

FINE_EXTENT, COARSEST = 1.3, 1.1e-3
"""Radii of the iris up to which its own splats are fine, and metres between those of the white."""
SPACING, GROWTH = 4.2e-4, 1.25
"""Metres between splats of the iris, and how much further apart each ring of white is."""
FRONT = 1.4
"""Radians around the optical axis that are drawn; behind are the chart's texels."""
BALL_SCALES, BALL_OPACITY = (0.7, 0.7, 0.15), 0.97
"""In their spacing."""
BALL_LIFT, SHADE_LIFT, GLINT_LIFT = 5e-5, 1.5e-4, 3e-4
"""Metres in front of the eyeball."""
SHADE_DEPTH, FAINTEST, DARKEST = 1.6e-3, 0.12, 0.5
"""Metres below the lid over which its shadow fades, and how dark it may be at the lid."""
SHADE_COLUMNS, SHADE_ROWS = 26, (0.2e-3, 0.8e-3, 1.5e-3, 2.3e-3, 3.2e-3)
"""Splats along a lid, and metres below it."""
SHADE_SCALES, SHADE_COLOR = (5e-4, 1e-4), 0.06
BACK_OF_EYE = (1.0, 0.93, 0.91)
"""What the white is multiplied by there."""
ROW_SHARE = 0.6
"""Of a shadow's strength that each row has, since rows overlap."""
GLINT_OVER = 0.16
"""Luminance over the iris's own from which a pixel is a mirrored lamp."""
GLINT_PX = 3.5
"""Pixels around its brightest one that are the same lamp's."""
GLINT_SIZES, GLINT_OPACITY = (2.5e-4, 6e-4), 0.85
"""Metres."""


def eyeball_splats(head: FlameHead, neutral: Tensor, iris: Iris, side: str) -> BoundSplats:
    """The front of one eyeball in rings around the middle of its iris, bound to it.

    Each ring lies behind the ones inside it, so that no white is drawn over an iris.
    """
    ball = eyeball_of(head, neutral, neutral, side)
    radii, angles, spacing = polar_grid(ball)
    outwards = iris_directions(radii, angles, ball.iris_angle)
    points = ball.centre + (ball.radius + BALL_LIFT) * outwards
    faces = head.faces[(head.masks[f"{side[0]}eye"] > 0.5)[head.faces].all(1)]
    binding = bind_to_faces(points, neutral, faces)
    scales = spacing[:, None] * torch.tensor(BALL_SCALES)
    local = unpose(points, quats_facing(outwards), scales, binding, unmoved(neutral))
    opacities = torch.full((len(points),), BALL_OPACITY)
    return BoundSplats(binding, local, eyeball_colors(radii, iris), opacities)


def polar_grid(ball: Eyeball) -> tuple[Tensor, Tensor, Tensor]:
    """Rings over the front of an eyeball, closest on the iris: radii in irises, angles, spacing.

    [N] each; spacing in metres.
    """
    radii, angles, spacing = [torch.zeros(1)], [torch.zeros(1)], [torch.full((1,), SPACING)]
    away, step = SPACING / ball.radius, SPACING  # radians, metres
    while away < FRONT:
        around = max(6, round(2 * np.pi * ball.radius * np.sin(away) / step))
        radii.append(torch.full((around,), away / ball.iris_angle))
        angles.append((torch.arange(around) + 0.5 * (len(radii) % 2)) * (2 * np.pi / around))
        spacing.append(torch.full((around,), step))
        if away > FINE_EXTENT * ball.iris_angle:
            step = min(step * GROWTH, COARSEST)
        away += step / ball.radius
    return torch.cat(radii), torch.cat(angles), torch.cat(spacing)


def eyeball_colors(radii: Tensor, iris: Iris) -> Tensor:
    """Iris, and white that reddens to the back, where only lids should see it: [N] -> [N, 3]."""
    back = smoothstep(radii, 1.8, 3.2)[:, None]
    return (iris.colors(radii) * (1 - back * (1 - torch.tensor(BACK_OF_EYE)))).clamp(0, 1)


def eyeball_front(head: FlameHead, neutral: Tensor, points: Tensor, side: str) -> Tensor:
    """Which points [N, 3] of a neutral eyeball `eyeball_splats` covers: [N] bool."""
    ball = eyeball_of(head, neutral, neutral, side)
    return ball.iris_radii(points) * ball.iris_angle < FRONT


def lid_shade(eye: EyeView, motion: SurfaceMotion, head: FlameHead, iris: Iris) -> BoundSplats:
    """An upper lid's shadow on its eyeball: it moves with the lid. Motion of the whole mesh."""
    margin = motion.vertices[head.rings[f"{eye.side}_upper_lid_inner"]]
    at = torch.linspace(0, len(margin) - 1.001, SHADE_COLUMNS)
    line = torch.lerp(margin[at.long()], margin[at.long() + 1], at.frac()[:, None])
    down = torch.tensor(SHADE_ROWS).repeat_interleave(SHADE_COLUMNS)[:, None]
    below = line.repeat(len(SHADE_ROWS), 1) - down * torch.tensor([0.0, 1.0, 0.0])
    outwards = torch.nn.functional.normalize(below - eye.ball.centre, dim=-1)
    points = eye.ball.centre + (eye.ball.radius + SHADE_LIFT) * outwards
    rings = [r for name, r in head.rings.items() if name.startswith(f"{eye.side}_upper_lid")]
    rim = head.faces[torch.isin(head.faces, torch.cat(rings)).all(1)]
    binding = bind_to_faces(points, motion.vertices, rim)
    wide = (margin[1:] - margin[:-1]).norm(dim=-1).sum() / SHADE_COLUMNS
    scales = torch.stack((wide, *torch.tensor(SHADE_SCALES))).expand(len(points), 3)
    local = unpose(points, quats_facing(outwards), scales, binding, motion)
    strength = _shade_strength(
        eye, motion.vertices[head.rings[f"{eye.side}_upper_lid_middle"]], iris
    )
    opacities = ROW_SHARE * strength * torch.exp(-down[:, 0] / SHADE_DEPTH)
    return BoundSplats(binding, local, torch.full((len(points), 3), SHADE_COLOR), opacities)


def _shade_strength(eye: EyeView, margin: Tensor, iris: Iris) -> float:
    """How much darker than the model an eye is under its lid [N, 3], beside further down: 0..1."""
    pixels, colors = eye.pixels()
    if not len(pixels):
        return FAINTEST
    away = torch.cdist(pixels, project(eye.camera, margin)[:, :2]).amin(1)
    below = away * eye.metres_per_pixel
    expected = iris.colors(eye.ball.iris_radii(eye.on_ball(pixels))) @ LUMINANCE
    ratio = (colors @ LUMINANCE) / expected.clamp_min(0.05)
    near, far = ratio[below < 1.5e-3], ratio[below > 3e-3]
    if min(len(near), len(far)) < 5:
        return FAINTEST
    dark = 1 - float(near.median() / far.median().clamp_min(0.05))
    return min(max(dark, FAINTEST), DARKEST)


def glint(eye: EyeView, motion: SurfaceMotion, head: FlameHead, iris: Iris) -> BoundSplats | None:
    """The lamp that an iris mirrors, if the photo shows one: it stays while the eye turns."""
    pixels, colors = eye.pixels()
    radii = eye.ball.iris_radii(eye.on_ball(pixels))
    over = (colors - iris.colors(radii.clamp_max(0.85))) @ LUMINANCE
    over = torch.where((radii < 0.8) & (over > GLINT_OVER), over, 0.0)
    if not bool(over.any()):
        return None
    peak = int(over.argmax())
    over = over * ((pixels - pixels[peak]).norm(dim=-1) < GLINT_PX)
    middle = (pixels * over[:, None]).sum(0) / over.sum()
    outwards = torch.nn.functional.normalize(eye.on_ball(middle[None]) - eye.ball.centre, dim=-1)
    points = eye.ball.centre + (eye.ball.radius + GLINT_LIFT) * outwards
    size = 0.45 * float((over > 0).sum()) ** 0.5 * eye.metres_per_pixel
    scales = torch.tensor([[1.0, 1.0, 0.3]]) * min(max(size, GLINT_SIZES[0]), GLINT_SIZES[1])
    binding = off_mesh_binding(points, motion.vertices, head)
    local = unpose(points, quats_facing(outwards), scales, binding, motion)
    color = torch.lerp(colors[peak], iris.white, 0.5)[None]  # a pixel of it is part iris
    return BoundSplats(binding, local, color, torch.tensor([GLINT_OPACITY]))
