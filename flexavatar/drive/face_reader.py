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
SURE = 1e-4
FEATURES = 3 * topology.COUNT + len(ARKIT_NAMES) + 4
SCALES = np.repeat((20.0, 0.3, 20.0), (3 * topology.COUNT, len(ARKIT_NAMES), 4))
"""So that ridge regression weighs them alike."""
PATH = Path(__file__).parents[1] / "assets" / "models" / "face_reader.safetensors"


@dataclass(frozen=True)
class Seen:
    """A face freed of place, size and turn."""

    points: Array  # [478, 3] head axes; the eyes' outer corners are 1 apart, the bridge is 0
    turn: Array  # [3, 3] of the head
    logits: Array  # [52] of MediaPipe's scores
    irises: Array  # [4] left and right: across, down, in widths of the eye


@dataclass(frozen=True)
class Rest:
    """A person who does nothing."""

    points: Array  # [478, 3] as Seen's, upright
    turn: Array  # [3, 3] how the head is held
    logits: Array  # [52]
    irises: Array  # [4]


def see(face: FaceLandmarks, upright: Array) -> Seen:
    """A face with its head turned as `upright` [478, 3] is."""
    points = face.points.astype(np.float64) * HEAD_AXES
    apart = float(np.linalg.norm(points[OUTER_CORNERS[0]] - points[OUTER_CORNERS[1]]))
    points = (points - points[BRIDGE]) / max(apart, 1e-6)
    turn, scale = _turned(upright[STABLE], points[STABLE])
    middle = points[STABLE].mean(0)
    level = (points - middle) @ turn / scale + upright[STABLE].mean(0)
    scores = np.array([face.scores.get(name, 0.0) for name in ARKIT_NAMES])
    held = np.clip(scores, SURE, 1 - SURE)
    return Seen(level, turn, np.log(held / (1 - held)), _irises(face.points))


def rest_of(seen: Sequence[Seen], upright: Array) -> Rest:
    """The median of a person's faces that were seen with `upright`."""
    points = np.median([one.points for one in seen], axis=0)
    points = (points - points[BRIDGE]) / np.linalg.norm(np.subtract(*points[[*OUTER_CORNERS]]))
    turn, _ = _turned(np.eye(3), np.median([one.turn.T for one in seen], axis=0))
    logits, irises = (np.median(x, axis=0) for x in zip(*((s.logits, s.irises) for s in seen)))  # noqa: B905
    return Rest(points, turn, logits, irises)


def features(seen: Seen, rest: Rest) -> Array:
    """What differs from rest: [FEATURES]. `seen` was seen with `rest.points`."""
    offsets = (seen.points - rest.points).ravel()
    parts = (offsets, seen.logits - rest.logits, seen.irises - rest.irises)
    return SCALES * np.concatenate(parts)


def turn_since(seen: Seen, rest: Rest) -> AxisAngle:
    """The head's turn since rest as axis-angle in the head frame, whatever the camera's height."""
    import cv2

    x, y, z = cv2.Rodrigues(rest.turn.T @ seen.turn)[0][:, 0]
    return AxisAngle(float(x), float(y), float(z))


def _turned(upright: Array, points: Array) -> tuple[Array, float]:
    """Rotation and scale that bring `upright` [N, 3] to `points` [N, 3] best (Umeyama, 1991)."""
    own, other = upright - upright.mean(0), points - points.mean(0)
    left, sizes, right = np.linalg.svd(other.T @ own)
    sizes[-1] *= (sign := np.sign(np.linalg.det(left @ right)))
    rotation = left @ np.diag((1.0, 1.0, sign)) @ right
    return rotation, float(sizes.sum() / max((own**2).sum(), 1e-12))


def _irises(points: NDArray[np.float32]) -> Array:
    """Where irises lie between the corners of their eyes."""
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
    """The map, as it is installed."""

    upright: Array  # [478, 3] the rig's own landmarks, as Seen's
    matrix: Array  # [FEATURES, S]
    names: tuple[str, ...]
    """[S] shapes that it sees."""

    def weights(self, seen: Seen, rest: Rest) -> dict[str, float]:
        """By ARKit's name, 0..1, of the shapes that are seen; both eyes look the same way."""
        values = np.clip(features(seen, rest) @ self.matrix, 0, 1)
        return _together(dict(zip(self.names, values.tolist(), strict=True)))


def _together(weights: dict[str, float]) -> dict[str, float]:
    """Eyes that look at one thing: each is seen badly, both together better."""
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
