"""Does an avatar do what it is asked? Shapes are rendered and seen again by MediaPipe.

Each ARKit shape is asked for alone, in steps from rest to full, drawn in the avatar's own view and
shown to MediaPipe, whose scores for all shapes are compared with what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.avatar import Avatar
from flexavatar.capture.landmarks import detect_faces, refine_face
from flexavatar.errors import FaceError
from flexavatar.evaluation.sheet import Stage
from flexavatar.head.arkit import ARKIT_NAMES, mirrored_name

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
BLIND = (
    "cheekPuff", "cheekSquint", "eyeSquint", "jawForward", "jawLeft", "jawRight", "mouthDimple",
    "noseSneer", "tongueOut", "mouthClose",
)  # fmt: skip
"""Shapes that MediaPipe's scores hardly tell apart on real faces; both sides of each."""

Scores = Mapping[str, float]


@dataclass(frozen=True)
class ShapeResponse:
    """How one shape is seen when it alone is asked for."""

    shape: str
    at_rest: float
    """Seen when nothing is asked."""
    at_full: float
    """Seen when 1 is asked."""
    correlation: float
    """Of asked and seen over LEVELS; 0 if what is seen does not change."""
    leak: float
    """Largest change of any other shape, its mirror image included."""


@dataclass(frozen=True)
class ExpressionReport:
    """The 52 shapes of one avatar, and what matters most by itself."""

    shapes: tuple[ShapeResponse, ...]
    blink_rest: float
    blink_full: float
    jaw_rest: float
    jaw_full: float
    gaze_correlation: float
    mean_correlation: float
    """Over the shapes that MediaPipe can see."""
    asymmetry: float
    """Mean difference of left and right responses at full."""


def expression_report(
    avatar: Avatar, progress: Callable[[str, float], None] = lambda what, share: None
) -> ExpressionReport:
    """Ask for every shape. Raises FaceError if MediaPipe finds no face in the avatar at rest."""
    watch = _Watch(Stage.of(avatar))
    rest = watch.scores({})
    rows: list[ShapeResponse] = []
    for i, shape in enumerate(ARKIT_NAMES):
        seen = [rest, *(watch.scores({shape: level}) for level in LEVELS[1:])]
        rows.append(_response(shape, seen))
        progress(shape, (i + 1) / len(ARKIT_NAMES))
    found = {row.shape: row for row in rows}
    blinks = [watch.scores({"eyeBlinkLeft": v, "eyeBlinkRight": v}) for v in (0.0, 1.0)]
    visible = [r.correlation for r in rows if not r.shape.startswith(BLIND)]
    sided = [r for r in rows if r.shape.endswith("Left") and not r.shape.startswith(BLIND)]
    return ExpressionReport(
        shapes=tuple(rows),
        blink_rest=_both(blinks[0], "eyeBlink"),
        blink_full=_both(blinks[1], "eyeBlink"),
        jaw_rest=found["jawOpen"].at_rest,
        jaw_full=found["jawOpen"].at_full,
        gaze_correlation=_gaze_correlation(watch),
        mean_correlation=float(np.mean(visible)),
        asymmetry=float(
            np.mean([abs(r.at_full - found[mirrored_name(r.shape)].at_full) for r in sided])
        ),
    )


class _Watch:
    """Draws an avatar and reads its face."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def scores(self, weights: Mapping[str, float]) -> Scores:
        """MediaPipe's scores of the avatar with these ARKit weights."""
        picture = self.stage.shoot(self.stage.codes(weights), self.stage.avatar.camera)
        rgb: NDArray[np.uint8] = np.ascontiguousarray(picture)
        faces = detect_faces(rgb)
        if not faces:
            raise FaceError(f"expected a face in the avatar with {dict(weights)}, found none")
        return refine_face(rgb, faces[0]).scores


def _response(shape: str, seen: Sequence[Scores]) -> ShapeResponse:
    own = np.array([scores.get(shape, 0.0) for scores in seen])
    flat = float(np.std(own)) < 1e-4
    others = [abs(seen[-1][n] - seen[0][n]) for n in seen[0] if n != shape]
    return ShapeResponse(
        shape,
        float(own[0]),
        float(own[-1]),
        0.0 if flat else float(np.corrcoef(LEVELS, own)[0, 1]),
        float(max(others)),
    )


def _both(scores: Scores, name: str) -> float:
    """Mean of left and right."""
    return 0.5 * (scores[f"{name}Left"] + scores[f"{name}Right"])


def _gaze_correlation(watch: _Watch) -> float:
    """Of asked and seen gaze, sideways and up and down, over a sweep of both: the lesser one."""
    steps = np.linspace(-1, 1, 7)
    sideways = [_sideways(watch.scores(_look(float(x), 0.0))) for x in steps]
    upward = [_upward(watch.scores(_look(0.0, float(y)))) for y in steps]
    return float(min(np.corrcoef(steps, sideways)[0, 1], np.corrcoef(steps, upward)[0, 1]))


def _look(x: float, y: float) -> dict[str, float]:
    """Both eyes to the person's left (x > 0) and up (y > 0)."""
    return {
        "eyeLookOutLeft": max(x, 0.0),
        "eyeLookInRight": max(x, 0.0),
        "eyeLookInLeft": max(-x, 0.0),
        "eyeLookOutRight": max(-x, 0.0),
        "eyeLookUpLeft": max(y, 0.0),
        "eyeLookUpRight": max(y, 0.0),
        "eyeLookDownLeft": max(-y, 0.0),
        "eyeLookDownRight": max(-y, 0.0),
    }


def _sideways(scores: Scores) -> float:
    left = scores["eyeLookOutLeft"] + scores["eyeLookInRight"]
    return 0.5 * (left - scores["eyeLookInLeft"] - scores["eyeLookOutRight"])


def _upward(scores: Scores) -> float:
    return _both(scores, "eyeLookUp") - _both(scores, "eyeLookDown")
