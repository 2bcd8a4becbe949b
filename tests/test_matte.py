"""Person or background: colours where the net wavers, the person's own colours at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flexavatar.capture import matte as matting
from flexavatar.capture.closed_form import closed_form_alpha
from flexavatar.capture.foreground import foreground_colors
from flexavatar.capture.inpaint import nearest_fill, push_pull
from flexavatar.capture.matte import CERTAIN, NET_SIDE, person_matte
from flexavatar.capture.photo import photo_from_array
from flexavatar.capture.portrait import make_portrait
from flexavatar.formats.video_reader import read_frames

Matte = NDArray[np.float32]
Picture = NDArray[np.uint8]


def _video(shared_data: Path, name: str, frames: int) -> list[Picture]:
    return read_frames(shared_data / f"videos/{name}.mp4", range(frames))


def _near(matte: Matte, x: int, y: int) -> Matte:
    return matte[y - 8 : y + 9, x - 8 : x + 9]


def _by_net_alone(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> Matte:
    with monkeypatch.context() as patch:
        patch.setattr(matting, "_cut_by_color", lambda *_: None)
        return person_matte(picture)


# ---- real pictures


def test_pigtails_before_a_wall_are_hers(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (picture,) = _video(shared_data, "lp_d11", 1)
    matte, net = person_matte(picture), _by_net_alone(picture, monkeypatch)
    for x, y in ((97, 307), (432, 323)):
        assert float(_near(matte, x, y).min()) > 0.9
        assert float(_near(net, x, y).mean()) < 0.7  # what colours are needed for
    for x, y in ((32, 160), (480, 160), (30, 330), (490, 330)):
        assert float(_near(matte, x, y).max()) < 0.05


def test_a_flag_beside_the_neck_is_not_hers(shared_data: Path) -> None:
    """Red and white like lips and teeth, blue like hair in shadow."""
    name = "st_WDA_AlexandriaOcasioCortez_000"
    matte = person_matte(_video(shared_data, name, 1)[0])
    for x, y in ((121, 400), (432, 398), (80, 60), (480, 130)):
        assert float(_near(matte, x, y).max()) < 0.05
    for x, y in ((256, 60), (256, 480), (420, 220)):  # hair, neck, hair
        assert float(_near(matte, x, y).min()) > 0.9


def _unrest(mattes: Sequence[Matte]) -> float:
    """Mean change of a pixel from frame to frame."""
    changes = [np.abs(b - a).mean() for a, b in pairwise(mattes)]
    return float(np.mean(changes))


def test_colors_make_the_matte_steadier(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long hair, where the net wavers."""
    pictures = _video(shared_data, "lp_d11", 6)
    by_colors = _unrest([person_matte(picture) for picture in pictures])
    by_net = _unrest([_by_net_alone(picture, monkeypatch) for picture in pictures])
    assert by_colors < 0.5 * by_net


def test_earrings_are_hers(shared_data: Path) -> None:
    """Small, bright and beside the neck: a net of 256 pixels sees none."""
    matte = person_matte(_video(shared_data, "st_WDA_AlexandriaOcasioCortez_000", 1)[0])
    assert float(matte[310:355, 395:420].max(1).mean()) > 0.8


def test_what_is_calm_stays_calm(shared_data: Path) -> None:
    """A man who sits still before an even wall."""
    mattes = [person_matte(picture) for picture in _video(shared_data, "lp_d0", 4)]
    assert _unrest(mattes) < 0.002  # of a pixel: the breath of an edge 1000 pixels long


def test_a_matte_is_the_same_each_time(portrait_bytes: Picture) -> None:
    """The mixtures of colours start from random places, the same ones always."""
    assert np.array_equal(person_matte(portrait_bytes), person_matte(portrait_bytes))


@pytest.fixture(scope="module")
def portrait_bytes(shared_data: Path) -> Picture:
    return _video(shared_data, "lp_d20", 1)[0]


# ---- made pictures: what the net says is known


def _doubtful_disc() -> Matte:
    """A net's answer: a certain disc, a ring of doubt around it that leans to nobody."""
    y, x = np.indices((NET_SIDE, NET_SIDE)) - NET_SIDE / 2 + 0.5
    away = np.hypot(x, y)
    return np.where(away < 60, 1, np.where(away < 90, 0.4, 0)).astype(np.float32)


def _speckled(color: Sequence[int], shape: tuple[int, ...], seed: int) -> Picture:
    noise = np.random.default_rng(seed).normal(0, 6, (*shape, 3))
    return np.clip(noise + color, 0, 255).astype(np.uint8)


