"""Sound files of any kind, read by PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from flexavatar.errors import InputError
from flexavatar.formats.video_reader import LENIENT

LONGEST_S = 3600


@dataclass(frozen=True)
class Recording:
    """Decoded sound."""

    pcm: bytes
    """Interleaved s16le."""
    rate: int
    channels: int
    """1 or 2."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.pcm) / (2 * self.channels * self.rate)

    def samples_between(self, start_s: float, end_s: float) -> bytes:
        """The samples between two instants; nothing beyond its end."""
        first, last = (2 * self.channels * round(at * self.rate) for at in (start_s, end_s))
        return self.pcm[first:last]


def read_recording(path: Path, rate: int | None = None) -> Recording:
    """A file's first sound.

    Any container and codec that PyAV knows; more channels are mixed down to two, and rates outside
    8 to 48 kHz become 48 kHz, unless one is asked for.
    Raises InputError for a file without sound, that is damaged, or that is longer than an hour.
    """
    data = bytearray()
    try:
        with av.open(path, metadata_errors=LENIENT) as container:
            if not container.streams.audio:
                raise InputError(f"sound: {path} has no sound")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise InputError(f"sound: {path} is in no known codec")
            channels = min(stream.channels, 2)
            rate = rate or (stream.rate if 8000 <= stream.rate <= 48_000 else 48_000)
            layout = "mono" if channels == 1 else "stereo"
            resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    data += part.to_ndarray().tobytes()
                if len(data) > LONGEST_S * rate * channels * 2:
                    raise InputError(f"sound: {path}: expected at most an hour")
            for part in resampler.resample(None):
                data += part.to_ndarray().tobytes()
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(f"sound: {path} cannot be read ({error})") from None
    if not data:
        raise InputError(f"sound: {path} has no sound")
    return Recording(bytes(data), rate, channels)
