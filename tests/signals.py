"""Signals for tests, spelled by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple

import numpy as np

from flexavatar.drive.head_angles import AxisAngle, HeadAngles
from flexavatar.drive.signal import NO_PTS, HeadPose, Signal, weights_of


def signal_of(
    weights: Mapping[str, float],
    neck_pose: Sequence[float] | None = None,
    pts_ns: int = NO_PTS,
    source: str = "",
    mouth_hidden: float = 0.0,
    subject: str = "",
) -> Signal:
    """ARKit weights by name, and the neck's axis-angle."""
    return Signal(
        *weights_of(weights),
        head=None if neck_pose is None else HeadPose(AxisAngle(*neck_pose)),
        source=source,
        pts_ns=pts_ns,
        mouth_hidden=mouth_hidden,
        subject=subject,
    )


def frame_of(pts_ns: int, weights: Mapping[str, float], angles: Sequence[float]) -> Signal:
    """One instant of a performance; angles are yaw, pitch and roll."""
    return signal_of(weights, HeadAngles(*angles).axis_angle(), pts_ns)


def rounded(weights: Mapping[str, float]) -> dict[str, float]:
    """As a signal holds them: float32."""
    return {name: float(np.float32(weight)) for name, weight in weights.items()}


def assert_same(one: Signal | None, other: Signal | None) -> None:
    """Every field, bit by bit."""
    assert one is not None
    assert other is not None
    for a, b in zip(_leaves(astuple(one)), _leaves(astuple(other)), strict=True):
        np.testing.assert_array_equal(a, b)


def _leaves(values: tuple[object, ...]) -> Iterator[object]:
    for value in values:
        if isinstance(value, tuple):
            yield from _leaves(value)
        else:
            yield value
