"""How somebody wants an avatar to follow them: stronger here, calmer there, or as in a mirror."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flexavatar.drive.head_angles import AxisAngle
from flexavatar.drive.mixer import MAX_GAIN
from flexavatar.drive.one_euro import Smoothing
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES, mirrored_name

MAX_SMOOTHING = 10.0
MIRRORED = [ARKIT_INDEX[mirrored_name(name)] for name in ARKIT_NAMES]
"""Of each shape, the one on the other side."""


@dataclass(frozen=True)
class Profile:
    """What is changed of every signal of an app."""

    gains: Mapping[str, float] = field(default_factory=dict)
    """By ARKit's name, what a weight is multiplied with, 0..4; 1 where it is not given."""
    smoothing: float = 1.0
    """How much is smoothed, in what is usual: 0.1..10; 2 trembles half as much, and lags more."""
    mirror: bool = False
    """Whether left and right change places."""

    def __post_init__(self) -> None:
        """Raises DriveError."""
        if unknown := self.gains.keys() - ARKIT_INDEX.keys():
            raise DriveError(f"gain: not ARKit names: {sorted(unknown)}")
        if bad := {name: gain for name, gain in self.gains.items() if not 0 <= gain <= MAX_GAIN}:
            raise DriveError(f"gain: expected 0..{MAX_GAIN:g}, got {bad}")
        if not 1 / MAX_SMOOTHING <= self.smoothing <= MAX_SMOOTHING:
            raise DriveError(f"smoothing: expected 0.1..{MAX_SMOOTHING:g}, got {self.smoothing:g}")

    def smoothed(self, usual: Smoothing) -> Smoothing:
        """So much more or less than usual."""
        return replace(
            usual, cutoff_hz=usual.cutoff_hz / self.smoothing, follow=usual.follow / self.smoothing
        )

    def turned(self, signal: Signal) -> Signal:
        """The same signal, in a mirror if so wanted."""
        if not self.mirror:
            return signal
        head = signal.head
        if head is not None:
            x, y, z = head.neck_pose
            head = replace(head, neck_pose=AxisAngle(x, -y, -z))
        weights, sent = signal.weights[MIRRORED], signal.sent[MIRRORED]
        return replace(signal, weights=weights, sent=sent, head=head)

    def to_json(self) -> dict[str, Any]:
        """As `profile_from_json` reads it."""
        return {"gains": dict(self.gains), "smoothing": self.smoothing, "mirror": self.mirror}


USUAL_PROFILE = Profile()


def profile_from_json(value: Any) -> Profile:
    """Raises DriveError for what is none."""
    try:
        gains = {str(name): float(gain) for name, gain in dict(value["gains"]).items()}
        return Profile(gains, float(value["smoothing"]), bool(value["mirror"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DriveError(f"profile: expected gains, smoothing and mirror ({error})") from None


def parse_gains(pairs: Sequence[str]) -> dict[str, float]:
    """`jawOpen=1.4` ... -> gains. Raises DriveError."""
    gains = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            gains[name] = float(value)
        except ValueError:
            gains[name] = math.nan
        if not math.isfinite(gains[name]):
            raise DriveError(f"gain: expected NAME=FACTOR, got {pair!r}")
    return gains
