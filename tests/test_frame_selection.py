"""Videos: read by content, frame by frame; which frames are picked; lenses that photos share."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from flexavatar.capture import frame_selection
from flexavatar.capture.frame_selection import (
    FrameCandidate,
    farthest_points,
    select_frames,
    yaw_pitch_deg,
)
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.photo import read_photo
from flexavatar.capture.portrait import Portrait, make_portrait
from flexavatar.capture.read_portraits import MAX_PHOTOS, read_portraits
from flexavatar.capture.track import track
from flexavatar.errors import FaceError, ImageError
from flexavatar.formats import video_reader
from flexavatar.formats.video_reader import container_format, decode_frames, probe_video
from plugin_server.client.client import FlexAvatarClient
from plugin_server.errors import TooLargeError
from plugin_server.server import running_server
from tests.service import TinyEngine, local_config, server_and_client

Picture = NDArray[np.uint8]


def filmed(
    pictures: Sequence[Picture], kind: str = "mp4", codec: str = "libx264", fps: int = 10
) -> bytes:
    """Pictures [H, W, 3] as a video file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
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


def turned_file(data: bytes, matrix: Sequence[int]) -> bytes:
    """An MP4 whose picture is to be shown turned: `matrix` goes into its track header."""
    at = data.index(b"tkhd") + 4 + 40
    return data[:at] + struct.pack(">9i", *matrix) + data[at + 36 :]


@pytest.fixture(scope="module")
def talking(shared_data: Path) -> bytes:
    """A child who turns her head, 9 s."""
    return (shared_data / "videos/lp_d11.mp4").read_bytes()


@pytest.fixture(scope="module")
def portraits(talking: bytes) -> list[Portrait]:
    return read_portraits([talking], lambda what, share: None)[:5]


# ---- files


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


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [((0, 1, 0, -1, 0, 0, 0, 0, 0), (0, -1)), ((0, -1, 0, 1, 0, 0, 0, 0, 0), (-1, 0))],
)
def test_phones_film_lying_and_are_shown_upright(
    matrix: tuple[int, ...], corner: tuple[int, int]
) -> None:
    """The white top left corner comes to the top right when turned clockwise."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:16, :16] = 255
    fixed = [v << 16 for v in matrix[:8]] + [1 << 30]
    found = probe_video(turned_file(filmed([picture] * 3), fixed))
    ((_, rgb),) = decode_frames(found, [0], 2048)
    assert rgb.shape == (96, 64, 3)
    assert rgb[corner].mean() > 200


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


# ---- which frames


def test_picking_is_repeatable_and_quick_to_say_how_far(talking: bytes) -> None:
    heard: list[float] = []
    frames = select_frames(talking, 4, heard.append)
    again = select_frames(talking, 4)
    assert len(frames) == 4
    for one, other in zip(frames, again, strict=True):
        assert np.array_equal(one.rgb, other.rgb)
        assert np.array_equal(one.face.points, other.face.points)
    assert heard == sorted(heard)
    assert len(heard) > 50


def test_turned_heads_and_open_mouths_are_picked(talking: bytes) -> None:
    """She looks 13 degrees to each side and opens her mouth; frame one looks ahead at rest."""
    faces = [frame.face for frame in select_frames(talking)]
    yaws = [yaw_pitch_deg(face)[0] for face in faces]
    assert len(faces) == frame_selection.FRAMES
    assert abs(yaws[0]) < 5
    assert faces[0].frontal_penalty == pytest.approx(min(f.frontal_penalty for f in faces), abs=0.1)
    assert min(yaws) < -8
    assert max(yaws) > 8
    assert max(face.scores["jawOpen"] for face in faces) > 0.35


def _sighting(number: int, yaw_deg: float, jaw: float, sharpness: float) -> FrameCandidate:
    """A made-up face: only what `choose` reads is set."""
    points = np.zeros((478, 3), np.float32)
    turn = np.radians(yaw_deg)
    points[454], points[234] = (50 * np.cos(turn), 0, 50 * np.sin(turn)), (0, 0, 0)
    points[1, 0] = 25 * np.cos(turn) - 25 * np.sin(turn)
    points[454, 0], points[152] = max(points[454, 0], 1), (0, 60, 0)
    names = "eyeBlinkLeft eyeBlinkRight mouthSmileLeft mouthSmileRight mouthPucker".split()
    scores = {**dict(zip(names, repeat(0.0), strict=False)), "jawOpen": jaw}
    return FrameCandidate(number, FaceLandmarks(points, scores), sharpness, 640)


@given(
    st.lists(
        st.tuples(st.floats(-40, 40), st.floats(0, 1), st.floats(10, 1000)), min_size=1, max_size=40
    ),
    st.integers(1, MAX_PHOTOS),
)
def test_choice_is_of_different_sharp_frames(
    looks: list[tuple[float, float, float]], count: int
) -> None:
    sightings = [_sighting(i, *look) for i, look in enumerate(looks)]
    chosen = farthest_points(sightings, count)
    assert 1 <= len(chosen) <= count
    assert len({s.number for s in chosen}) == len(chosen)
    sharp = np.percentile([s.sharpness for s in sightings], 75)
    assert all(s.sharpness >= frame_selection.BLURRED_SHARE * sharp for s in chosen)
    for i, one in enumerate(chosen):
        for other in chosen[:i]:
            assert np.linalg.norm(one.traits - other.traits) >= frame_selection.LEAST_DIFFERENCE


def test_frames_that_say_nothing_new_are_left() -> None:
    assert len(farthest_points([_sighting(i, 0.0, 0.0, 100.0) for i in range(20)], 8)) == 1


def test_of_equal_frames_the_sharp_one_is_chosen() -> None:
    sightings = [_sighting(0, 0, 0, 90), _sighting(1, 0, 0, 100), _sighting(2, 30, 0, 60)]
    assert [s.number for s in farthest_points(sightings, 2)] == [1, 2]


def _square(path: Path) -> Picture:
    """A photo's head in 256 x 256."""
    rgb = make_portrait(read_photo(path.read_bytes()), 256).rgb
    return np.round(255 * rgb).astype(np.uint8)


