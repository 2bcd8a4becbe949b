"""Parts and visible vertices of a rig, found without vertex numbers or masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from flexavatar.head.flame import FlameHead
from flexavatar.head.mesh_operators import components, vertex_normals
from flexavatar.render.camera import orbit
from flexavatar.render.mesh import render_mesh
from flexavatar.rigs.rig_landmarks import front_camera

SKIN, LEFT_EYE, RIGHT_EYE, UPPER, LOWER = range(5)
"""Parts: skin with the mouth cavity; eyeballs; upper teeth; lower teeth and tongue."""
VIEW_ANGLES = (
    (0, 0),
    (-50, 0),
    (50, 0),
    (-100, 0),
    (100, 0),
    (180, 0),
    (0, 50),
    (0, -50),
    (130, 20),
    (-130, 20),
)
"""Yaw and pitch of the cameras that decide what can be seen, degrees."""
VISIBLE_DEPTH = 0.0015
"""Metres behind the nearest surface at which a vertex still counts as seen."""


@dataclass(frozen=True)
class RigParts:
    """The template of a rig with its parts. numpy, float64."""

    vertices: np.ndarray  # [V, 3]
    faces: np.ndarray  # [F, 3]
    normals: np.ndarray  # [V, 3]
    part: np.ndarray  # [V] int64, -1 for a vertex without faces
    visible: np.ndarray  # [V] bool: visible from outside at rest
    weights: np.ndarray  # [V, 5] skinning
    joints: np.ndarray  # [5, 3]

    def faces_of(self, vertices: np.ndarray) -> np.ndarray:
        """Faces whose corners are all in this set: [V] bool -> [A] indices."""
        return np.flatnonzero(vertices[self.faces].all(1))


def split_parts(head: FlameHead) -> RigParts:
    """Parts and visibility of a rig."""
    vertices = head.template.double().numpy()
    faces = head.faces.numpy()
    weights = head.lbs_weights.double().numpy()
    return RigParts(
        vertices=vertices,
        faces=faces,
        normals=vertex_normals(vertices, faces),
        part=_parts(faces, weights),
        visible=_visible_vertices(head),
        weights=weights,
        joints=head.joints(head.template).double().numpy(),
    )


def _parts(faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The largest piece is skin, what turns with an eye joint an eye, the rest is in the mouth."""
    piece = components(faces, len(weights))
    used = np.bincount(faces.ravel(), minlength=len(weights)) > 0
    sizes = np.bincount(piece, weights=used)
    part = np.where(weights[:, 2] > 0.5, LOWER, UPPER)
    part[piece == sizes.argmax()] = SKIN
    part[weights[:, 3] > 0.5] = LEFT_EYE
    part[weights[:, 4] > 0.5] = RIGHT_EYE
    part[~used] = -1
    return part


def _visible_vertices(head: FlameHead) -> np.ndarray:
    """Vertices that at least one camera around the head sees: [V] bool."""
    seen = torch.zeros(len(head.template), dtype=torch.bool)
    pivot = head.joints(head.template)[2]
    for yaw, pitch in VIEW_ANGLES:
        camera = orbit(front_camera(head), yaw, pitch, pivot)
        view = render_mesh(head.template, head.faces, camera)
        place = head.template @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixel = (
            (place[:, :2] / place[:, 2:] * camera.K.diagonal()[:2] + camera.K[:2, 2]).floor().long()
        )
        inside = ((pixel >= 0) & (pixel < camera.width)).all(1)
        x, y = pixel.clamp(0, camera.width - 1).unbind(1)
        seen |= inside & (place[:, 2] < view.depth[y, x] + VISIBLE_DEPTH)
    return seen.numpy()
