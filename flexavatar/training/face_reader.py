"""Fits the map from landmarks to ARKit weights: `python -m flexavatar.training.face_reader OUT`.

Synthetic people are photographed at rest and with known weights, MediaPipe looks at them, and ridge
regression goes from what differs from rest to the weights. A shape that comes out badly for people
who were left out is not in the map: better not sent than wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from safetensors.numpy import save_file

from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.landmarks import FaceLandmarks, detect_faces
from flexavatar.drive.expressions import both
from flexavatar.drive.face_reader import (
    BRIDGE,
    OUTER_CORNERS,
    features,
    median_rest_face,
    normalize_face,
)
from flexavatar.head.arkit import ARKIT_NAMES, SIDES
from flexavatar.training.people.camera import photo_camera
from flexavatar.training.people.expressions import ANCHORS, natural_weights, random_weights
from flexavatar.training.people.person import SyntheticPerson
from flexavatar.training.people.picture import photograph
from flexavatar.training.people.traits import sample_traits
from flexavatar.training.samples import degrade_photo

Array = NDArray[np.float64]

FIRST_SEED = 50_000
SIDE, CHART_PX = 384, 256
REST_PICTURES = 3
RIDGE = 30.0
FOLDS = 5
LEAST_CORRELATION = 0.25
"""Of people left out, from which on a shape is sent."""
NEVER_SENT = ("tongueOut",)
"""Landmarks have no tongue: what looks like one is the open jaw that it comes with."""
STRONG_WEIGHT, LARGEST_GAIN = 0.8, 2.0
NO_GAIN_CORRELATION, FULL_GAIN_CORRELATION = 0.4, 0.8
"""Correlations up to which a shape stays as weak as regression makes it, and from which on it is
brought to its full strength."""
BOTH_SIDES_CHANCE = 0.6


@dataclass(frozen=True)
class PersonLandmarks:
    """Landmarks of one person's pictures, and the weights that were asked."""

    rest: Sequence[FaceLandmarks]
    faces: Sequence[FaceLandmarks]
    weights: Array  # [N, 52] of `faces`


def sample_expressions(rng: np.random.Generator) -> list[Mapping[str, float]]:
    """ARKit weights that one person shows: single shapes, natural faces, mixtures, anchors."""
    single = [_sample_single(rng) for _ in range(6)]
    natural = [natural_weights(rng) for _ in range(5)]
    mixed = [random_weights(rng) for _ in range(5)]
    anchors = [ANCHORS[str(rng.choice(list(ANCHORS)))] for _ in range(2)]
    return [*single, *natural, *mixed, *anchors]


def _sample_single(rng: np.random.Generator) -> Mapping[str, float]:
    """One shape, often of both sides, with the jaw that it needs."""
    name, value = str(rng.choice(ARKIT_NAMES)), float(rng.uniform(0.4, 1))
    stem = next((name.removesuffix(side) for side in SIDES if name.endswith(side)), "")
    weights = both(stem, value) if stem and rng.uniform() < BOTH_SIDES_CHANCE else {name: value}
    if name in ("tongueOut", "mouthClose"):
        weights["jawOpen"] = value
    return weights