def _nobody(one: Picture, other: Picture) -> Iterator[Picture]:
    return repeat(np.full_like(one, 90), 8)


def _two_at_once(one: Picture, other: Picture) -> Iterator[Picture]:
    return repeat(np.concatenate((one, other), 1), 8)


def _one_after_the_other(one: Picture, other: Picture) -> Iterator[Picture]:
    return iter([one] * 6 + [other] * 5)


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (_nobody, r"no frame of 8 looked at can be used: .*found no face .*\(8 times\)"),
        (_two_at_once, r"no frame of 8 looked at can be used: .*found 2: .*\(8 times\)"),
        (_one_after_the_other, "expected a video of one person, got one of 2: of 11 .* is in 6"),
    ],
)
def test_films_of_nobody_and_of_several(
    shared_data: Path, scene: Callable[[Picture, Picture], Iterator[Picture]], message: str
) -> None:
    one, other = (_square(shared_data / f"portraits/{n}.jpg") for n in ("obama2", "biden"))
    data = filmed([*scene(one, other)])
    with pytest.raises(FaceError, match=f"^video 2: {message}"):
        read_portraits([one, data], lambda what, share: None)


def test_a_short_cut_to_somebody_else_is_left_out(shared_data: Path) -> None:
    one, other = (_square(shared_data / f"portraits/{n}.jpg") for n in ("obama2", "biden"))
    frames = select_frames(filmed([one] * 9 + [other] * 3))
    assert len(frames) == 1
    # 6 grey levels: lossy coding; the two men differ by 60
    assert np.abs(frames[0].rgb.astype(int) - one).mean() < 6


def test_photos_and_a_film_of_different_people(talking: bytes, astronaut: bytes) -> None:
    with pytest.raises(FaceError, match="pictures of one person: video 2 shows another than photo"):
        read_portraits([astronaut, talking], lambda what, share: None)


