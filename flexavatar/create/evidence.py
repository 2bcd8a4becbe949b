"""What the photos show of each surface point: colour and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.portrait import Portrait
from flexavatar.head.binding import SurfaceMotion
from flexavatar.head.texels import Texels, Zone, texel_points_and_normals
from flexavatar.render.camera import camera_position, project
from flexavatar.render.mesh import render_mesh
from flexavatar.types import Camera

DEPTH_TOLERANCE = 0.0045
"""Metres a point may lie behind what the camera sees first and still count as seen."""

SHUT = 0.45
"""MediaPipe's blink score above which an eye counts as closed and shows its lid."""
BROW_GAP, CORNER = 0.25, 0.3
"""Shares of the way from brow to eye that are the brow's, and of the eye's width to its side."""

LID, SQUARE = 0.3, 0.45
"""Of the lids' mask from which a texel is a lid's, and weight from which it is seen squarely."""

SHARPNESS = 4.0
"""Exponent on the weights across photos: near 1 averages, large takes the best photo alone."""


@dataclass(frozen=True)
class View:
    """One photo with the head placed in it."""

    portrait: Portrait
    camera: Camera
    motion: SurfaceMotion  # neutral to this photo's expression
    openings: Tensor  # [2] metres that the left and the right eye are open

    def sits_with(self, other: View) -> bool:
        """Taken in one go, as frames of a video are: hair and clothes are the same."""
        lens = self.portrait.lens
        return self is other or (lens is not None and lens == other.portrait.lens)


@dataclass(frozen=True)
class Evidence:
    """What is known of each texel."""

    colors: Tensor  # [T, 3] 0..1
    weight: Tensor  # [T] 0 unseen .. 1 seen from the front


def gather(views: Sequence[View], texels: Texels, faces: Tensor) -> Evidence:
    """Merge all photos: each texel takes its colour from where it is seen best."""
    seen = [_look(view, texels, faces) for view in views]
    weights = torch.stack([s.weight for s in seen])  # [P, T]
    share = weights**SHARPNESS
    colors = torch.stack([s.colors for s in seen])
    merged = (colors * share[..., None]).sum(0) / share.sum(0).clamp_min(1e-9)[:, None]
    return Evidence(merged, weights.amax(0))


def trusted_lids(evidence: Evidence, texels: Texels) -> Evidence:
    """Lids say little while the eye is open: only what faces the camera squarely is theirs."""
    doubtful = (texels.masks["lids"] > LID) & (evidence.weight < SQUARE)
    return Evidence(evidence.colors, torch.where(doubtful, 0.0, evidence.weight))


def zone_map(portrait: Portrait) -> NDArray[np.uint8]:
    """Which part each pixel shows, as far as landmarks tell: [S, S] of Zone values.

    A band around each outline belongs to nobody: lashes, lid rims and wet lips would stain
    whatever lies behind or beside them.
    """
    side = portrait.matte.shape[0]
    points = portrait.face.points[:, :2]
    zones = np.full((side, side), Zone.SKIN, np.uint8)
    openings = (
        (Zone.LEFT_EYE, topology.LEFT_EYE, 0.08),
        (Zone.RIGHT_EYE, topology.RIGHT_EYE, 0.08),
        (Zone.MOUTH, topology.MOUTH_OPENING, 0.02),
    )
    for zone, outline, band_share in openings:
        ring = points[list(outline)]
        width = max(float(np.ptp(ring[:, 0])), 1.0)
        filled = cv2.fillPoly(
            np.zeros_like(zones), [np.round(ring * 8).astype(np.int32)], 1, shift=3
        )
        band = max(1, round(band_share * width))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
        zones[cv2.dilate(filled, kernel) > 0] = Zone.BACKGROUND
        zones[cv2.erode(filled, kernel) > 0] = zone
    for fold in lid_folds(portrait):
        zones[fold & (zones == Zone.SKIN)] = Zone.BACKGROUND
    return zones


