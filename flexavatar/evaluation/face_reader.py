"""The face reader on an avatar of which shapes are asked, beside MediaPipe's own scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.capture.landmarks import FaceLandmarks, detect_faces
from flexavatar.drive.face_reader import load_face_reader, median_rest_face, normalize_face
from flexavatar.errors import FaceError
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.evaluation.report import Item
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.progress import Progress, no_progress
from flexavatar.render.camera import orbit
from flexavatar.training.people.expressions import natural_weights, random_weights

LEVELS = (0.5, 1.0)
NATURAL_COUNT, RANDOM_COUNT = 100, 100
TURN_DEG = (6.0, 5.0)
"""Spread of the camera's yaw and pitch."""
REST_COUNT = 5
UNSEEN_BY_MEDIAPIPE = (
    "cheekPuff", "tongueOut", "eyeWideLeft", "eyeWideRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""What MediaPipe's scores are known not to see."""

Weights = Mapping[str, float]


def asked_expressions(rng: np.random.Generator) -> list[Weights]:
    """Rest, every shape by itself, and mixtures."""
    single: list[Weights] = [{}] * REST_COUNT
    for name in ARKIT_NAMES:
        needs = {"jawOpen": 1.0} if name in ("tongueOut", "mouthClose") else {}
        single += [{n: level * w for n, w in (needs | {name: 1.0}).items()} for level in LEVELS]
    mixed = [natural_weights(rng) for _ in range(NATURAL_COUNT)]
    return [*single, *mixed, *(random_weights(rng) for _ in range(RANDOM_COUNT))]


def evaluate_face_reader(
    avatar: AnyAvatar, progress: Progress = no_progress, seed: int = 0
) -> Item:
    """Ask, draw and read the face. Raises FaceError if the avatar at rest shows no face."""
    renderer, reader = AvatarRenderer.of(avatar), load_face_reader()
    rng = np.random.default_rng(seed)
    wanted = asked_expressions(rng)
    seen: list[tuple[Weights, FaceLandmarks]] = []
    for i, weights in enumerate(wanted):
        progress("asking", i / len(wanted))
        yaw, pitch = (float(rng.normal(0, spread)) for spread in TURN_DEG)
        camera = orbit(avatar.camera, yaw, pitch)
        faces = detect_faces(renderer.render(renderer.codes(weights), camera))
        seen += [(weights, face) for face in faces[:1]]
    resting = [normalize_face(face, reader.upright) for weights, face in seen if not weights]
    if not resting:
        raise FaceError("expected a face in the avatar at rest, found none")
    rest = median_rest_face(resting, reader.upright)
    read = [reader.weights(normalize_face(face, rest.points), rest) for _, face in seen]
    truth, raw, found = (
        np.array([[row.get(name, 0.0) for name in ARKIT_NAMES] for row in rows])
        for rows in ([w for w, _ in seen], [face.scores for _, face in seen], read)
    )
    table = [
        {
            "shape": name,
            "raw": _correlation(truth[:, k], raw[:, k]),
            "read": _correlation(truth[:, k], found[:, k]),
            "sent": name in reader.names,
        }
        for k, name in enumerate(ARKIT_NAMES)
    ]
    return Item("shapes asked", _figures(table), tables={"shapes": table})


def _correlation(truth: np.ndarray, found: np.ndarray) -> float:
    return float(np.corrcoef(truth, found)[0, 1]) if found.std() > 1e-6 else 0.0


def _figures(table: list[dict[str, object]]) -> dict[str, float]:
    """Means of all shapes, and the two figures of each that is known to be hard."""
    figures = {
        f"{kind}_correlation": float(np.mean([float(str(row[kind])) for row in table]))
        for kind in ("raw", "read")
    }
    for row in table:
        if row["shape"] in UNSEEN_BY_MEDIAPIPE:
            figures |= {f"{row['shape']} {kind}": float(str(row[kind])) for kind in ("raw", "read")}
    return figures
