"""MediaPipe's landmarks on a rig: it is painted, lit, drawn, shown to MediaPipe, and traced back.

No vertex numbers need to be known. For `landmark_points` the eyes are painted, what is hidden at
rest is dark, and the lips are parted, so that a bare rig is found as well as a finished one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.landmarks import detect_faces
from flexavatar.errors import AssetError
from flexavatar.head.binding import vertex_normals
from flexavatar.head.flame import FlameHead
from flexavatar.render.camera import look_from, orbit
from flexavatar.render.mesh import MeshView, render_mesh
from flexavatar.types import Camera, FlameCodes

SIDE = 512
DISTANCE = 0.7
"""Metres from the camera to the eyes."""
FRAMED = DISTANCE / 1.7
"""Metres that the picture shows there."""
EYES_ABOVE = 0.03
"""Metres from the picture's centre up to the eyes."""
VIEWS = ((0, 0), (-12, 0), (12, 0), (0, 8), (0, -8))
"""Yaw and pitch in degrees."""
PARTED_LIPS = 0.15
"""Radians that the jaw is opened by."""
IRIS_ANGLE = 0.5
"""Half angle of the painted iris seen from the eyeball's centre, radians."""
BROW_HALF_HEIGHT = 0.0035
OFF_SKIN_PX = 4.0
"""A landmark this far from any visible skin is not on it in this view."""

Color = tuple[float, float, float]
SKIN, WHITE, IRIS = (0.80, 0.60, 0.51), (0.93, 0.92, 0.90), (0.25, 0.17, 0.12)
DARK, BROW = (0.25, 0.08, 0.08), (0.3, 0.2, 0.1)
LIGHT = (0.3, 0.5, 0.8)
"""Direction to the lamp."""


def skin_landmarks() -> NDArray[np.int64]:
    """Those of MediaPipe's landmarks that mark a place on the skin: [L] indices.

    The outline depends on the view: it marks none.
    """
    return np.flatnonzero(~np.isin(np.arange(topology.FACE_COUNT), topology.OVAL))


def landmark_points(head: FlameHead, hidden: np.ndarray) -> NDArray[np.float64]:
    """Where `skin_landmarks` lie on the rig's template: [L, 3] metres, NaN where unknown.

    `hidden` [V] says which vertices cannot be seen at rest. Raises AssetError if no face is found.
    """
    out_of_sight = torch.from_numpy(hidden)
    posed = part_lips(head)
    colors = paint(len(posed), _layers(head, out_of_sight))
    skin = ((head.lbs_weights[:, 3:].sum(1) < 0.5) & ~out_of_sight)[head.faces].all(1)
    camera, pivot = front_camera(head), head.joints(head.template)[3:].mean(0)
    traces = []
    for yaw, pitch in VIEWS:
        view = render_mesh(posed, head.faces, orbit(camera, yaw, pitch, pivot))
        pixels = detect_landmarks(shade(posed, head.faces, colors, view))
        if pixels is not None:
            places, gaps = trace(head.template, head.faces, view, skin, pixels[skin_landmarks()])
            places[gaps > OFF_SKIN_PX] = np.nan
            traces.append(places)
    if not traces:
        raise AssetError("rig: expected a face that looks along +z with y up, found no face in it")
    return np.nanmedian(np.stack(traces), axis=0)


def part_lips(head: FlameHead) -> Tensor:
    """The template with its jaw a little open: [V, 3]."""
    codes = FlameCodes.zeros(head.correctives.shape[-1])
    codes = replace(codes, jaw_pose=torch.tensor([PARTED_LIPS, 0, 0]))
    return head.pose(head.template, codes).vertices


def front_camera(head: FlameHead) -> Camera:
    """Looks at the eyes of the template from the front."""
    eyes = head.joints(head.template)[3:].mean(0)
    target = (eyes - torch.tensor([0, EYES_ABOVE, 0])).double().numpy()
    return look_from(0, 0, SIDE, target, FRAMED, DISTANCE)


def paint(count: int, layers: Sequence[tuple[Color, Tensor]]) -> Tensor:
    """Vertex colours [V, 3]: skin, and over it colours, each as much as its mask [V] says."""
    colors = torch.tensor(SKIN).expand(count, 3).clone()
    for color, mask in layers:
        colors = torch.lerp(colors, torch.tensor(color), mask.float()[:, None])
    return colors


def _layers(head: FlameHead, hidden: Tensor) -> list[tuple[Color, Tensor]]:
    """The paint of a rig that has no masks: known are its joints and what is hidden [V]."""
    layers, eyes = [(DARK, hidden)], []
    for joint in (3, 4):
        arm = head.template - head.joints(head.template)[joint]
        above, along = brow_arc(arm, joint)
        layers.append((BROW, along & (above.abs() < BROW_HALF_HEIGHT) & ~hidden))
        iris = torch.atan2(arm[:, :2].norm(dim=-1), arm[:, 2]) < IRIS_ANGLE
        eyeball = head.lbs_weights[:, joint] > 0.5
        eyes += [(WHITE, eyeball), (IRIS, eyeball & iris)]
    return layers + eyes


def brow_arc(arm: Tensor, joint: int) -> tuple[Tensor, Tensor]:
    """Metres above the arc of one eye's brow [V], and which vertices lie along it [V] bool.

    `arm` [V, 3] is measured from the eyeball's centre; `joint` is 3 for the left eye, 4 right.
    """
    outward = arm[:, 0] if joint == 3 else -arm[:, 0]
    height = 0.0205 - 9.0 * (outward - 0.004) ** 2
    along = (outward > -0.017) & (outward < 0.027) & (arm[:, 2] > 0)
    return arm[:, 1] - height, along


def shade(vertices: Tensor, faces: Tensor, colors: Tensor, view: MeshView) -> NDArray[np.uint8]:
    """A lit picture of vertex colours [V, 3], on grey: [H, W, 3]."""
    light = torch.nn.functional.normalize(torch.tensor(LIGHT), dim=0)
    facing = (vertex_normals(vertices, faces) @ light).clamp_min(0)
    lit = colors * (0.55 + 0.5 * facing)[:, None]
    picture = (lit[faces[view.face_ids.clamp_min(0)]] * view.bary[..., None]).sum(-2)
    picture = torch.where(view.face_ids[..., None] >= 0, picture, torch.full((3,), 0.6))
    return (picture.clamp(0, 1) * 255).byte().numpy()


def detect_landmarks(picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """MediaPipe's landmarks in a drawn picture, edges softened: [478, 2] pixels; None: no face."""
    found = detect_faces(np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.7), np.uint8))
    return found[0].points[:, :2] if found else None


def trace(
    vertices: Tensor, faces: Tensor, view: MeshView, allowed: Tensor, pixels: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The visible point of the `allowed` faces [F] that is nearest to each pixel.

    -> where it lies on `vertices` [L, 3], which may be in another pose than was drawn, and how far
    it is from the pixel [L].
    """
    usable = allowed[view.face_ids.clamp_min(0)] & (view.face_ids >= 0)
    ys, xs = torch.nonzero(usable, as_tuple=True)
    centres = torch.stack((xs, ys), 1).numpy() + 0.5
    gaps, nearest = cKDTree(centres).query(pixels)
    y, x = ys[nearest], xs[nearest]
    corners = vertices[faces[view.face_ids[y, x]]]
    return (corners * view.bary[y, x][..., None]).sum(1).double().numpy(), gaps