@pytest.fixture
def disc(monkeypatch: pytest.MonkeyPatch) -> Matte:
    """The net sees this in every picture."""
    answer = _doubtful_disc()
    monkeypatch.setattr(matting, "_segment", lambda rgb: answer.copy())
    return answer


def _halves(left: Picture, right: Picture) -> Picture:
    return np.concatenate((left[:, : NET_SIDE // 2], right[:, NET_SIDE // 2 :]), 1)


def test_doubtful_pixels_go_to_the_side_whose_colors_they_have(disc: Matte) -> None:
    """In the ring of doubt the left half has the person's colour, the right half the wall's."""
    shape = disc.shape
    person, wall = _speckled((60, 40, 30), shape, 0), _speckled((90, 160, 90), shape, 1)
    ring = (disc == np.float32(0.4))[..., None]
    picture = np.where(disc[..., None] == 1, person, wall)
    picture = np.where(ring, _halves(person, wall), picture)
    matte = person_matte(picture)
    middle = NET_SIDE // 2
    assert float(matte[middle - 20 : middle + 20, middle - 84 : middle - 66].min()) > 0.95
    assert float(matte[middle - 20 : middle + 20, middle + 66 : middle + 84].max()) < 0.05
    assert float(matte[middle, middle]) == 1
    assert float(matte[:20, :20].max()) == 0


def test_where_both_sides_have_the_color_the_net_decides(
    disc: Matte, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = _speckled((120, 110, 100), disc.shape, 2)
    matte, net = person_matte(picture), _by_net_alone(picture, monkeypatch)
    assert float(((matte > 0.5) != (net > 0.5)).mean()) < 0.02  # chance likenesses of noise


def test_certainty_is_left_alone(disc: Matte) -> None:
    """A white shirt before a white wall, far from any doubt, and a hat's band of wall colour."""
    person, wall = (60, 40, 30), (235, 235, 235)
    picture = np.where(
        disc[..., None] == 1, _speckled(person, disc.shape, 3), _speckled(wall, disc.shape, 4)
    )
    picture[120:130, 110:150] = wall
    assert float(person_matte(picture)[120:130, 110:150].min()) > CERTAIN


@pytest.mark.parametrize("answer", [0.0, 0.5, 1.0])
def test_a_net_that_sees_one_side_only_is_believed(
    answer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No person, no wall, or neither for certain: no colours can be learnt."""
    flat = np.full((NET_SIDE, NET_SIDE), answer, np.float32)
    monkeypatch.setattr(matting, "_segment", lambda rgb: flat.copy())
    picture = _speckled((90, 90, 90), (100, 140), 5)
    matte = person_matte(picture)
    assert matte.shape == (100, 140)
    assert np.allclose(matte, answer, atol=1e-3)  # resampling


def test_flat_colors_can_be_told_apart(disc: Matte) -> None:
    """A drawing before a painted wall: no noise for a mixture to measure."""
    picture = np.full((*disc.shape, 3), 200, np.uint8)
    picture[disc > 0] = (40, 30, 120)
    matte = person_matte(picture)
    assert np.isfinite(matte).all()
    assert float(matte[NET_SIDE // 2, NET_SIDE // 2 + 75]) > 0.95


# ---- the person's own colours


def test_dark_hair_is_dark_up_to_the_last_wisp() -> None:
    """Hair of 0.1 that thins out over 12 pixels before a wall of 0.9."""
    matte = np.tile(np.clip(np.linspace(3, -2, 64), 0, 1), (64, 1)).astype(np.float32)
    picture = np.repeat((0.1 * matte + 0.9 * (1 - matte))[..., None], 3, 2).astype(np.float32)
    colors = foreground_colors(picture, matte)
    assert float(picture[matte > 0.02].max()) > 0.8  # what the photo itself has there
    assert float(colors[matte > 0.02].max()) < 0.2
    assert np.array_equal(colors[matte == 1][:, 0], picture[matte == 1][:, 0])


def test_green_screens_do_not_shine_through(shared_data: Path) -> None:
    portrait = make_portrait(photo_from_array(_video(shared_data, "lp_d0", 1)[0]))
    edge = (portrait.matte > 0.05) & (portrait.matte < 0.7)

    def green(colors: NDArray[np.float32]) -> float:
        r, g, b = colors[edge].mean(0)
        return float(g - (r + b) / 2)

    assert green(portrait.rgb) > 0.1  # of 1: half of the wall's own
    assert green(portrait.colors) < 0.3 * green(portrait.rgb)


# ---- known pixels carried on


@st.composite
def _known(draw: st.DrawFn) -> NDArray[np.bool_]:
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    seed, share = draw(st.integers(0, 10**6)), draw(st.floats(0.01, 1))
    known = np.random.default_rng(seed).random((height, width)) < share
    known.flat[seed % known.size] = True
    return known


@given(_known())
def test_the_nearest_known_pixel_is_repeated(known: NDArray[np.bool_]) -> None:
    places = np.moveaxis(np.indices(known.shape), 0, -1).astype(np.float32)  # each says where it is
    filled = nearest_fill(places, known)
    assert np.array_equal(filled[known], places[known])
    taken = np.linalg.norm(filled - places, axis=-1)
    every = np.linalg.norm(places[:, :, None] - places[known], axis=-1).min(-1)
    assert known[tuple(filled.astype(int).reshape(-1, 2).T)].all()
    # OpenCV's 5 x 5 chamfer distance is 2 % off at most
    assert (taken <= 1.05 * every + 1e-3).all()


def test_a_plane_of_numbers_is_filled_too() -> None:
    filled = nearest_fill(
        np.array([[3, 0, 0, 7]], np.float32), np.array([[True, False, False, True]])
    )
    assert filled.tolist() == [[3, 3, 7, 7]]


def test_nothing_known_changes_nothing() -> None:
    values = np.random.default_rng(0).random((5, 6, 3)).astype(np.float32)
    assert np.array_equal(nearest_fill(values, np.zeros((5, 6), bool)), values)


@given(_known(), st.integers(0, 10**6))
def test_pulled_colors_stay_within_what_is_known(known: NDArray[np.bool_], seed: int) -> None:
    """Known pixels stay; all others, however far, are means of them: no black corners."""
    values = np.random.default_rng(seed).uniform(0.3, 0.9, (*known.shape, 3)).astype(np.float32)
    weight = known[..., None].astype(np.float32)
    filled = push_pull(values * weight, weight)
    assert np.allclose(filled[known], values[known], atol=1e-5)
    low, high = values[known].min(0), values[known].max(0)
    assert (filled >= low - 1e-3).all()  # float32 sums of small weights
    assert (filled <= high + 1e-3).all()


def test_pulled_colors_of_one_corner_reach_the_others() -> None:
    weight = np.zeros((64, 48, 1), np.float32)
    weight[2:9, 2:9] = 1
    filled = push_pull(np.float32(0.7) * weight, weight)
    assert np.allclose(filled, 0.7, atol=1e-3)


def test_half_known_pixels_move_half_way() -> None:
    weight = np.ones((8, 8, 1), np.float32)
    weight[4, 4] = 0.5
    values = np.zeros((8, 8, 1), np.float32)
    values[4, 4] = 1
    middle = float(push_pull(values * weight, weight)[4, 4, 0])
    assert 0.5 < middle < 0.6  # its own half, and a little of itself in the mean around


def test_nothing_known_is_black() -> None:
    nothing = np.zeros((8, 6, 2), np.float32)
    assert np.array_equal(push_pull(nothing, np.zeros((8, 6, 1), np.float32)), nothing)


# ---- alpha at the edge


def test_closed_form_alpha_finds_a_soft_edge() -> None:
    """A ramp of 9 pixels between two speckled colours, of which only the hard cut is known."""
    truth = np.tile(np.clip(np.linspace(5, -4, 64), 0, 1), (48, 1)).astype(np.float32)
    person, wall = (
        _speckled(c, truth.shape, i) for i, c in enumerate(((60, 40, 30), (180, 200, 90)))
    )
    picture = np.asarray(
        (truth[..., None] * person + (1 - truth[..., None]) * wall) / 255, np.float32
    )
    cut = (truth > 0.5).astype(np.float32)
    unknown = np.abs(np.arange(64) - float((truth[0] > 0.5).sum())) < 10
    alpha = closed_form_alpha(picture, cut, np.broadcast_to(unknown, cut.shape))
    assert float(np.abs(alpha - truth).mean()) < 0.2 * float(np.abs(cut - truth).mean())
    assert np.array_equal(alpha[:, ~unknown], cut[:, ~unknown])


def test_closed_form_alpha_of_nothing_unknown_is_what_it_was() -> None:
    alpha = np.eye(8, dtype=np.float32)
    picture = np.zeros((8, 8, 3), np.float32)
    assert np.array_equal(closed_form_alpha(picture, alpha, np.zeros((8, 8), bool)), alpha)
