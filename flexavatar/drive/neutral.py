"""A person's face at rest as one app sees it, and signals as what differs from it.

Phones see raised brows, a smile or a tilted head where there is none: by the face's build, the
app's own zero, and where the phone stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.head_angles import FORWARD, AxisAngle
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES

REST_S = 2.0
"""So long somebody looks ahead at rest."""
LEAST_SIGNALS = 20
MOST_AT_REST = 0.8
"""A shape beyond this is no rest: what is left of its way would be nothing."""


@dataclass(frozen=True)
class NeutralFace:
    """What one app sends of a face at rest."""

    weights: NDArray[np.float32]  # [52] 0..MOST_AT_REST
    turn: AxisAngle = FORWARD

    def relative(self, signal: Signal) -> Signal:
        """The same signal, 0 at rest; a shape still reaches 1 where the app says 1."""
        weights = signal.weights - self.weights
        weights = np.where(weights > 0, weights / (1 - self.weights), weights).clip(0, None)
        head = signal.head
        if head is not None:
            turn = self.turn.quaternion().inverse() @ head.neck_pose.quaternion()
            head = replace(head, neck_pose=turn.axis_angle())
        return replace(signal, weights=weights.astype(np.float32), head=head)

    def to_json(self) -> dict[str, Any]:
        """As `neutral_from_json` reads it."""
        shapes = {
            n: round(float(w), 4) for n, w in zip(ARKIT_NAMES, self.weights, strict=True) if w
        }
        return {"weights": shapes, "turn": [round(v, 5) for v in self.turn]}


def neutral_from_json(value: Any) -> NeutralFace:
    """Raises DriveError for what is none."""
    weights = np.zeros(len(ARKIT_NAMES), np.float32)
    try:
        for name, weight in dict(value["weights"]).items():
            weights[ARKIT_INDEX[name]] = float(weight)
        turn = AxisAngle(*(float(angle) for angle in value["turn"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DriveError(f"neutral face: expected weights and a turn ({error})") from None
    if not ((weights >= 0) & (weights <= MOST_AT_REST)).all() or not np.isfinite(turn).all():
        raise DriveError(f"neutral face: expected weights of 0..{MOST_AT_REST:g} and a finite turn")
    return NeutralFace(weights, turn)


class NeutralFaceFinder:
    """The first REST_S of a sender: their median is the face at rest, and blinks do not count."""

    def __init__(self) -> None:
        self._signals: list[Signal] = []
        self._began_s = 0.0

    def add(self, signal: Signal, now_s: float) -> NeutralFace | None:
        """The face at rest once enough was seen; None before."""
        if not self._signals:
            self._began_s = now_s
        self._signals.append(signal)
        if now_s - self._began_s < REST_S or len(self._signals) < LEAST_SIGNALS:
            return None
        weights = np.median([s.weights for s in self._signals], 0).clip(0, MOST_AT_REST)
        turns = [s.head.neck_pose for s in self._signals if s.head is not None]
        turn = AxisAngle(*np.median(np.array(turns), 0).tolist()) if turns else FORWARD
        return NeutralFace(weights.astype(np.float32), turn)


def neutral_faces_from_json(value: Any) -> Mapping[str, NeutralFace]:
    """By the source's name. Raises DriveError."""
    if not isinstance(value, dict):
        raise DriveError("neutral faces: expected an object")
    return {str(source): neutral_from_json(face) for source, face in value.items()}
