"""Which frames of a video are taken; lenses that photos share; films over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from plugin_server.client.client import FlexAvatarClient
from plugin_server.errors import TooLargeError
from plugin_server.server import running_server
from tests.films import Picture, filmed, greys
from tests.service import TinyEngine, local_config, server_and_client


@pytest.fixture(scope="module")
def talking(shared_data: Path) -> bytes:
    """A child who turns her head, 9 s."""
    return (shared_data / "videos/lp_d11.mp4").read_bytes()


@pytest.fixture(scope="module")
def portraits(talking: bytes) -> list[Portrait]:
    return read_portraits([talking], lambda what, share: None)[:5]


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