def lid_folds(portrait: Portrait) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels between eye and brow, left and right: [S, S]; none where the eye is shut.

    While an eye is open they show the crease, its shadow and lashes, not the lid that would close.
    """
    return _lid_fold(portrait, "Left"), _lid_fold(portrait, "Right")


def _lid_fold(portrait: Portrait, side: str) -> NDArray[np.bool_]:
    size = portrait.matte.shape[0]
    if portrait.face.scores[f"eyeBlink{side}"] > SHUT:
        return np.zeros((size, size), bool)
    points = portrait.face.points[:, :2]
    left = side == "Left"
    lid = points[list(topology.LEFT_LID_UPPER if left else topology.RIGHT_LID_UPPER)]
    brow = points[list((topology.LEFT_BROW if left else topology.RIGHT_BROW)[:5])]
    outer, inner = lid[0], lid[-1]
    rim = lid + 0.04 * (lid.mean(0) - brow.mean(0))  # lashes hang over the eye
    ends = outer + CORNER * (outer - inner), inner + 0.5 * CORNER * (inner - outer)
    hung = brow + BROW_GAP * (lid[[1, 2, 4, 6, 7]] - brow)
    outline = np.concatenate((hung[::-1], ends[:1], rim, ends[1:]))
    mask = np.zeros((size, size), np.uint8)
    return cv2.fillPoly(mask, [np.round(outline * 8).astype(np.int32)], 1, shift=3) > 0


def _look(view: View, texels: Texels, faces: Tensor) -> Evidence:
    """One photo's colours and weights: facing the camera, unhidden, inside the matte, own zone."""
    points, normals = texel_points_and_normals(view.motion.vertices, texels, faces)
    seen = project(view.camera, points)
    toward = torch.nn.functional.normalize(camera_position(view.camera) - points, dim=-1)
    facing = (normals * toward).sum(-1).clamp_min(0)
    depth = render_mesh(view.motion.vertices, faces, view.camera).depth
    hidden = seen[:, 2] > sample(forgiving_depth(depth), seen[:, :2]) + DEPTH_TOLERANCE
    matte = torch.from_numpy(cv2.erode(view.portrait.matte, np.ones((5, 5))))
    zones = torch.from_numpy(zone_map(view.portrait))
    own = nearest(zones, seen[:, :2]) == texels.zones
    inside = sample(matte, seen[:, :2]).clamp(0, 1)
    weight = facing**2 * inside * ~hidden * own
    colors = sample(torch.from_numpy(view.portrait.colors), seen[:, :2])
    return Evidence(colors, torch.where(weight > 0.02, weight, 0.0))


def forgiving_depth(depth: Tensor) -> Tensor:
    """Farthest depth in a 3 x 3 neighbourhood, so that an edge does not hide its own surface."""
    filled = torch.where(depth.isfinite(), depth, 1e3)
    return torch.nn.functional.max_pool2d(filled[None, None], 3, 1, 1)[0, 0]


def sample(image: Tensor, pixels: Tensor) -> Tensor:
    """Bilinear look-up at pixel coordinates [T, 2]: [H, W] -> [T] or [H, W, C] -> [T, C]."""
    planes = image[None, None] if image.ndim == 2 else image.permute(2, 0, 1)[None]
    height, width = planes.shape[-2:]
    grid = pixels / pixels.new_tensor([width, height]) * 2 - 1
    found = torch.nn.functional.grid_sample(
        planes.float(), grid[None, None].float(), align_corners=False, padding_mode="border"
    )[0, :, 0]
    return found[0] if image.ndim == 2 else found.T


def nearest(image: Tensor, pixels: Tensor) -> Tensor:
    """Nearest look-up at pixel coordinates [T, 2]: [H, W] -> [T]."""
    height, width = image.shape
    x = pixels[:, 0].floor().long().clamp(0, width - 1)
    y = pixels[:, 1].floor().long().clamp(0, height - 1)
    return image[y, x]