# ---- lenses


def test_frames_of_a_film_share_one_focal_length(portraits: list[Portrait]) -> None:
    found = track(portraits, load_landmark_rig())
    focals = [q.focal_px / p.crop_scale for p, q in zip(portraits, found.photos, strict=True)]
    assert {p.lens for p in portraits} == {"video 1"}
    assert focals == pytest.approx([focals[0]] * len(focals), rel=1e-9)
    alone = track([replace(p, lens=None) for p in portraits], load_landmark_rig())
    free = [q.focal_px / p.crop_scale for p, q in zip(portraits, alone.photos, strict=True)]
    assert np.ptp(np.log(free)) > 0.05  # what sharing takes away
    assert np.mean(found.rms_px) < 1.02 * np.mean(alone.rms_px)  # and hardly costs


def test_only_photos_of_one_lens_share(portraits: list[Portrait]) -> None:
    lenses = ("a", "b", "a", None, None)
    mixed = [replace(p, lens=lens) for p, lens in zip(portraits, lenses, strict=True)]
    found = track(mixed, load_landmark_rig()).photos
    one, two, three, four, five = (
        q.focal_px / p.crop_scale for p, q in zip(mixed, found, strict=True)
    )
    assert one == pytest.approx(three, rel=1e-9)
    assert len({round(f, 3) for f in (one, two, four, five)}) == 4


def _photo(size: tuple[int, int], tags: dict[int, object]) -> bytes:
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    exif.get_ifd(0x8769).update(tags)
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_lenses_are_told_apart_by_exif() -> None:
    photo = read_photo(_photo((400, 300), {0x920A: 5.0, 0xA405: 28}))
    upright = read_photo(_photo((300, 400), {0x920A: 5.0, 0xA405: 28}))
    zoomed = read_photo(_photo((400, 300), {0x920A: 9.0, 0xA405: 50}))
    assert photo.lens == upright.lens
    assert photo.lens != zoomed.lens
    assert photo.focal_px == pytest.approx(500 * 28 / 43.267, rel=1e-4)
    assert read_photo(_photo((400, 300), {})).lens is None


def test_exif_of_a_picture_that_was_cut_is_not_believed() -> None:
    photo = read_photo(_photo((400, 180), {0x920A: 5.0, 0xA405: 28}))
    assert (photo.lens, photo.focal_px) == (None, None)


# ---- over the wire


def test_a_film_becomes_an_avatar_over_the_wire(shared_data: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    with (
        running_server(local_config(tmp_path, device="cpu")) as listening,
        FlexAvatarClient(listening.address) as client,
    ):
        path = shared_data / "videos/lp_d0.mp4"
        made = client.create_avatar(
            [path], "film", quick=True, progress=lambda what, share: heard.append(what)
        )
        assert made.metrics["pictures"] >= 4
        assert made.metrics["input_psnr_db"] > 25  # dB; a quick fit of one photo reaches 30
        assert "reading video 1 of 1" in heard
        with pytest.raises(ImageError, match="video 1: video: the file is damaged or cut off"):
            client.create_avatar([path.read_bytes()[:100_000]], "cut")
        assert [a.name for a in client.list_avatars()] == ["film"]


def test_films_have_limits_of_their_own(tmp_path: Path) -> None:
    config = local_config(tmp_path, max_photo_mib=1, max_video_mib=2)
    film, noise = filmed(greys(3)), bytes(1 << 20)
    with server_and_client(config, TinyEngine()) as (client, _):
        assert client.info().limits.video_bytes == 2 << 20
        assert client.create_avatar([film + noise], "film").photos == 1
        with pytest.raises(TooLargeError, match="video: expected 2 MiB at most"):
            client.create_avatar([film + noise * 2], "larger")
        with pytest.raises(TooLargeError, match="photo: expected 1 MiB at most"):
            client.create_avatar([noise + b"1"], "photo")
