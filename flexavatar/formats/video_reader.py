"""Frames of video files: of a stranger's bytes, probed first, and of files of our own.

A stranger's video is decoded by the demuxer that its content names, up to a price, and no more than
one frame is held at a time.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from flexavatar.errors import ImageError, InputError
from flexavatar.formats.color import HDR, cicp_space, to_srgb

MAX_SECONDS = 600.0
MAX_SIDE = 8_192
DECODED_PIXELS = 4_000_000_000
"""Of all frames together, some 6 s on two cores; beyond it only keyframes are decoded."""
FEWEST_KEYFRAMES = 16
"""With fewer the first frames up to DECODED_PIXELS say more than the keyframes."""
CUT_OFF_SHARE, CUT_OFF_S = 0.8, 0.3
"""A file that holds less of the length that it declares, and these seconds, has lost its end."""

STILLS = (
    b"avif", b"avis", b"heic", b"heif", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm",
    b"hevs", b"mif1", b"msf1", b"miaf", b"MiHE", b"avci", b"avcs", b"crx ", b"jxl ",
)  # fmt: skip
"""Brands of pictures in the boxes that videos are in."""
QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
SIGNATURES = {
    b"\x1a\x45\xdf\xa3": "matroska",
    b"OggS": "ogg",
    b"FLV\x01": "flv",
    b"\x30\x26\xb2\x75": "asf",
    b"\x00\x00\x01\xba": "mpeg",
}
LENIENT = "replace"
"""Titles and comments of a file may be in any encoding: nobody reads them."""
MATRIX_SIZE = 9
"""Numbers of a display matrix."""
MAX_ASPECT = 4.0
"""Of pixels, and its inverse the least: no camera has others."""
UNSPECIFIED, HD_HEIGHT = 2, 720
"""Of the matrix of colours, and from which height on it is BT.709 then."""
PACKET_TS = 188
"""Bytes between the 0x47s of an MPEG transport stream."""


def container_format(data: bytes | bytearray) -> str | None:
    """FFmpeg's name of a video file's format, by its content; None if it is no video."""
    if data[4:8] in QUICKTIME:
        return None if data[4:8] == b"ftyp" and data[8:12] in STILLS else "mov"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "avi"
    if len(data) > 2 * PACKET_TS and bytes(data[: 2 * PACKET_TS + 1 : PACKET_TS]) == b"GGG":
        return "mpegts"
    return SIGNATURES.get(bytes(data[:4]))


@dataclass(frozen=True)
class DecodableVideo:
    """A probed video file, and how many of its frames can be decoded at a bearable price."""

    data: bytes
    keyframes_only: bool
    frames: int
    """That can be asked for: numbers below this, in the order they are shown."""

    def evenly_spaced(self, count: int) -> list[int]:
        """Numbers of up to `count` frames, evenly over the video."""
        return evenly_spaced(0, self.frames - 1, count)


def probe_video(data: bytes) -> DecodableVideo:
    """Look through a file without decoding it. Raises ImageError saying what is wrong."""
    with open_container(data) as (container, stream):
        _check_size(stream.width, stream.height)
        seconds, keys = _packets(container, stream)
        declared = _declared_seconds(container, stream)
        if seconds + CUT_OFF_S < CUT_OFF_SHARE * declared:
            raise ImageError(
                f"video: cut off: expected {declared:.1f} s, as it says, got {seconds:.1f} s"
            )
        if max(seconds, declared) > MAX_SECONDS:
            raise ImageError(
                f"video: expected {MAX_SECONDS:.0f} s at most, got {max(seconds, declared):.0f} s"
            )
        affordable = max(1, DECODED_PIXELS // (stream.width * stream.height))
    keyframes_only = len(keys) > affordable and sum(keys) >= FEWEST_KEYFRAMES
    frames = sum(keys) if keyframes_only else len(keys)
    return DecodableVideo(data, keyframes_only, min(frames, affordable))


def decode_frames(
    footage: DecodableVideo, numbers: Collection[int], longest: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Number and upright RGB [H, W, 3] of frames, in order, reduced to `longest` pixels a side."""
    wanted = set(numbers)
    with open_container(footage.data) as (container, stream):
        stream.thread_type = "AUTO"
        if footage.keyframes_only:
            stream.codec_context.skip_frame = "NONKEY"
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                yield number, upright_rgb(frame, longest, pixel_aspect(stream))
                wanted.remove(number)
            if not wanted:
                return


