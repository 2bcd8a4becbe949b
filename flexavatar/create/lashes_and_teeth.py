"""Fine splats where skin ends: lashes on lid rims, lid folds of open eyes, teeth on their jaw.

Landmarks are a pixel or two off, and an outline drawn on the wrong side of it would travel with
the wrong part. What lies in the band around an eye is put on the nearest lid, whatever the mesh
says is there; bright pixels between the lips are put on the teeth. Between an open eye and its
brow a photo shows crease, shadow and lashes rather than the skin of the lid: they are there only
while the eye is open, over a lid that the photo has not stained.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.inpaint import nearest_fill
from flexavatar.capture.portrait import Portrait
from flexavatar.create.photo_splats import BoundSplats, bind_to_faces, surface_splats, unpose
from flexavatar.create.pixels import (
    LASH_SHARE,
    Mask,
    drawn_pixels,
    eye_rim_pixels,
    hexagonal_grid,
    lid_folds,
    teeth_pixels,
)
from flexavatar.create.posed_views import PosedView
from flexavatar.head.binding import matrix_to_quat
from flexavatar.head.flame import FlameHead
from flexavatar.render.camera import camera_position, unproject
from flexavatar.render.mesh import MeshView, render_mesh

SPACING_PX = 1.3
LASH_LIFT, LINE_LIFT, TEETH_LIFT = 1e-3, 1.8e-3, 3e-4
"""Metres in front of the surface."""
LASH_COUNT, LASH_WIDTH, LASH_LENGTH, LASH_OPACITY = 48, 8e-4, 2.7e-3, 0.95
LASH_PITCH = 0.25
"""Radians that the lashes of an open eye point up; they turn with their lid and then hang down."""
LASH_DARK = 0.3
"""Of the skin's colour: a lash line is never lighter."""


def lash_splats(view: PosedView, head: FlameHead) -> BoundSplats:
    """Lashes, liner and lid rims of both eyes.

    They hang on the rim alone: bound to the skin of the lid, which unfolds as it closes, they would
    spread over it.
    """
    return _splats_on_faces(view, _rim_faces(head), eye_rim_pixels(view.portrait), LASH_LIFT)


def _rim_faces(head: FlameHead) -> Tensor:
    """Faces across the lids' thickness, which stay rigid as lids close: [F, 3]."""
    margins = [r for n, r in head.rings.items() if n.endswith(("lid_outer", "lid_middle"))]
    on_margin = torch.zeros(len(head.template), dtype=torch.bool)
    on_margin[torch.cat(margins)] = True
    return head.faces[on_margin[head.faces].all(1)]


def lash_lines(view: PosedView, head: FlameHead) -> BoundSplats:
    """A dark line along both upper lids: all that is left of a pair of eyes when they close."""
    parts = [_lash_line(view, head, side) for side in ("left", "right")]
    points, scales, colors = (torch.cat(x) for x in zip(*parts, strict=True))
    faces = _rim_faces(head)
    binding = bind_to_faces(points, view.motion.vertices, faces)
    up = 0.5 * LASH_PITCH
    turn = torch.tensor([math.cos(up), -math.sin(up), 0, 0]).expand(len(points), 4)
    splats = unpose(points, turn, scales, binding, view.motion)
    return BoundSplats(binding, splats, colors, torch.full((len(points),), LASH_OPACITY))


def _lash_line(view: PosedView, head: FlameHead, side: str) -> tuple[Tensor, Tensor, Tensor]:
    """One eye's places, sizes and colours: [N, 3] each. Thinner to the nose."""
    rim = view.motion.vertices[head.rings[f"{side}_upper_lid_outer"]]
    at = torch.linspace(0, len(rim) - 1.001, LASH_COUNT)
    low, rest = at.long(), (at - at.floor())[:, None]
    points = torch.lerp(rim[low], rim[low + 1], rest)
    forward = torch.nn.functional.normalize(camera_position(view.camera), dim=0)
    along = at / at[-1]
    width = LASH_WIDTH * (0.35 + 0.65 * along) * (1 - 0.8 * (2 * along - 1) ** 6)
    length = (rim[1:] - rim[:-1]).norm(dim=-1).sum() / LASH_COUNT
    scales = torch.stack((length.expand_as(width), width, LASH_LENGTH * width / LASH_WIDTH), -1)
    color = lash_color(view.portrait, side).expand(LASH_COUNT, 3)
    above = width[:, None] * torch.tensor([0.0, 1.0, 0.0])  # an open eye's lashes leave it open
    return points + LINE_LIFT * forward + above, scales, color


