"""Evidence, the first step: what the posed photos show of each texel, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.create.iris import Iris, measure_iris
from flexavatar.create.pixels import sample_bilinear, sample_nearest, zone_map
from flexavatar.create.posed_views import PosedView, PosedViews
from flexavatar.head.texels import Texels, texel_points_and_normals
from flexavatar.render.camera import camera_position, project
from flexavatar.render.mesh import render_mesh

DEPTH_TOLERANCE = 0.0045
"""Metres a point may lie behind what the camera sees first and still count as seen."""
LID, SQUARE = 0.3, 0.45
"""Of the lids' mask from which a texel is a lid's, and weight from which it is seen squarely."""
SHARPNESS = 4.0
"""Exponent on the weights across photos: near 1 averages, large takes the best photo alone."""


@dataclass(frozen=True)
class Evidence:
    """Colours of texels, and how well each is seen."""

    colors: Tensor  # [T, 3] 0..1
    weight: Tensor  # [T] 0 unseen .. 1 seen from the front


@dataclass(frozen=True)
class SurfaceObservations:
    """What posed photos show of a head's surface."""

    posed: PosedViews
    texels: Texels  # T, of the chart that what follows works on
    evidence: Evidence  # T
    iris: Iris


def observe_surface(posed: PosedViews, texels: Texels) -> SurfaceObservations:
    """The evidence of all photos merged: each texel takes its colour from where it is seen best."""
    seen = [_view_evidence(view, texels, posed.head.faces) for view in posed.views]
    weights = torch.stack([s.weight for s in seen])  # [P, T]
    share = weights**SHARPNESS
    colors = torch.stack([s.colors for s in seen])
    merged = (colors * share[..., None]).sum(0) / share.sum(0).clamp_min(1e-9)[:, None]
    eyes = [eye for view in posed.views for eye in view.eyes(posed.head, posed.neutral)]
    evidence = Evidence(merged, weights.amax(0))
    return SurfaceObservations(posed, texels, evidence, measure_iris(eyes))


def without_doubtful_lids(evidence: Evidence, texels: Texels) -> Evidence:
    """Lids say little while the eye is open: only what faces the camera squarely is theirs."""
    doubtful = (texels.masks["lids"] > LID) & (evidence.weight < SQUARE)
    return Evidence(evidence.colors, torch.where(doubtful, 0.0, evidence.weight))


def _view_evidence(view: PosedView, texels: Texels, faces: Tensor) -> Evidence:
    """One photo's colours and weights: facing the camera, unhidden, inside the matte, own zone."""
    points, normals = texel_points_and_normals(view.motion.vertices, texels, faces)
    seen = project(view.camera, points)
    toward = torch.nn.functional.normalize(camera_position(view.camera) - points, dim=-1)
    facing = (normals * toward).sum(-1).clamp_min(0)
    depth = render_mesh(view.motion.vertices, faces, view.camera).depth
    nearest = sample_bilinear(_farthest_depth_nearby(depth), seen[:, :2])
    hidden = seen[:, 2] > nearest + DEPTH_TOLERANCE
    matte = torch.from_numpy(cv2.erode(view.portrait.matte, np.ones((5, 5))))
    zones = torch.from_numpy(zone_map(view.portrait))
    own = sample_nearest(zones, seen[:, :2]) == texels.zones
    inside = sample_bilinear(matte, seen[:, :2]).clamp(0, 1)
    weight = facing**2 * inside * ~hidden * own
    colors = sample_bilinear(torch.from_numpy(view.portrait.colors), seen[:, :2])
    return Evidence(colors, torch.where(weight > 0.02, weight, 0.0))


def _farthest_depth_nearby(depth: Tensor) -> Tensor:
    """Farthest depth in a 3 x 3 neighbourhood, so that an edge does not hide its own surface."""
    filled = torch.where(depth.isfinite(), depth, 1e3)
    return torch.nn.functional.max_pool2d(filled[None, None], 3, 1, 1)[0, 0]
