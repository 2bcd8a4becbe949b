"""Frames to an MP4 file, and from any video."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.video.stream import VideoStream

from flexavatar.errors import ImageError, InputError

TIME_BASE = Fraction(1, 90_000)
BACKGROUND = (176, 178, 182)
"""A neutral grey: holes, halos and floaters stand out against it, whatever their colour."""


def over_grey(rgba: np.ndarray) -> np.ndarray:
    """Premultiplied uint8 [H, W, 4] over BACKGROUND -> [H, W, 3]."""
    return over_color(rgba, BACKGROUND)


def over_color(rgba: np.ndarray, color: Sequence[int]) -> np.ndarray:
    """Premultiplied uint8 [H, W, 4] over a colour of 0..255 -> [H, W, 3]."""
    empty = 255 - rgba[..., 3:].astype(np.uint16)
    behind = (empty * np.array(color, np.uint16) + 127) // 255
    return np.minimum(rgba[..., :3] + behind, 255).astype(np.uint8)


def read_frames(path: Path, wanted: Collection[int] | None = None) -> list[np.ndarray]:
    """All frames of a video, or those `wanted` in the video's order, RGB [H, W, 3].

    Raises ImageError if it cannot be read, InputError if it has no such frame.
    """
    keep = range(sys.maxsize) if wanted is None else set(wanted)
    frames = [f.to_ndarray(format="rgb24") for i, f in enumerate(_decode(path)) if i in keep]
    if wanted is not None and len(frames) < len(set(wanted)):
        raise InputError(f"video: {path} has no frame {max(wanted)}")
    return frames


def count_frames(path: Path) -> int:
    """Frames that the video really has: containers are often wrong. ImageError as above."""
    return sum(1 for _ in _decode(path))


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    try:
        with av.open(path) as container:
            yield from container.decode(video=0)
    except (FFmpegError, IndexError, OSError) as error:
        raise ImageError(f"video: {path} cannot be read ({error})") from None


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
        self.write_rgb(over_grey(rgba), pts_ns)

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


def evenly_spaced(first: int, last: int, count: int) -> list[int]:
    """At most `count` different numbers from first to last, both among them."""
    return sorted({int(n) for n in np.linspace(first, max(first, last), count).round()})
