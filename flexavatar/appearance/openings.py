"""Fine splats where skin ends: lashes and lid rims that ride on the lids, teeth on their jaw.

Landmarks are a pixel or two off, and an outline drawn on the wrong side of it would travel with
the wrong part. What lies in the band around an eye is put on the nearest lid, whatever the mesh
says is there; bright pixels between the lips are put on the teeth.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.appearance.evidence import View
from flexavatar.appearance.loose import Loose, bind_to_faces, grid_points, to_neutral
from flexavatar.capture import topology
from flexavatar.head.binding import matrix_to_quat
from flexavatar.head.flame import FlameHead
from flexavatar.render.camera import unproject
from flexavatar.render.mesh import render_mesh

SPACING_PX = 1.6
LASH_LIFT, TEETH_LIFT = 6e-4, 3e-4
"""Metres in front of the surface."""
TOOTH_LIGHT = 0.45
"""Luminance over that of the skin's brightest tenth, above which a pixel may be a tooth."""
TOOTH_CHROMA = 0.42
"""Saturation above which it is a lip, tongue or gum."""


def lash_splats(view: View, head: FlameHead) -> Loose:
    """Lashes, liner and lid rims of both eyes."""
    band = _eye_band(view)
    lids = (head.masks["lids"] > 0.3) & (head.masks["eyes"] < 0.5)
    return _on_parts(view, head, band, lids, LASH_LIFT)


def teeth_splats(view: View, head: FlameHead) -> tuple[Loose, Loose]:
    """Teeth that the photo shows: on the upper jaw, on the lower."""
    upper, lower = _tooth_pixels(view)
    teeth = head.masks["teeth"] > 0.5
    moving = head.lbs_weights[:, 2] > 0.5
    return (
        _on_parts(view, head, upper, teeth & ~moving, TEETH_LIFT),
        _on_parts(view, head, lower, teeth & moving, TEETH_LIFT),
    )


def _eye_band(view: View) -> NDArray[np.bool_]:
    """Pixels around the lid rims, about a lash's length to both sides: [S, S]."""
    side = view.portrait.matte.shape[0]
    band = np.zeros((side, side), np.uint8)
    points = view.portrait.face.points[:, :2]
    for outline in (topology.LEFT_EYE, topology.RIGHT_EYE):
        ring = points[list(outline)]
        width = max(3, round(0.22 * float(np.ptp(ring[:, 0]))))
        cv2.polylines(band, [np.round(ring * 8).astype(np.int32)], True, 1, width, shift=3)
    return band > 0


def _tooth_pixels(view: View) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Bright, colourless pixels between the lips, of the upper and of the lower row: [S, S]."""
    portrait = view.portrait
    points = portrait.face.points[:, :2]
    side = portrait.matte.shape[0]
    ring = points[list(topology.MOUTH_OPENING)]
    opening = cv2.fillPoly(np.zeros((side, side), np.uint8), [np.round(ring).astype(np.int32)], 1)
    light = portrait.colors.max(-1)
    chroma = (light - portrait.colors.min(-1)) / np.maximum(light, 1e-3)
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    face = cv2.fillPoly(np.zeros((side, side), np.uint8), [hull], 1) > 0
    bright = TOOTH_LIGHT * float(np.quantile(light[face], 0.9))
    tooth = (opening > 0) & (light > bright) & (chroma < TOOTH_CHROMA)
    height = float(np.linalg.norm(points[13] - points[14]))
    width = float(np.linalg.norm(points[78] - points[308]))
    rows = np.arange(side)[:, None]
    low = rows > points[13, 1] + 0.55 * height
    is_lower = tooth & low & (height > 0.3 * width)
    return tooth & ~is_lower, is_lower


def _on_parts(
    view: View, head: FlameHead, pixels: NDArray[np.bool_], allowed: Tensor, lift: float
) -> Loose:
    """Splats at these pixels, at the depth of the allowed part, bound to its nearest face."""
    vertices, camera = view.motion.vertices, view.camera
    faces = head.faces[allowed[head.faces].all(1)]
    x, y = grid_points(pixels & (view.portrait.matte > 0.5), SPACING_PX).T
    depth = _grown_depth(render_mesh(vertices, faces, camera).depth)
    z = torch.from_numpy(depth[y, x]) - lift
    centres = torch.from_numpy(np.stack((x, y), 1)).float() + 0.5
    points = unproject(camera, centres, z)
    footprint = z / camera.K[0, 0] * SPACING_PX
    scales = torch.stack((footprint, footprint, 0.5 * footprint), -1) * 0.6
    turn = matrix_to_quat(camera.viewmat[:3, :3].T).expand(len(points), 4)
    binding = bind_to_faces(points, vertices, faces)
    splats = to_neutral(points, turn, scales, binding, view.motion)
    colors = torch.from_numpy(view.portrait.colors[y, x])
    return Loose(binding, splats, colors, torch.full((len(points),), 0.85))


def _grown_depth(depth: Tensor) -> NDArray[np.float32]:
    """The part's depth, continued to the nearest pixel beyond it: [H, W] metres."""
    near = depth.numpy()
    off = (~np.isfinite(near)).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(off, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.asarray(labels, np.int64)
    values = np.zeros(int(nearest.max()) + 1, np.float32)
    values[nearest[off == 0]] = near[off == 0]
    return values[nearest]
