"""How a voice shows: settings to choose, nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from flexavatar.errors import DriveError

Emotion = Literal["neutral", "happy", "sad", "angry", "surprised"]
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)


@dataclass(frozen=True)
class VoiceConfig:
    """How a voice shows."""

    intensity: float = 1.0
    """How much the mouth moves, 0..2; 1 is as trained. Lips that shut do so at any."""
    emotion: Emotion = "neutral"
    """What the face shows beside what is said."""
    emotion_strength: float = 0.6
    """How much of it, 0..1."""

    def __post_init__(self) -> None:
        """Raises DriveError."""
        for name, most in (("intensity", 2), ("emotion_strength", 1)):
            if not 0 <= getattr(self, name) <= most:  # also true for NaN
                raise DriveError(f"voice: {name}: expected 0..{most}, got {getattr(self, name)}")
        if self.emotion not in EMOTIONS:
            raise DriveError(f"voice: emotion: expected one of {EMOTIONS}, got {self.emotion!r}")


DEFAULT_VOICE = VoiceConfig()
