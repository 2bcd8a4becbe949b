"""The open head reduced to MediaPipe's landmarks, as the tracker fits it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.head.arkit_fit import arkit_displacements
from flexavatar.head.binding import Binding
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import interpolate_barycentric

Array = NDArray[np.float64]

LANDMARKS_PATH = Path(__file__).parents[1] / "assets/head/landmarks.npz"


@dataclass(frozen=True)
class LandmarkRig:
    """The landmarks of a head and how they move."""

    points: Array  # [478, 3] neutral, metres
    identity: Array  # [478, 3, B]
    expression: Array  # [478, 3, 52] ARKit order
    shape_names: tuple[str, ...]
    eye_centres: Array  # [2, 3] left, right
    eye_identity: Array  # [2, 3, B]

    def landmarks(self, betas: Array, weights: Array, gaze: Array) -> Array:
        """Landmarks of a person [B] with an expression [52] and a gaze [2, 2]: [478, 3].

        Head frame, metres; gaze is pitch and yaw of the left and the right eye, radians.
        """
        neutral = self.points + self.identity @ betas
        points = neutral + self.expression @ weights
        for eye, iris in enumerate((topology.LEFT_IRIS, topology.RIGHT_IRIS)):
            centre = self.eye_centres[eye] + self.eye_identity[eye] @ betas
            arm = neutral[list(iris)] - centre
            points[list(iris)] = centre + arm @ _gaze_rotation(gaze[eye]).T
        return points


def _gaze_rotation(gaze: Array) -> Array:
    cp, sp, cy, sy = np.cos(gaze[0]), np.sin(gaze[0]), np.cos(gaze[1]), np.sin(gaze[1])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return yaw @ pitch


def load_landmark_binding(path: Path = LANDMARKS_PATH) -> Binding:
    """Where the landmarks lie on the open head, as `flexavatar.rigs.bake_landmarks` found: 478."""
    with np.load(path, allow_pickle=False) as data:
        return Binding(torch.from_numpy(data["vertex_ids"]).long(), torch.from_numpy(data["bary"]))


@lru_cache(maxsize=1)
def load_landmark_rig() -> LandmarkRig:
    """The landmark rig of the open head."""
    head, binding = load_open_head(), load_landmark_binding()
    eyes = head.joint_regressor[3:]  # [2, V]
    return LandmarkRig(
        points=_at(head.template, binding),
        identity=_at(head.identity, binding),
        expression=_at(arkit_displacements(head).permute(1, 2, 0), binding),
        shape_names=ARKIT_NAMES,
        eye_centres=(eyes @ head.template).double().numpy(),
        eye_identity=torch.einsum("jv,vcb->jcb", eyes, head.identity).double().numpy(),
    )


def _at(field: Tensor, binding: Binding) -> Array:
    """A vertex field at the landmarks: [V, ...] -> [478, ...]."""
    return interpolate_barycentric(field, binding).double().numpy()
