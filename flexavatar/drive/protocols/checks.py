"""What every protocol's numbers must be: packets of broken or hostile senders end here."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import NS_PER_S

SANE = 10.0
"""Weights are about 0..1, calibrated ones a little beyond; a packet that says more is broken."""
SUBJECT_LENGTH = 64


def finite(name: str, value: object, largest: float) -> float:
    """The number, if it is one and of a sane size. Raises DriveError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DriveError(f"{name}: expected a number, got {type(value)}")
    if not abs(value) <= largest:  # also false for NaN
        raise DriveError(f"{name}: expected at most {largest:g} in size, got {value!r:.40}")
    return float(value)


def finite_weights(weights: Iterable[tuple[str, object]]) -> dict[str, float]:
    """Named weights, the last of each name. Raises DriveError if one is no number or not SANE."""
    return {name: finite(name, value, SANE) for name, value in weights}


def sane_weights(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same [52], in the order of ARKIT_NAMES. Raises DriveError if one is not SANE."""
    if not (fine := np.abs(weights) <= SANE).all():  # NaN is not fine
        bad = int(np.argmin(fine))
        finite(ARKIT_NAMES[bad], float(weights[bad]), SANE)
    return weights


def printable(text: str) -> str:
    """A subject's name as it can be shown on one line."""
    return "".join(c for c in text if c.isprintable())[:SUBJECT_LENGTH].strip()


def nanoseconds(seconds: float) -> int:
    """A clock's reading that fits a frame's header. Raises DriveError."""
    if not (math.isfinite(seconds) and 0 <= seconds < 2**33):
        raise DriveError(f"time: expected 0 to 2^33 s, got {seconds:g}")
    return round(seconds * NS_PER_S)
