"""Frames and sound to an MP4 file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from flexavatar.errors import InputError
from flexavatar.render.composite import over_background

TIME_BASE = Fraction(1, 90_000)


class VideoWriter:
    """H.264 in MP4. Every frame keeps its own time, so a late frame stays late.

    With sound, in AAC: what is heard until a frame is written with it.
    """

    def __init__(
        self, path: Path, width: int, height: int, sound: tuple[int, int] | None = None
    ) -> None:
        """Open `path`; `sound` is its rate and channels (1 or 2), if there is any.

        Raises InputError for odd sizes, which H.264's 4:2:0 cannot hold.
        """
        if width % 2 or height % 2:
            raise InputError(f"video: expected even sizes, got {width} x {height}")
        self._container = av.open(path, "w", format="mp4")
        options = {"crf": "18", "preset": "veryfast"}
        stream = self._container.add_stream("libx264", rate=60, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        self._stream = stream
        self._sound: AudioStream | None = None
        if sound is not None:
            rate, self._channels = sound
            heard = self._container.add_stream("aac", rate=rate)
            assert isinstance(heard, AudioStream)
            heard.layout = _layout(self._channels)
            self._sound, self._heard = heard, 0

    def write(self, rgba: np.ndarray, pts_ns: int) -> None:
        """Add premultiplied RGBA uint8 [H, W, 4], over grey. Times must rise."""
        self.write_rgb(over_background(rgba), pts_ns)

    def write_rgb(self, rgb: np.ndarray, pts_ns: int) -> None:
        """The same for a picture [H, W, 3] that covers all."""
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.time_base = TIME_BASE
        frame.pts = round(pts_ns * TIME_BASE.denominator / 1e9)
        self._container.mux(self._stream.encode(frame))

    def write_sound(self, pcm: bytes) -> None:
        """Add sound that follows what was added before: interleaved s16le."""
        assert self._sound is not None
        samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "s16", _layout(self._channels))
        frame.rate, frame.pts = self._sound.rate, self._heard
        frame.time_base = Fraction(1, self._sound.rate)
        self._heard += frame.samples
        self._container.mux(self._sound.encode(frame))

    def close(self) -> None:
        """Write what is left and the index."""
        if self._sound is not None:
            self._container.mux(self._sound.encode(None))
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"
