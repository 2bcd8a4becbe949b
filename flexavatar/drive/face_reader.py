"""A face's landmarks and scores, beside the same person's at rest -> ARKit weights.

MediaPipe's scores are blind to some shapes (cheeks, nose, lids wide open) and shy in others, and do
not know how a person looks at rest. Its landmarks say more, once the head's turn is taken away and
the person's own rest subtracted: a linear map of what is left, learned on synthetic people
(`training/face_reader.py`), gives the weights. Shapes that it does not see are not in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from flexavatar.capture import topology
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.drive.head_angles import AxisAngle
from flexavatar.errors import AssetError
from flexavatar.head.arkit import ARKIT_NAMES, SIDES

Array = NDArray[np.float64]

STABLE = [
    10, 338, 297, 332, 284, 251, 109, 67, 103, 54, 21, 127, 356, 234, 454, 93, 323,
    8, 9, 151, 168, 6, 197, 195, 5, 4, 1, 33, 133, 263, 362,
]  # fmt: skip
"""Landmarks that expressions hardly move: forehead, temples, bridge of the nose, eyes' corners."""
BRIDGE, OUTER_CORNERS = 168, (33, 263)
EYES = ((topology.LEFT_IRIS[0], 362, 263), (topology.RIGHT_IRIS[0], 33, 133))
"""Iris and corners of the left and right eye, from the picture's left to its right."""
HEAD_AXES = np.array([1.0, -1.0, -1.0])
"""MediaPipe's y is down and its z away from the camera."""
SCORE_MARGIN = 1e-4
FEATURES = 3 * topology.COUNT + len(ARKIT_NAMES) + 4
SCALES = np.repeat((20.0, 0.3, 20.0), (3 * topology.COUNT, len(ARKIT_NAMES), 4))
"""So that ridge regression weighs them alike."""
PATH = Path(__file__).parents[1] / "assets" / "models" / "face_reader.safetensors"


@dataclass(frozen=True)
class NormalizedFace:
    """A face without its place, size and rotation."""

    points: Array  # [478, 3] head axes; the eyes' outer corners are 1 apart, the bridge is 0
    rotation: Array  # [3, 3] of the head
    logits: Array  # [52] of MediaPipe's scores
    irises: Array  # [4] left and right: across, down, in widths of the eye


@dataclass(frozen=True)
class RestFace:
    """A person's face at rest."""

    points: Array  # [478, 3] as NormalizedFace's, upright
    rotation: Array  # [3, 3] of the head
    logits: Array  # [52]
    irises: Array  # [4]


def normalize_face(face: FaceLandmarks, upright: Array) -> NormalizedFace:
    """A face with its head rotated back to where `upright` [478, 3] has it."""
    points = face.points.astype(np.float64) * HEAD_AXES
    apart = float(np.linalg.norm(points[OUTER_CORNERS[0]] - points[OUTER_CORNERS[1]]))
    points = (points - points[BRIDGE]) / max(apart, 1e-6)
    rotation, scale = _fit_rotation(upright[STABLE], points[STABLE])
    middle = points[STABLE].mean(0)
    level = (points - middle) @ rotation / scale + upright[STABLE].mean(0)
    scores = np.array([face.scores.get(name, 0.0) for name in ARKIT_NAMES])
    inside = np.clip(scores, SCORE_MARGIN, 1 - SCORE_MARGIN)
    return NormalizedFace(level, rotation, np.log(inside / (1 - inside)), _iris_places(face.points))


def median_rest_face(faces: Sequence[NormalizedFace], upright: Array) -> RestFace:
    """The median of a person's faces that were normalized with `upright`."""
    points = np.median([face.points for face in faces], axis=0)
    points = (points - points[BRIDGE]) / np.linalg.norm(np.subtract(*points[[*OUTER_CORNERS]]))
    rotation, _ = _fit_rotation(np.eye(3), np.median([f.rotation.T for f in faces], axis=0))
    logits, irises = (np.median(x, axis=0) for x in zip(*((f.logits, f.irises) for f in faces)))  # noqa: B905
    return RestFace(points, rotation, logits, irises)


def features(face: NormalizedFace, rest: RestFace) -> Array:
    """Differences from rest: [FEATURES]. The face was normalized with `rest.points`."""
    offsets = (face.points - rest.points).ravel()
    parts = (offsets, face.logits - rest.logits, face.irises - rest.irises)
    return SCALES * np.concatenate(parts)


def rotation_since_rest(face: NormalizedFace, rest: RestFace) -> AxisAngle:
    """The head's rotation since rest in the head frame, whatever the camera's height."""
    import cv2

    x, y, z = cv2.Rodrigues(rest.rotation.T @ face.rotation)[0][:, 0]
    return AxisAngle(float(x), float(y), float(z))


def _fit_rotation(upright: Array, points: Array) -> tuple[Array, float]:
    """Rotation and scale that bring `upright` [N, 3] to `points` [N, 3] best (Umeyama, 1991)."""
    own, other = upright - upright.mean(0), points - points.mean(0)
    left, sizes, right = np.linalg.svd(other.T @ own)
    sizes[-1] *= (sign := np.sign(np.linalg.det(left @ right)))
    rotation = left @ np.diag((1.0, 1.0, sign)) @ right
    return rotation, float(sizes.sum() / max((own**2).sum(), 1e-12))


def _iris_places(points: NDArray[np.float32]) -> Array:
    """Irises from the middle of their eyes' corners, in widths of the eye: [4]."""
    found = []
    for iris, one, other in EYES:
        across = (points[other] - points[one])[:2].astype(np.float64)
        width = max(float(np.linalg.norm(across)), 1e-6)
        along = across / width
        off = (points[iris] - (points[one] + points[other]) / 2)[:2] / width
        found += [off @ along, off @ (-along[1], along[0])]
    return np.array(found)


@dataclass(frozen=True)
class FaceReader:
    """The linear map from features to weights, as it is installed."""

    upright: Array  # [478, 3] the rig's own landmarks, as NormalizedFace's
    matrix: Array  # [FEATURES, S]
    names: tuple[str, ...]
    """[S] the shapes that it gives, ARKit's."""

    def weights(self, face: NormalizedFace, rest: RestFace) -> dict[str, float]:
        """Weights by ARKit's name, 0..1; both eyes look the same way."""
        values = np.clip(features(face, rest) @ self.matrix, 0, 1)
        return _average_gaze(dict(zip(self.names, values.tolist(), strict=True)))


def _average_gaze(weights: dict[str, float]) -> dict[str, float]:
    """Let both eyes look at one thing: each is seen badly, both together better."""
    left, right = SIDES
    for one, other in (("In", "Out"), ("Up", "Up"), ("Down", "Down"), ("Out", "In")):
        names = f"eyeLook{one}{left}", f"eyeLook{other}{right}"
        if all(name in weights for name in names):
            weights |= dict.fromkeys(names, sum(weights[name] for name in names) / 2)
    return weights


@lru_cache(maxsize=1)
def load_face_reader() -> FaceReader:
    """The map that ships. Raises AssetError."""
    try:
        with safe_open(PATH, framework="np") as file:
            names = tuple(json.loads((file.metadata() or {})["names"]))
            upright, matrix = (file.get_tensor(n).astype(np.float64) for n in ("upright", "matrix"))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise AssetError(f"face reader: expected a map in {PATH} ({error})") from None
    if matrix.shape != (FEATURES, len(names)) or upright.shape != (topology.COUNT, 3):
        raise AssetError(f"face reader: {PATH}: expected other sizes, got {matrix.shape}")
    return FaceReader(upright, matrix, names)
