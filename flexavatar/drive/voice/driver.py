"""A voice moves the mouth: sound in pieces of any size to ARKit weights, fifty times a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from flexavatar.drive.idle import IdleAnimator
from flexavatar.drive.signal import ALL_SENT, AUDIO, HeadPose, Mask, Signal, Weights
from flexavatar.drive.voice.articulation import EMOTION_WEIGHTS, SPEECH_MASK, arkit_weights
from flexavatar.drive.voice.config import DEFAULT_VOICE, VoiceConfig
from flexavatar.drive.voice.features import (
    RATE,
    STEP,
    STEP_REACH,
    FeatureExtractor,
    Resampler,
    Sound,
    decode_pcm,
)
from flexavatar.drive.voice.network import DELAY, Articulators, LoudnessBaseline, StreamingVoiceNet
from flexavatar.errors import DriveError
from flexavatar.head.arkit import JAW_OPEN
from flexavatar.types import NS_PER_S

RATES = (8_000, 48_000)
SAMPLE_BYTES = 2
LOOK_AHEAD_MS = 1000 * (DELAY * STEP + STEP_REACH) / RATE + 1
"""From an instant to the last sample that its frame needs: the network's steps, half of a window
of two frames, and the resampler's kernel (1 ms at most)."""
CLOSING_STEPS = 8
"""Steps in which the mouth closes after the end."""
PIECE_S = 1.0
"""Of a recording at a time."""
NOD_S = 0.12
"""How slowly the head follows the voice."""
NOD = 0.05
"""Radians that it goes down when the jaw is wide open."""


@dataclass(frozen=True, eq=False)
class VoiceFrame:
    """The mouth at one instant."""

    sample: int
    """Samples of each channel that came before this instant."""
    weights: Weights  # [52] 0..1
    """Those of speech, and what the emotion adds."""
    sent: Mask  # [52] which of them
    """Those of speech, and of every emotion since the beginning: one that goes must go to 0."""

    def interpolate(self, other: VoiceFrame, share: float) -> VoiceFrame:
        """Between two instants: 0 is this one, 1 the other's weights."""
        weights = self.weights + share * (other.weights - self.weights)
        return VoiceFrame(self.sample, weights.astype(np.float32), self.sent | other.sent)

    def scale(self, share: float) -> VoiceFrame:
        """The same instant with a share of its weights."""
        weights = (share * self.weights).astype(np.float32)
        return VoiceFrame(self.sample, weights, self.sent)


class VoiceDriver:
    """Sound in pieces of any size -> the motion of a mouth. For one thread."""

    LOOK_AHEAD_MS = LOOK_AHEAD_MS

    def __init__(
        self,
        rate: int,
        channels: int,
        config: VoiceConfig = DEFAULT_VOICE,
        network: Callable[[], StreamingVoiceNet | LoudnessBaseline] = StreamingVoiceNet,
    ) -> None:
        """Raises DriveError for rates outside 8000..48000 and for other than 1 or 2 channels.

        `network` makes the network; AssetError if its weights are missing.
        """
        if not RATES[0] <= rate <= RATES[1]:
            raise DriveError(f"voice: expected a rate of {RATES[0]}..{RATES[1]} Hz, got {rate}")
        if channels not in (1, 2):
            raise DriveError(f"voice: expected 1 or 2 channels, got {channels}")
        self.rate, self.channels, self.config = rate, channels, config
        self._new_network = network
        self.interrupt()

    def interrupt(self) -> None:
        """Forget the sound so far, and what is not shown yet; the next sample is number 0."""
        self._partial_sample = b""
        self._resampler, self._features = Resampler(self.rate), FeatureExtractor()
        self._network = self._new_network()
        self._pushed = self._steps = 0
        self._sent = SPEECH_MASK

    def push(self, pcm: bytes) -> list[VoiceFrame]:
        """Interleaved s16le; odd bytes at the end wait for the next piece.

        -> every frame whose LOOK_AHEAD_MS of sound are there, oldest first.
        """
        pcm = self._partial_sample + pcm
        whole = len(pcm) // (SAMPLE_BYTES * self.channels) * SAMPLE_BYTES * self.channels
        self._partial_sample = pcm[whole:]
        sound = decode_pcm(pcm[:whole], self.channels)
        self._pushed += len(sound)
        return self._frames(sound)

    def finish(self) -> list[VoiceFrame]:
        """The end of the sound: the frames that were waiting for more of it, then the mouth closes.

        The last frame is a closed mouth. Afterwards all is as new.
        """
        ahead_s = LOOK_AHEAD_MS / 1000 + CLOSING_STEPS * STEP / RATE
        end, closing = self._pushed, self.rate * STEP * CLOSING_STEPS / RATE  # samples
        frames = self._frames(np.zeros(round(self.rate * ahead_s), np.float32))
        left = [min(max(1 - (frame.sample - end) / closing, 0.0), 1.0) for frame in frames]
        closed = [frame.scale(share) for frame, share in zip(frames, left, strict=True)]
        closed.append(replace(closed[-1].scale(0.0), sample=self._sample_of(self._steps)))
        self.interrupt()
        return closed

    def _frames(self, sound: Sound) -> list[VoiceFrame]:
        frames = []
        for features in self._features.push(self._resampler.push(sound)):
            articulators = self._network.step(features)
            if articulators is not None:
                frames.append(self._frame(articulators))
                self._steps += 1
        return frames

    def _frame(self, articulators: Articulators) -> VoiceFrame:
        emotion = self.config.emotion_strength * EMOTION_WEIGHTS[self.config.emotion]
        weights = arkit_weights(articulators, self.config.intensity, emotion)
        self._sent = self._sent | (EMOTION_WEIGHTS[self.config.emotion] > 0)
        return VoiceFrame(self._sample_of(self._steps), weights, self._sent)

    def _sample_of(self, step: int) -> int:
        return round(step * STEP * self.rate / RATE)


def voice_performance(
    pcm: bytes, rate: int, channels: int, config: VoiceConfig, seed: int = 0
) -> list[Signal]:
    """A whole recording, interleaved s16le -> fifty frames a second; eyes and head idle by `seed`.

    Raises DriveError for what no voice can be, AssetError if the network's weights are missing.
    """
    driver, idle = VoiceDriver(rate, channels, config), IdleAnimator(seed)
    size = round(PIECE_S * rate) * channels * SAMPLE_BYTES
    pieces = (pcm[at : at + size] for at in range(0, len(pcm), size))
    frames = [frame for piece in pieces for frame in driver.push(piece)] + driver.finish()
    performance, nod = [], 0.0
    for before, frame in zip((frames[0], *frames), frames, strict=False):
        face = idle.face_at(frame.sample / rate)
        step_s = (frame.sample - before.sample) / rate
        nod += (1 - np.exp(-step_s / NOD_S)) * (NOD * float(frame.weights[JAW_OPEN]) - nod)
        head = face.neck_pose.head_angles()
        head = head._replace(pitch=head.pitch - float(nod))
        signal = Signal(
            np.maximum(face.weights, frame.weights).astype(np.float32),
            ALL_SENT,
            head=HeadPose(head.axis_angle()),
            source=AUDIO,
            pts_ns=round(frame.sample * NS_PER_S / rate),
        )
        performance.append(signal)
    return performance
