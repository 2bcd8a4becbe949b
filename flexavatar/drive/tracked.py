"""What a face tracker says at one instant, whatever protocol it speaks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flexavatar.drive.head_angles import Vector
from flexavatar.errors import DriveError
from flexavatar.head.arkit import GAZE_PITCH, GAZE_YAW, SIDES
from flexavatar.types import NS_PER_S

SANE = 10.0
"""Weights are about 0..1, calibrated ones a little beyond; a packet that says more is broken."""
SUBJECT_LENGTH = 64

Gaze = tuple[float, float]
"""Yaw to the person's left and pitch upwards of one eye in the head, radians."""


@dataclass(frozen=True)
class TrackedFace:
    """One instant of a tracked face. Only what was sent: a name that is missing was not."""

    weights: Mapping[str, float]
    """By ARKit's name, as sent: about 0..1, not clamped, but finite and within SANE. Gaze is in the
    eyeLook shapes, also if the app sends the eyes' angles alone."""
    head: Vector | None = None
    """Turn of the head as axis-angle in the head frame, radians."""
    subject: str = ""
    """Whom or what the app says it tracks."""
    time_ns: int | None = None
    """The sender's own clock; None if it sends none."""
    mouth_hidden: float = 0.0
    """How little of the mouth is seen, 0..1."""


def finite(name: str, value: object, largest: float) -> float:
    """The number, if it is one and of a sane size. Raises DriveError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DriveError(f"{name}: expected a number, got {type(value)}")
    if not abs(value) <= largest:  # also false for NaN
        raise DriveError(f"{name}: expected at most {largest:g} in size, got {value!r:.40}")
    return float(value)


def checked(weights: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Named weights, the last of each name. Raises DriveError if one is no number or not SANE."""
    return {name: finite(name, value, SANE) for name, value in weights}


def checked_subject(text: str) -> str:
    """A name that can be shown on one line."""
    return "".join(c for c in text if c.isprintable())[:SUBJECT_LENGTH].strip()


def with_gaze(weights: dict[str, float], gaze: tuple[Gaze, Gaze] | None) -> dict[str, float]:
    """The same, and the eyeLook weights that the eyes' angles mean if none were sent."""
    if gaze is None or any(name.startswith("eyeLook") for name in weights):
        return weights
    return weights | looks_of(*gaze)


def looks_of(left: Gaze, right: Gaze) -> dict[str, float]:
    """Angles of the eyes -> eyeLook weights, 0..1."""
    weights = {}
    for side, outward, (yaw, pitch) in zip(SIDES, (1, -1), (left, right), strict=True):
        across, up = outward * yaw / GAZE_YAW, pitch / GAZE_PITCH
        shown = {"Out": across, "In": -across, "Up": up, "Down": -up}
        weights |= {f"eyeLook{to}{side}": min(max(v, 0.0), 1.0) for to, v in shown.items()}
    return weights


def gaze_of(weights: Mapping[str, float]) -> tuple[Gaze, Gaze]:
    """eyeLook weights -> angles of the left and the right eye; for senders."""
    angles = []
    for side, outward in zip(SIDES, (1, -1), strict=True):
        look = {to: weights.get(f"eyeLook{to}{side}", 0.0) for to in ("Out", "In", "Up", "Down")}
        yaw = outward * GAZE_YAW * (look["Out"] - look["In"])
        angles.append((yaw, GAZE_PITCH * (look["Up"] - look["Down"])))
    return angles[0], angles[1]


def nanoseconds(seconds: float) -> int:
    """A clock's reading that fits a frame's header. Raises DriveError."""
    if not (math.isfinite(seconds) and 0 <= seconds < 2**33):
        raise DriveError(f"time: expected 0 to 2^33 s, got {seconds:g}")
    return round(seconds * NS_PER_S)