def lash_color(portrait: Portrait, side: str) -> Tensor:
    """The dark of an upper lid's rim, and darker than the skin at any rate: [3]."""
    points = portrait.face.points[:, :2]
    lid = points[list(topology.LEFT_LID_UPPER if side == "left" else topology.RIGHT_LID_UPPER)]
    band = np.zeros(portrait.matte.shape, np.uint8)
    width = max(2, round(LASH_SHARE * float(np.ptp(lid[:, 0]))))
    cv2.polylines(band, [np.round(lid * 8).astype(np.int32)], False, 1, width, shift=3)
    colors = portrait.colors[band > 0]
    light = colors.sum(-1)
    dark = np.median(colors[light <= np.quantile(light, 0.3)], 0)
    skin = np.median(portrait.colors[portrait.face_hull], 0)
    return torch.from_numpy(np.minimum(dark, LASH_DARK * skin).astype(np.float32))


def fold_splats(view: PosedView, mesh: MeshView, head: FlameHead) -> tuple[BoundSplats, ...]:
    """What an open eye shows above it, of the left and of the right; nothing of a shut one."""
    on_eye = head.masks["eyes"][head.faces].amax(1) > 0.5
    skin = (mesh.face_ids >= 0) & ~on_eye[mesh.face_ids.clamp_min(0)]
    drawn = drawn_pixels(view.portrait)
    return tuple(
        surface_splats(view, mesh, head, region & skin.numpy() & ~drawn, SPACING_PX)
        for region in lid_folds(view.portrait)
    )


def teeth_splats(view: PosedView, head: FlameHead) -> tuple[BoundSplats, BoundSplats]:
    """Teeth that the photo shows: on the upper jaw, on the lower."""
    upper, lower = teeth_pixels(view.portrait)
    teeth = head.masks["teeth"] > 0.5
    moving = head.lbs_weights[:, 2] > 0.5
    on_upper, on_lower = (
        head.faces[part[head.faces].all(1)] for part in (teeth & ~moving, teeth & moving)
    )
    return (
        _splats_on_faces(view, on_upper, upper, TEETH_LIFT),
        _splats_on_faces(view, on_lower, lower, TEETH_LIFT),
    )


def _splats_on_faces(view: PosedView, faces: Tensor, pixels: Mask, lift: float) -> BoundSplats:
    """Splats at these pixels, at the depth of these faces, bound to the nearest of them."""
    vertices, camera = view.motion.vertices, view.camera
    x, y = hexagonal_grid(pixels & (view.portrait.matte > 0.5), SPACING_PX).T
    drawn = render_mesh(vertices, faces, camera).depth.numpy()
    depth = nearest_fill(drawn, np.isfinite(drawn))
    z = torch.from_numpy(depth[y, x]) - lift
    centres = torch.from_numpy(np.stack((x, y), 1)).float() + 0.5
    points = unproject(camera, centres, z)
    footprint = z / camera.K[0, 0] * SPACING_PX
    scales = torch.stack((footprint, footprint, 0.5 * footprint), -1) * 0.6
    turn = matrix_to_quat(camera.viewmat[:3, :3].T).expand(len(points), 4)
    binding = bind_to_faces(points, vertices, faces)
    splats = unpose(points, turn, scales, binding, view.motion)
    colors = torch.from_numpy(view.portrait.colors[y, x])
    return BoundSplats(binding, splats, colors, torch.full((len(points),), 0.85))