@contextmanager
def open_container(data: bytes) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file by its own demuxer only: playlists, which name other files, are never followed."""
    kind = container_format(data)
    try:
        with av.open(io.BytesIO(data), "r", kind, metadata_errors=LENIENT) as container:
            yield container, _video_stream(container)
    except FFmpegError as error:
        raise ImageError(f"video: the file is damaged or cut off ({error.strerror})") from None


def _video_stream(container: InputContainer) -> VideoStream:
    """The first. Raises ImageError if there is none that can be decoded."""
    if not container.streams.video:
        raise ImageError("video: expected a track of pictures, got a file without one")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ImageError("video: expected a known codec, got another or a damaged file")
    return stream


def _check_size(width: int, height: int) -> None:
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE:
        raise ImageError(
            f"video: expected at most {MAX_SIDE} pixels a side, got {width} x {height}"
        )


def _packets(container: InputContainer, stream: VideoStream) -> tuple[float, list[bool]]:
    """Seconds from the first frame to the end of the last, and which frames are keyframes."""
    times: list[int] = []
    keys: list[bool] = []
    for packet in container.demux(stream):
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.size and time is not None:
            times.append(time)
            keys.append(packet.is_keyframe)
    if not keys:
        raise ImageError("video: expected at least one frame, got none")
    span = (max(times) - min(times)) * float(stream.time_base or 0)
    return span * len(keys) / max(1, len(keys) - 1), keys


def _declared_seconds(container: InputContainer, stream: VideoStream) -> float:
    """How long the file says it is; 0 if it does not."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def pixel_aspect(stream: VideoStream) -> float:
    """Width of a stored pixel over its height; 1 where the file says nothing or nonsense."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 1 / MAX_ASPECT <= aspect <= MAX_ASPECT else 1.0


def upright_rgb(frame: VideoFrame, longest: int, aspect: float) -> NDArray[np.uint8]:
    """The frame as it is meant to be seen, reduced to `longest` pixels a side: sRGB [H, W, 3].

    `aspect` is that of its pixels, which come out square.
    """
    shown = (frame.width * max(1.0, aspect), frame.height / min(1.0, aspect))
    ratio = min(1.0, longest / max(shown))
    width, height = (max(1, round(side * ratio)) for side in shown)
    return _turn_upright(_srgb(frame, width, height, "AREA"), frame)


def _srgb(frame: VideoFrame, width: int, height: int, interpolation: str) -> NDArray[np.uint8]:
    """Colours by the frame's own tags; without a tag, large pictures are BT.709, small BT.601."""
    matrix = None
    if frame.colorspace == UNSPECIFIED and frame.height >= HD_HEIGHT:
        matrix = Colorspace.ITU709
    space = cicp_space(frame.color_primaries, frame.color_trc)
    pixels = frame.to_ndarray(
        format="rgb48le" if frame.color_trc in HDR else "rgb24",
        width=width,
        height=height,
        src_colorspace=matrix,
        interpolation=interpolation,
    )
    if space is None:
        return np.asarray(pixels, np.uint8)
    return to_srgb(np.asarray(pixels, np.uint16 if frame.color_trc in HDR else np.uint8), space)


def _turn_upright(rgb: NDArray[np.uint8], frame: VideoFrame) -> NDArray[np.uint8]:
    """Phones film lying or in a mirror, and say so."""
    mirrored, quarters = _orientation(frame)
    return np.ascontiguousarray(np.rot90(rgb[:, ::-1] if mirrored else rgb, quarters), np.uint8)


def _orientation(frame: VideoFrame) -> tuple[bool, int]:
    """Whether a frame is to be mirrored left to right, and quarter turns to the left after that.

    By its display matrix, which shows a pixel (x, y) at (a x + c y, b x + d y); one that is damaged
    says nothing.
    """
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # pyright: ignore  # its stub knows text alone
    values = np.frombuffer(bytes(matrix), np.int32) if matrix is not None else np.zeros(0)
    if len(values) != MATRIX_SIZE:
        return False, 0
    a, b, c, d = (float(values[i]) for i in (0, 1, 3, 4))
    if a * d == b * c:
        return False, 0
    mirrored = a * d < b * c
    angle = math.atan2(-b, -a) if mirrored else math.atan2(b, a)
    return mirrored, -round(angle / (math.pi / 2))


def read_frames(path: Path, wanted: Collection[int] | None = None) -> list[np.ndarray]:
    """All frames of a video, or those `wanted` in the video's order, upright RGB [H, W, 3].

    Raises ImageError if it cannot be read, InputError if it has no such frame.
    """
    keep = range(sys.maxsize) if wanted is None else set(wanted)
    frames = [
        upright_rgb(frame, sys.maxsize, aspect)
        for number, (frame, aspect) in enumerate(_decode(path))
        if number in keep
    ]
    if wanted is not None and len(frames) < len(set(wanted)):
        raise InputError(f"video: {path} has no frame {max(wanted)}")
    return frames


def count_frames(path: Path) -> int:
    """Frames that the video really has: containers are often wrong. ImageError as above."""
    return sum(1 for _ in _decode(path))


def _decode(path: Path) -> Iterator[tuple[VideoFrame, float]]:
    """Frames and the aspect of their pixels."""
    try:
        with av.open(path, metadata_errors=LENIENT) as container:
            stream = _video_stream(container)
            for frame in container.decode(stream):
                yield frame, pixel_aspect(stream)
    except (FFmpegError, ImageError, OSError) as error:
        raise ImageError(f"video: {path} cannot be read ({error})") from None


def evenly_spaced(first: int, last: int, count: int) -> list[int]:
    """At most `count` different numbers from first to last, both among them."""
    return sorted({int(n) for n in np.linspace(first, max(first, last), count).round()})
