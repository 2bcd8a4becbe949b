"""A microphone's sound, piece by piece, by FFmpeg's ALSA input (which PipeWire and Pulse serve)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import av
from av.container import InputContainer
from av.error import FFmpegError

from flexavatar.errors import InputError

RATE = 16_000
"""Samples a second that are handed on, of one channel; the voice's network needs no more."""
DEVICE_OPTIONS = {"sample_rate": "48000", "channels": "1"}
DEFAULT = "default"


class Microphone:
    """A device that is open, or anything else with sound in it."""

    def __init__(self, container: InputContainer) -> None:
        """Raises InputError if there is no sound in it."""
        if not container.streams.audio:
            raise InputError("microphone: it has no sound")
        self._container = container

    def pieces(self) -> Iterator[bytes]:
        """Sound as it comes: s16le of one channel, RATE samples a second.

        Raises InputError once the device is gone.
        """
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        try:
            for frame in self._container.decode(audio=0):
                for part in resampler.resample(frame):
                    yield part.to_ndarray().tobytes()
        except (FFmpegError, OSError) as error:
            raise InputError(f"microphone: it sends no more ({error})") from None

    def close(self) -> None:
        """Let go of the device."""
        self._container.close()


@contextmanager
def open_microphone(name: str) -> Iterator[Microphone]:
    """A microphone by its ALSA name. Raises InputError saying what is wrong."""
    try:
        container = av.open(name, format="alsa", options=DEVICE_OPTIONS)
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"microphone: {name!r} cannot be opened ({error}); arecord -L lists what there is"
        ) from None
    with closing(Microphone(container)) as microphone:
        yield microphone
