"""Video files: told by their content, decoded frame by frame, shown as they are meant to be."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from flexavatar.capture.read_portraits import read_portraits
from flexavatar.errors import ImageError
from flexavatar.formats import video_reader
from flexavatar.formats.video_reader import (
    container_format,
    count_frames,
    decode_frames,
    probe_video,
    read_frames,
)
from tests.films import filmed, greys


def turned_file(data: bytes, matrix: Sequence[int]) -> bytes:
    """An MP4 whose picture is to be shown turned: `matrix` goes into its track header."""
    at = data.index(b"tkhd") + 4 + 40
    return data[:at] + struct.pack(">9i", *matrix) + data[at + 36 :]


@pytest.mark.parametrize(
    ("kind", "codec", "name"),
    [
        ("mp4", "libx264", "mov"), ("mov", "libx264", "mov"), ("webm", "libvpx", "matroska"),
        ("matroska", "libx264", "matroska"), ("avi", "mpeg4", "avi"),
        ("mpegts", "libx264", "mpegts"), ("mp4", "libx265", "mov"),
    ],
)  # fmt: skip
def test_videos_of_many_kinds(kind: str, codec: str, name: str) -> None:
    data = filmed(greys(20, 10), kind, codec)
    assert container_format(data) == name
    found = probe_video(data)
    assert found.frames == 20
    asked = [0, 7, 19]
    frames = dict(decode_frames(found, asked, 2048))
    assert list(frames) == asked
    for number, rgb in frames.items():
        assert rgb.shape == (64, 96, 3)
        assert abs(float(rgb.mean()) - 20 - 10 * number) < 5  # grey levels: lossy coding


def test_photos_are_no_videos(astronaut: bytes) -> None:
    heic = b"\0\0\0\x18ftypheic" + bytes(400)
    for data in (astronaut, heic, b"", b"ftyp", b"#EXTM3U\n/etc/passwd", bytes(1000)):
        assert container_format(data) is None


def test_frames_are_spread_over_the_whole() -> None:
    found = probe_video(filmed(greys(50)))
    assert found.evenly_spaced(5) == [0, 12, 24, 37, 49]
    assert found.evenly_spaced(64) == list(range(50))


def test_long_films_are_read_by_their_keyframes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_reader, "DECODED_PIXELS", 96 * 64 * 30)  # 30 frames of 100
    found = probe_video(filmed(greys(100)))
    assert found.keyframes_only
    assert found.frames == 20  # one in five
    brightness = [float(rgb.mean()) for _, rgb in decode_frames(found, [0, 19], 2048)]
    assert brightness == pytest.approx([20, 20 + 2 * 95], abs=2)


def test_too_few_keyframes_mean_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_reader, "DECODED_PIXELS", 96 * 64 * 30)
    found = probe_video(filmed(greys(60)))
    assert (found.keyframes_only, found.frames) == (False, 30)


TURNED = {
    "clockwise": ((0, 1, -1, 0), (0, -1)),
    "anticlockwise": ((0, -1, 1, 0), (-1, 0)),
    "upside down": ((-1, 0, 0, -1), (-1, -1)),
    "mirrored": ((-1, 0, 0, 1), (0, -1)),
    "mirrored upside down": ((1, 0, 0, -1), (-1, 0)),
    "mirrored about the diagonal": ((0, 1, 1, 0), (0, 0)),
    "of no size": ((0, 0, 0, 0), (0, 0)),
    "flat": ((1, 1, 1, 1), (0, 0)),
}
"""How a file may say that it is to be shown: x to (a, b), y to (c, d); where the top left goes."""


@pytest.mark.parametrize("name", TURNED)
def test_phones_film_lying_and_are_shown_upright(name: str, tmp_path: Path) -> None:
    """The white top left corner comes to the top right when turned clockwise."""
    (a, b, c, d), corner = TURNED[name]
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:16, :16] = 255
    fixed = [v << 16 for v in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]
    data = turned_file(filmed([picture] * 3), fixed)
    ((_, rgb),) = decode_frames(probe_video(data), [0], 2048)
    assert rgb.shape == ((96, 64, 3) if abs(b * c) > abs(a * d) else (64, 96, 3))
    assert rgb[corner].mean() > 200
    (tmp_path / "a.mp4").write_bytes(data)
    assert read_frames(tmp_path / "a.mp4", [0])[0][corner].mean() > 200


@pytest.mark.parametrize("kind", ["mp4", "matroska", "avi"])
def test_titles_in_any_encoding_are_read_over(kind: str, tmp_path: Path) -> None:
    data = filmed(greys(5), kind, "mpeg4", title="Vacances a la mer")
    assert data.count(b"Vacances a la mer") == 1
    data = data.replace(b"Vacances a la mer", "Vacances à la mer".encode("latin-1"))
    assert probe_video(data).frames == 5
    (tmp_path / "film").write_bytes(data)
    assert count_frames(tmp_path / "film") == 5


def test_a_file_in_no_known_codec_is_refused(tmp_path: Path) -> None:
    data = filmed(greys(5)).replace(b"avc1", b"none")
    with pytest.raises(ImageError, match="expected a known codec"):
        probe_video(data)
    (tmp_path / "film.mp4").write_bytes(data)
    with pytest.raises(ImageError, match=r"film.mp4 cannot be read .*expected a known codec"):
        count_frames(tmp_path / "film.mp4")


def _headless(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _sound_only(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 16_000
        frame.planes[0].update(bytes(4096))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_headless, "damaged or cut off"),
        (lambda data: data[:100], "damaged|without one"),
        (lambda data: data[:8] + bytes(len(data)), "damaged|without one"),
        (_sound_only, "expected a track of pictures"),
    ],
)
def test_files_that_are_no_whole_video(spoil: Callable[[bytes], bytes], message: str) -> None:
    data = spoil(filmed(greys(20)))
    with pytest.raises(ImageError, match=f"^video 1: video: .*({message})"):
        read_portraits([data], lambda what, share: None)


def test_a_film_without_its_end_is_refused(shared_data: Path) -> None:
    """Its index, which comes first, still tells how long it was."""
    data = (shared_data / "videos/lp_d20.mp4").read_bytes()
    with pytest.raises(ImageError, match=r"cut off: expected 7\.0 s, as it says, got 3\.\d s"):
        probe_video(data[: len(data) // 2])


def test_a_film_that_is_too_long_or_large(monkeypatch: pytest.MonkeyPatch) -> None:
    data = filmed(greys(20), fps=1)
    monkeypatch.setattr(video_reader, "MAX_SECONDS", 15.0)
    with pytest.raises(ImageError, match="expected 15 s at most, got 20 s"):
        probe_video(data)
    monkeypatch.setattr(video_reader, "MAX_SIDE", 90)
    with pytest.raises(ImageError, match="at most 90 pixels a side, got 96 x 64"):
        probe_video(data)
