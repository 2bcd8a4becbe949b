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

SPACING_PX = 1.3
LASH_LIFT, TEETH_LIFT = 6e-4, 3e-4
"""Metres in front of the surface."""
LASH_SHARE, RIM_SHARE = 0.1, 0.03
"""Of the eye's width."""
TOOTH_LIGHT = 0.45
"""Luminance over that of the skin's brightest tenth, above which a pixel may be a tooth."""
TOOTH_CHROMA = 0.42
"""Saturation above which it is a lip, tongue or gum."""


def lash_splats(view: View, head: FlameHead) -> Loose:
    """Lashes, liner and lid rims of both eyes.

    They hang on the rim alone: bound to the skin of the lid, which unfolds as it closes, they would
    spread over it.
    """
    margin = torch.cat([ring for name, ring in head.rings.items() if name.endswith("lid_outer")])
    on_margin = torch.zeros(len(head.template), dtype=torch.bool)
    on_margin[margin] = True
    faces = head.faces[on_margin[head.faces].any(1)]
    return _on_faces(view, faces, _eye_band(view), LASH_LIFT)


def teeth_splats(view: View, head: FlameHead) -> tuple[Loose, Loose]:
    """Teeth that the photo shows: on the upper jaw, on the lower."""
    upper, lower = _tooth_pixels(view)
    teeth = head.masks["teeth"] > 0.5
    moving = head.lbs_weights[:, 2] > 0.5
    on_upper, on_lower = (
        head.faces[part[head.faces].all(1)] for part in (teeth & ~moving, teeth & moving)
    )
    return (
        _on_faces(view, on_upper, upper, TEETH_LIFT),
        _on_faces(view, on_lower, lower, TEETH_LIFT),
    )


def _eye_band(view: View) -> NDArray[np.bool_]:
    """Pixels around the lid rims, a lash's length outwards and a rim's width inwards: [S, S].

    Further in lies the iris, which must not stay behind when the eye turns.
    """
    side = view.portrait.matte.shape[0]
    band = np.zeros((side, side), bool)
    points = view.portrait.face.points[:, :2]
    for outline in (topology.LEFT_EYE, topology.RIGHT_EYE):
        ring = points[list(outline)]
        width = float(np.ptp(ring[:, 0]))
        opening = cv2.fillPoly(
            np.zeros((side, side), np.uint8), [np.round(ring * 8).astype(np.int32)], 1, shift=3
        )
        outer = cv2.dilate(opening, _disc(LASH_SHARE * width))
        band |= (outer > 0) & (cv2.erode(opening, _disc(RIM_SHARE * width)) == 0)
    return band


def _disc(radius: float) -> NDArray[np.uint8]:
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


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


def _on_faces(view: View, faces: Tensor, pixels: NDArray[np.bool_], lift: float) -> Loose:
    """Splats at these pixels, at the depth of these faces, bound to the nearest of them."""
    vertices, camera = view.motion.vertices, view.camera
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
