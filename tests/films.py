"""Small films, made in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def filmed(
    pictures: Sequence[Picture],
    kind: str = "mp4",
    codec: str = "libx264",
    fps: int = 10,
    title: str = "",
) -> bytes:
    """Pictures [H, W, 3] as a video file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 5
        stream.codec_context.options = {"sc_threshold": "0"}  # no keyframes but these
        stream.codec_context.time_base = Fraction(1, fps)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def greys(count: int, step: int = 2) -> list[Picture]:
    """Pictures whose brightness tells their number, from 20 up."""
    return [np.full((64, 96, 3), 20 + step * i, np.uint8) for i in range(count)]
