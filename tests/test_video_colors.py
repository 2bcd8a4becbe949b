"""Videos as they are meant to be seen: colours by their tags, pixels that are not square."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from flexavatar.formats.frame_sources import VideoFile
from flexavatar.formats.video_reader import decode_frames, probe_video, read_frames
from tests.colors import BT2020, DISPLAY_P3, SRGB, hlg, in_primaries, pq

COLORS = np.random.default_rng(1).integers(60, 196, (4, 6, 3)).astype(np.uint8)
PATCH = 64
BT709, BT601, BT2020_NCL = 1, 6, 9
EXACT = 3
"""Levels of 255: 8 bits of luma and chroma in limited range, and back."""


def srgb_codes(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def tagged(
    codes: NDArray[np.floating[Any]], matrix: int = BT709, primaries: int = 2, transfer: int = 2,
    bits: int = 8, aspect: Fraction | None = None, full: bool = False, tag: bool = True,
) -> bytes:  # fmt: skip
    """Code values 0..1 [4, 6, 3] as a film of patches, with tags that say what they mean."""
    buffer = io.BytesIO()
    picture = codes.repeat(PATCH, 0).repeat(PATCH, 1)
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv444p" if bits == 8 else "yuv444p10le"
        context.options = {"crf": "1"}
        context.time_base = Fraction(1, 10)
        if tag:
            context.colorspace, context.color_range = matrix, 2 if full else 1
        context.color_primaries, context.color_trc = primaries, transfer
        if aspect:
            context.sample_aspect_ratio = aspect
        pixels = np.round(picture * 65_535).astype(np.uint16)
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le").reformat(
                format=stream.pix_fmt, dst_colorspace={1: 1, 6: 5, 9: 9}[matrix],
                dst_color_range=2 if full else 1,
            )  # fmt: skip
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def error_of(data: bytes) -> int:
    """The largest difference of any patch's middle from COLORS."""
    rgb = dict(decode_frames(probe_video(data), [1], 2048))[1]
    middle = rgb[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].astype(int)
    return int(np.abs(middle - COLORS).max())


@pytest.mark.parametrize("matrix", [BT709, BT601, BT2020_NCL])
@pytest.mark.parametrize("full", [False, True])
def test_matrix_and_range_are_followed(matrix: int, full: bool) -> None:
    assert error_of(tagged(COLORS / 255, matrix, full=full)) <= EXACT


def test_without_a_tag_large_films_are_bt709_and_small_ones_bt601() -> None:
    assert error_of(tagged(COLORS / 255, BT601, tag=False)) <= EXACT
    large = tagged((COLORS / 255).repeat(3, 0), BT709, tag=False)  # 768 pixels high
    rgb = dict(decode_frames(probe_video(large), [1], 2048))[1]
    middle = rgb[PATCH + PATCH // 2 :: 3 * PATCH, PATCH // 2 :: PATCH].astype(int)
    assert np.abs(middle - COLORS).max() <= EXACT


def test_a_phone_s_film_in_display_p3() -> None:
    assert error_of(tagged(srgb_codes(in_primaries(COLORS, DISPLAY_P3)), BT709, 12, 1)) <= EXACT + 1
    wide = srgb_codes(in_primaries(COLORS, BT2020))
    assert error_of(tagged(wide, BT2020_NCL, 9, 14, bits=10)) <= EXACT


@pytest.mark.parametrize("primaries", [9, 2])
def test_hdr_is_shown_as_it_looks(primaries: int) -> None:
    """HLG and PQ of ten bits; 203 nits are white."""
    light = in_primaries(COLORS, BT2020)
    assert error_of(tagged(hlg(light, BT2020), BT2020_NCL, primaries, 18, bits=10)) <= EXACT
    assert error_of(tagged(pq(light), BT2020_NCL, primaries, 16, bits=10)) <= EXACT + 1


def test_old_television_s_curves() -> None:
    """Plain exponents: 2.2 and 2.8."""
    light = in_primaries(COLORS, SRGB)
    for transfer, gamma in ((4, 2.2), (5, 2.8)):
        assert error_of(tagged(light ** (1 / gamma), BT709, 1, transfer)) <= EXACT + 1


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(4, 3), (256, 512)), (Fraction(64, 45), (256, 546)), (Fraction(3, 4), (341, 384)),
        (Fraction(1, 1), (256, 384)), (Fraction(1, 100), (256, 384)),
    ],
)  # fmt: skip
def test_pixels_that_are_not_square_are_made_so(
    aspect: Fraction, size: tuple[int, int], tmp_path: Path
) -> None:
    data = tagged(COLORS / 255, aspect=aspect)
    assert dict(decode_frames(probe_video(data), [0], 2048))[0].shape[:2] == size
    reduced = dict(decode_frames(probe_video(data), [0], 200))[0].shape[:2]
    assert max(reduced) == 200
    assert reduced[0] / reduced[1] == pytest.approx(size[0] / size[1], rel=0.01)
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    assert read_frames(path, [0])[0].shape[:2] == size
    assert next(VideoFile(path).frames()).rgb.shape[:2] == size
