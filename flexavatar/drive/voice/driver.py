"""A voice moves the mouth: speech in pieces of any size to ARKit weights, fifty times a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from flexavatar.drive.signal import Mask, Weights
from flexavatar.drive.voice.articulation import FEELING_WEIGHTS, SPOKEN, arkit_weights
from flexavatar.drive.voice.config import USUAL, VoiceConfig
from flexavatar.drive.voice.features import BEFORE, RATE, STEP, Ear, Resampler, Sound, sound_of
from flexavatar.drive.voice.network import Articulators, Listener, LoudListener
from flexavatar.drive.voice.torch_network import DELAY
from flexavatar.errors import DriveError

RATES = (8_000, 48_000)
SAMPLE_BYTES = 2
LOOK_AHEAD_MS = 1000 * (DELAY * STEP + BEFORE) / RATE + 1
"""From an instant to the last sample that its frame needs: the network's steps, half of a window
of two frames, and the resampler's kernel (1 ms at most)."""
CLOSING = 8
"""Steps in which the mouth closes after the end."""


@dataclass(frozen=True, eq=False)
class VoiceFrame:
    """The mouth at one instant."""

    sample: int
    """Samples of each channel that came before this instant."""
    weights: Weights  # [52] 0..1
    """What speech does, and what the emotion adds."""
    sent: Mask  # [52] which of them
    """What speech moves, and every emotion since the beginning: it must go as it came."""

    def interpolate(self, other: VoiceFrame, share: float) -> VoiceFrame:
        """Between two instants: 0 is this one, 1 the other's weights."""
        weights = self.weights + share * (other.weights - self.weights)
        return VoiceFrame(self.sample, weights.astype(np.float32), self.sent | other.sent)

    def scale(self, share: float) -> VoiceFrame:
        """The same instant with a share of its weights."""
        weights = (share * self.weights).astype(np.float32)
        return VoiceFrame(self.sample, weights, self.sent)


class VoiceDriver:
    """Speech in pieces of any size -> face motion. For one thread."""

    LOOK_AHEAD_MS = LOOK_AHEAD_MS

    def __init__(
        self,
        rate: int,
        channels: int,
        config: VoiceConfig = USUAL,
        listener: Callable[[], Listener | LoudListener] = Listener,
    ) -> None:
        """Raises DriveError for rates outside 8000..48000 and for other than 1 or 2 channels.

        `listener` makes what turns sound into articulators; AssetError if its weights are missing.
        """
        if not RATES[0] <= rate <= RATES[1]:
            raise DriveError(f"voice: expected a rate of {RATES[0]}..{RATES[1]} Hz, got {rate}")
        if channels not in (1, 2):
            raise DriveError(f"voice: expected 1 or 2 channels, got {channels}")
        self.rate, self.channels, self.config = rate, channels, config
        self._new_listener = listener
        self.interrupt()

    def interrupt(self) -> None:
        """Forget what was heard, and what is not said yet; the next sample is number 0."""
        self._odd = b""
        self._resampler, self._ear = Resampler(self.rate), Ear()
        self._listener = self._new_listener()
        self._heard = self._steps = 0
        self._sent = SPOKEN

    def push(self, pcm: bytes) -> list[VoiceFrame]:
        """Interleaved s16le; odd bytes at the end wait for the next piece.

        -> every frame whose LOOK_AHEAD_MS have been heard, oldest first.
        """
        pcm = self._odd + pcm
        whole = len(pcm) // (SAMPLE_BYTES * self.channels) * SAMPLE_BYTES * self.channels
        self._odd = pcm[whole:]
        sound = sound_of(pcm[:whole], self.channels)
        self._heard += len(sound)
        return self._frames(sound)

    def finish(self) -> list[VoiceFrame]:
        """The end of speech: what the look-ahead still held, then the mouth closes.

        The last frame is a closed mouth. Afterwards all is as new.
        """
        heard = self._heard
        ahead = np.zeros(round(self.rate * (LOOK_AHEAD_MS / 1000 + CLOSING * STEP / RATE)), "f4")
        frames = self._frames(ahead)
        since = [(frame.sample - heard) * RATE / (self.rate * STEP * CLOSING) for frame in frames]
        closed = [f.scale(min(max(1 - s, 0.0), 1.0)) for f, s in zip(frames, since, strict=True)]
        closed.append(replace(closed[-1].scale(0.0), sample=self._instant(self._steps)))
        self.interrupt()
        return closed

    def _frames(self, sound: Sound) -> list[VoiceFrame]:
        frames = []
        for features in self._ear.push(self._resampler.push(sound)):
            moved = self._listener.step(features)
            if moved is not None:
                frames.append(self._frame(moved))
                self._steps += 1
        return frames

    def _frame(self, moved: Articulators) -> VoiceFrame:
        feeling = self.config.emotion_strength * FEELING_WEIGHTS[self.config.emotion]
        weights = arkit_weights(moved, self.config.intensity, feeling)
        self._sent = self._sent | (FEELING_WEIGHTS[self.config.emotion] > 0)
        return VoiceFrame(self._instant(self._steps), weights, self._sent)

    def _instant(self, step: int) -> int:
        return round(step * STEP * self.rate / RATE)