def photograph_person(seed: int, rng: np.random.Generator) -> PersonLandmarks | None:
    """Landmarks of the person of a seed, None if MediaPipe does not find the face at rest."""
    person = SyntheticPerson(sample_traits(seed), CHART_PX)

    def detect(weights: Mapping[str, float]) -> FaceLandmarks | None:
        shot = photograph(person.face(weights), photo_camera(rng, SIDE))
        picture = (shot.before_wall().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        return next(iter(detect_faces(degrade_photo(picture, rng))), None)

    rest = [detect({}) for _ in range(REST_PICTURES)]
    shown = [(weights, detect(weights)) for weights in sample_expressions(rng)]
    found = [(weights, face) for weights, face in shown if face is not None]
    if None in rest or not found:
        return None
    rows = [[weights.get(name, 0.0) for name in ARKIT_NAMES] for weights, _ in found]
    faces = [face for _, face in found]
    return PersonLandmarks([face for face in rest if face is not None], faces, np.array(rows))


def upright_landmarks() -> Array:
    """The rig's own landmarks with the bridge at 0 and the eyes' corners 1 apart: [478, 3]."""
    points = load_landmark_rig().points
    apart = np.linalg.norm(points[OUTER_CORNERS[0]] - points[OUTER_CORNERS[1]])
    return (points - points[BRIDGE]) / apart


def training_rows(person: PersonLandmarks, upright: Array) -> tuple[Array, Array]:
    """One person's features [N, FEATURES] and weights [N, 52], those at rest included."""
    rest = median_rest_face([normalize_face(face, upright) for face in person.rest], upright)
    faces = [*person.rest, *person.faces]
    rows = np.stack([features(normalize_face(face, rest.points), rest) for face in faces])
    return rows, np.concatenate((np.zeros((len(person.rest), 52)), person.weights))


def fit_face_reader(people: Sequence[PersonLandmarks]) -> tuple[dict[str, Array], dict[str, float]]:
    """Fit the map: its tensors, and each shape's correlation for people left out."""
    upright = upright_landmarks()
    rows = [training_rows(person, upright) for person in people]
    guessed = [np.zeros((0, 52))] * len(rows)
    for fold in range(FOLDS):
        matrix = _ridge_regression([row for i, row in enumerate(rows) if i % FOLDS != fold])
        for i in range(fold, len(rows), FOLDS):
            guessed[i] = rows[i][0] @ matrix
    guess, truth = np.concatenate(guessed), np.concatenate([weights for _, weights in rows])
    found = dict(zip(ARKIT_NAMES, _correlations(guess.clip(0, 1), truth), strict=True))
    gains = [_gain(guess[:, k], truth[:, k], found[name]) for k, name in enumerate(ARKIT_NAMES)]
    sent = [i for i, name in enumerate(ARKIT_NAMES) if name in readable_shapes(found)]
    return {
        "upright": upright,
        "matrix": (_ridge_regression(rows) * np.array(gains))[:, sent],
    }, found


def readable_shapes(found: Mapping[str, float]) -> list[str]:
    """The shapes that the map reads well enough to be sent."""
    return [n for n in ARKIT_NAMES if found[n] >= LEAST_CORRELATION and n not in NEVER_SENT]


def _ridge_regression(rows: Sequence[tuple[Array, Array]]) -> Array:
    x, y = (np.concatenate(part) for part in zip(*rows, strict=True))
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y), np.float64)


def _correlations(guess: Array, truth: Array) -> list[float]:
    return [float(np.corrcoef(guess[:, k], truth[:, k])[0, 1]) for k in range(truth.shape[1])]


def _gain(guess: Array, truth: Array, correlation: float) -> float:
    """Factor that brings strong faces, which ridge regression underestimates, to their strength.

    1 for shapes of low correlation: it would also enlarge what is mistaken for them.
    """
    strong = truth >= STRONG_WEIGHT
    reached = float(np.median(guess[strong] / truth[strong])) if strong.any() else 1.0
    whole = float(np.clip(1 / max(reached, 1e-6), 1, LARGEST_GAIN))
    return 1 + (whole - 1) * float(
        np.clip(
            (correlation - NO_GAIN_CORRELATION) / (FULL_GAIN_CORRELATION - NO_GAIN_CORRELATION),
            0,
            1,
        )
    )


def save_face_reader(path: Path, tensors: Mapping[str, Array], found: Mapping[str, float]) -> None:
    """Write the map in half precision, with the names of its shapes."""
    names = readable_shapes(found)
    matrix = np.ascontiguousarray(tensors["matrix"], np.float16)
    upright = np.ascontiguousarray(tensors["upright"], np.float32)
    save_file({"matrix": matrix, "upright": upright}, path, {"names": json.dumps(names)})


def main(out: Path, people: int = 130, progress: Callable[[str], None] = print) -> None:
    """Make people (seven seconds each), learn, write, and print what is seen."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(FIRST_SEED)
    made: list[PersonLandmarks] = []
    for seed in range(FIRST_SEED, FIRST_SEED + people):
        if (person := photograph_person(seed, rng)) is not None:
            made.append(person)
        progress(f"{len(made)} people")
    tensors, found = fit_face_reader(made)
    save_face_reader(out, tensors, found)
    for name, value in found.items():
        progress(f"{name:20} {value:5.2f}{'' if name in readable_shapes(found) else '  not sent'}")


if __name__ == "__main__":
    tyro.cli(main)
