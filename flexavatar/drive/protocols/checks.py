"""What every protocol's numbers must be: packets of broken or hostile senders end here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from flexavatar.errors import DriveError
from flexavatar.types import NS_PER_S

SANE = 10.0
"""Weights are about 0..1, calibrated ones a little beyond; a packet that says more is broken."""
SUBJECT_LENGTH = 64
MOST_FAULTS = 64
"""Of one packet that are told; others are left out as well."""

T = TypeVar("T")


def finite(name: str, value: object, largest: float) -> float:
    """The number, if it is one and of a sane size. Raises DriveError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DriveError(f"{name}: expected a number, got {type(value)}")
    if not abs(value) <= largest:  # also false for NaN
        raise DriveError(f"{name}: expected at most {largest:g} in size, got {value!r:.40}")
    return float(value)


class Faults(list[str]):
    """What of one packet cannot be read and is left out, in words; the rest is taken."""

    def attempt(self, read: Callable[[], T]) -> T | None:
        """What `read` gives; None, and a fault, where it raises DriveError."""
        try:
            return read()
        except DriveError as error:
            if len(self) < MOST_FAULTS:
                self.append(str(error))
            return None

    def finite_weights(self, weights: Iterable[tuple[str, object]]) -> dict[str, float]:
        """Named weights, the last of each name, without those that are no number or not SANE."""
        checked = [
            (name, self.attempt(partial(finite, name, value, SANE))) for name, value in weights
        ]
        return {name: value for name, value in checked if value is not None}

    def check_rest(self, found: object) -> None:
        """Raise DriveError, the first fault, if nothing was found beside faults."""
        if self and not found:
            raise DriveError(self[0])


def printable(text: str) -> str:
    """A subject's name as it can be shown on one line."""
    return "".join(c for c in text if c.isprintable())[:SUBJECT_LENGTH].strip()


def nanoseconds(seconds: float) -> int:
    """A clock's reading that fits a frame's header. Raises DriveError."""
    if not (math.isfinite(seconds) and 0 <= seconds < 2**33):
        raise DriveError(f"time: expected 0 to 2^33 s, got {seconds:g}")
    return round(seconds * NS_PER_S)
