"""Landmarks on any rig: it is drawn from the front and shown to MediaPipe.

No vertex numbers need to be known. The eyes are painted, what is hidden at rest is dark, and the
lips are parted, so that a bare rig is found as well as a finished one.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.landmarks import detect_faces
from flexavatar.errors import AssetError
from flexavatar.head.flame import FlameHead
from flexavatar.render.camera import orbit
from flexavatar.render.mesh import MeshView, render_mesh
from flexavatar.types import Camera, FlameCodes

SIDE = 512
VIEWS = ((0, 0), (-12, 0), (12, 0), (0, 8), (0, -8))
"""Yaw and pitch in degrees."""
PARTED = 0.15
"""Radians that the jaw is opened by."""
SKIN, DARK, WHITE, IRIS, BROW = (
    (0.80, 0.60, 0.51), (0.25, 0.08, 0.08), (0.93, 0.92, 0.90), (0.25, 0.17, 0.12), (0.3, 0.2, 0.1),
)  # fmt: skip
IRIS_ANGLE = 0.5
"""Half angle of the painted iris seen from the eyeball's centre, radians."""
RIM = tuple(topology.OVAL)
"""The outline depends on the view: it marks no place on the skin."""


def skin_landmarks() -> np.ndarray:
    """Those of MediaPipe's landmarks that mark a place on the skin: [L] indices."""
    rim = np.isin(np.arange(468), RIM)
    return np.flatnonzero(~rim)


def landmark_points(head: FlameHead, hidden: np.ndarray) -> np.ndarray:
    """Where `skin_landmarks` lie on the rig's template: [L, 3] metres.

    `hidden` [V] says which vertices cannot be seen at rest. Raises AssetError if no face is found.
    """
    posed = parted_lips(head)
    colors = _paint(head, torch.from_numpy(hidden))
    skin = ((head.lbs_weights[:, 3:].sum(1) < 0.5) & ~torch.from_numpy(hidden))[head.faces].all(1)
    camera = front_camera(head)
    pivot = head.joints(head.template)[3:].mean(0)
    traces = []
    for yaw, pitch in VIEWS:
        view = render_mesh(posed, head.faces, orbit(camera, yaw, pitch, pivot))
        picture = cv2.GaussianBlur(_shade(head, posed, colors, view), (0, 0), 0.7)
        if found := detect_faces(np.asarray(picture, np.uint8)):
            traces.append(_trace(head, view, skin, found[0].points[skin_landmarks(), :2]))
    if not traces:
        raise AssetError("rig: expected a face that looks along +z with y up, found no face in it")
    return np.nanmedian(np.stack(traces), axis=0)


def parted_lips(head: FlameHead) -> Tensor:
    """The template with its jaw a little open: [V, 3]."""
    codes = FlameCodes.zeros(head.correctives.shape[-1])
    codes = replace(codes, jaw_pose=torch.tensor([PARTED, 0, 0]))
    return head.pose(head.template, codes).vertices


def front_camera(head: FlameHead) -> Camera:
    """Looks at the eyes from 70 cm in front."""
    middle = head.joints(head.template)[3:].mean(0)
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[:3, 3] = torch.stack((-middle[0], middle[1] - 0.03, middle[2] + 0.7))
    focal, half = 1.7 * SIDE, SIDE / 2
    K = torch.tensor([[focal, 0, half], [0, focal, half], [0, 0, 1.0]])
    return Camera(viewmat, K, SIDE, SIDE)


def _paint(head: FlameHead, hidden: Tensor) -> Tensor:
    """A plain face in vertex colours: [V, 3]."""
    colors = torch.tensor(SKIN).expand(len(head.template), 3).clone()
    colors[hidden] = torch.tensor(DARK)
    joints = head.joints(head.template)
    for joint, side in ((3, 1.0), (4, -1.0)):
        arm = head.template - joints[joint]
        colors[_brow(arm, side) & ~hidden] = torch.tensor(BROW)
    for joint in (3, 4):
        arm = head.template - joints[joint]
        pupil = torch.atan2(arm[:, :2].norm(dim=-1), arm[:, 2]) < IRIS_ANGLE
        eyeball = head.lbs_weights[:, joint] > 0.5
        colors[eyeball] = torch.tensor(WHITE)
        colors[eyeball & pupil] = torch.tensor(IRIS)
    return colors


def _brow(arm: Tensor, side: float) -> Tensor:
    """An arc of skin above one eye: [V] bool; `arm` [V, 3] from the eyeball's centre."""
    outward = side * arm[:, 0]
    height = 0.0205 - 9.0 * (outward - 0.004) ** 2
    along = (outward > -0.017) & (outward < 0.027) & (arm[:, 2] > 0)
    return along & ((arm[:, 1] - height).abs() < 0.0035)


def _shade(head: FlameHead, vertices: Tensor, colors: Tensor, view: MeshView) -> np.ndarray:
    """A lit picture of vertex colours: [H, W, 3] on grey."""
    corners = vertices[head.faces]
    normals = torch.zeros_like(vertices)
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for corner in range(3):
        normals.index_add_(0, head.faces[:, corner], across)
    light = torch.nn.functional.normalize(torch.tensor([0.3, 0.5, 0.8]), dim=0)
    facing = (torch.nn.functional.normalize(normals, dim=-1) @ light).clamp_min(0)
    lit = colors * (0.55 + 0.5 * facing)[:, None]
    ids = view.face_ids.clamp_min(0)
    picture = (lit[head.faces[ids]] * view.bary[..., None]).sum(-2)
    picture = torch.where(view.face_ids[..., None] >= 0, picture, torch.full((3,), 0.6))
    return (picture.clamp(0, 1) * 255).byte().numpy()


def _trace(head: FlameHead, view: MeshView, skin: Tensor, pixels: np.ndarray) -> np.ndarray:
    """Template position of the visible skin under each pixel, NaN where there is none: [L, 3]."""
    ys, xs = torch.nonzero(skin[view.face_ids.clamp_min(0)] & (view.face_ids >= 0), as_tuple=True)
    centres = torch.stack((xs, ys), 1).numpy() + 0.5
    gap, near = cKDTree(centres).query(pixels)
    y, x = ys[near], xs[near]
    corners = head.template[head.faces[view.face_ids[y, x]]]
    points = (corners * view.bary[y, x][..., None]).sum(1).double().numpy()
    points[gap > 4] = np.nan  # pixels: the landmark is not on skin in this view
    return points
