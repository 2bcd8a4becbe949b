"""Messages of sound <-> types. What comes in is checked here, once."""

from __future__ import annotations

import time

from flexavatar.drive.voice.driver import SAMPLE_BYTES, VoiceConfig
from flexavatar.errors import DriveError
from flexavatar.types import NS_PER_S
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.speech import AudioFormat, Speech

LARGEST_CHUNK = 1 << 20
LATEST_NS = 1 << 62
"""Far beyond any clock, and still a number of a frame's header when the sound has gone on."""


def audio_format(header: pb.AudioHeader) -> AudioFormat:
    """The sound to come; its rate and channels are the voice's to check. Raises DriveError."""
    if header.pts_ns > LATEST_NS:
        raise DriveError(f"audio: pts_ns: expected at most 2^62, got {header.pts_ns}")
    return AudioFormat(header.sample_rate, header.channels or 1, header.pts_ns, header.live)


def voice_style(style: pb.VoiceStyle) -> VoiceConfig:
    """The style of a voice, with defaults for what is not set. Raises DriveError."""
    usual = VoiceConfig()
    return VoiceConfig(
        intensity=style.intensity or usual.intensity,
        emotion=style.emotion or usual.emotion,  # pyright: ignore[reportArgumentType]
        emotion_strength=style.emotion_strength or usual.emotion_strength,
    )


def check_chunk(chunk: bytes, audio_format: AudioFormat) -> None:
    """Raise DriveError unless these are whole samples, and not too many."""
    size = SAMPLE_BYTES * audio_format.channels
    if len(chunk) % size:
        raise DriveError(f"audio: expected whole samples of {size} bytes, got {len(chunk)} bytes")
    check_length(chunk)


def check_length(chunk: bytes) -> None:
    """Raise DriveError for a chunk that is too long."""
    if len(chunk) > LARGEST_CHUNK:
        raise DriveError(f"audio: expected {LARGEST_CHUNK} bytes at most, got {len(chunk)}")


class WholeSamples:
    """Chunks of a stream that may end in the middle of a sample."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._size = SAMPLE_BYTES * audio_format.channels
        self._part, self._total = b"", 0

    def add(self, chunk: bytes) -> bytes:
        """The samples that are whole with this chunk. Raises DriveError for a chunk too long."""
        check_length(chunk)
        self._total += len(chunk)
        sound = self._part + chunk
        whole = len(sound) - len(sound) % self._size
        self._part = sound[whole:]
        return sound[:whole]

    def check_end(self) -> None:
        """Raise DriveError if the stream ends within a sample."""
        if self._part:
            raise DriveError(
                f"audio: expected whole samples of {self._size} bytes, got {self._total} bytes"
            )


def audio_message(speech: Speech) -> pb.DriveAudioResponse:
    """The progress of a sound."""
    playout = speech.playout
    message = pb.DriveAudioResponse(
        accepted_samples=speech.accepted,
        rendered_samples=speech.rendered,
        skipped_samples=playout.skipped,
        discarded_samples=speech.discarded,
        gaps=playout.gaps.count,
        gap_ms=round(1000 * playout.gaps.seconds),
        look_ahead_ms=round(speech.look_ahead_ms),
        pts_ns=speech.pts_ns,
    )
    if playout.started_s is not None:
        ago_ns = round(NS_PER_S * (time.monotonic() - playout.started_s))
        message.started_unix_ns = time.time_ns() - ago_ns
    return message
