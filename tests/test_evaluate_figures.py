"""Single measures, on pictures and points made for them."""

from __future__ import annotations

import math
from types import MappingProxyType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.photo import read_photo
from flexavatar.evaluation.apertures import EYES, LIPS_INNER, iris_offset, lid_gap, lip_gap
from flexavatar.evaluation.figures import FIGURES
from flexavatar.evaluation.perceptual import haarpsi_distance
from flexavatar.evaluation.published import CROSS, SELF, VIEWS
from flexavatar.evaluation.temporal import jitter_px, temporal_figures

WHOLE = np.ones((512, 512), bool)


@pytest.fixture(scope="module")
def picture(astronaut: bytes) -> NDArray[np.float32]:
    return np.asarray(read_photo(astronaut).rgb / 255, np.float32)


def blurred(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def test_equal_pictures_have_no_distance(picture: NDArray[np.float32]) -> None:
    assert haarpsi_distance(picture, picture, WHOLE) == pytest.approx(0, abs=1e-6)


def test_haarpsi_agrees_with_an_independent_implementation(picture: NDArray[np.float32]) -> None:
    # 1 - piq.haarpsi of piq 0.8.0 on the same two pictures; its padding differs at the borders
    assert haarpsi_distance(picture, blurred(picture, 2), WHOLE) == pytest.approx(0.26487, abs=1e-4)


def test_distance_grows_with_blur_and_is_symmetric(picture: NDArray[np.float32]) -> None:
    found = [haarpsi_distance(picture, blurred(picture, s), WHOLE) for s in (0.5, 1, 2, 4)]
    assert found == sorted(found)
    other = haarpsi_distance(blurred(picture, 2), picture, WHOLE)
    assert other == pytest.approx(found[2], abs=1e-6)


def test_only_the_region_counts(picture: NDArray[np.float32]) -> None:
    changed, left = picture.copy(), WHOLE.copy()
    changed[:, 300:] = blurred(picture, 4)[:, 300:]
    left[:, 280:] = False  # the largest filter reaches 16 pixels
    assert haarpsi_distance(picture, changed, left) == pytest.approx(0, abs=1e-6)


def test_flat_pictures_have_no_distance_to_speak_of() -> None:
    flat = np.full((64, 64, 3), 0.5, np.float32)
    inner = np.zeros((64, 64), bool)
    inner[24:40, 24:40] = True  # away from the border, which is an edge
    assert math.isnan(haarpsi_distance(flat, flat, inner))


def test_jitter_of_points_that_stand_still_is_their_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.7, (200, 100, 2))
    assert jitter_px(list(noise + 250)) == pytest.approx(0.7, rel=0.02)  # 20,000 samples


def test_steady_motion_is_no_jitter() -> None:
    path = [np.full((5, 2), 3.0 * t) for t in range(9)]
    assert jitter_px(path) == pytest.approx(0, abs=1e-12)


def test_too_few_frames_have_no_motion() -> None:
    assert all(math.isnan(v) for v in temporal_figures([]).values())


def face_with(places: dict[int, tuple[float, float]]) -> FaceLandmarks:
    points = np.zeros((478, 3), np.float32)
    for index, place in places.items():
        points[index, :2] = place
    return FaceLandmarks(points, MappingProxyType({}))


def eyes(gap: float, look: tuple[float, float] = (0, 0)) -> dict[int, tuple[float, float]]:
    """Two eyes 30 wide with their outer corners 100 apart."""
    places: dict[int, tuple[float, float]] = {}
    for (outer, inner, upper, lower, iris), (out, sign) in zip(
        EYES, ((0, 1), (100, -1)), strict=True
    ):
        middle = out + 15 * sign
        places |= {outer: (out, 0), inner: (out + 30 * sign, 0)}
        places |= {upper: (middle, -gap / 2), lower: (middle, gap / 2)}
        places[iris] = (middle + look[0], look[1])
    return places


def test_gaps_are_shares_of_the_face() -> None:
    mouth = {upper: (50.0, 60.0) for upper, _ in LIPS_INNER}
    mouth |= {lower: (50.0, 80.0) for _, lower in LIPS_INNER}
    face = face_with(eyes(9) | mouth)
    assert lid_gap(face) == pytest.approx(0.3)
    assert lip_gap(face) == pytest.approx(0.2)


def test_iris_place_turns_with_the_head() -> None:
    face = face_with(eyes(9, (6, 3)))
    np.testing.assert_allclose(iris_offset(face), (0.2, 0.1), atol=1e-6)
    turn = np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    points = face.points.copy()
    points[:, :2] = points[:, :2] @ turn.T
    turned = FaceLandmarks(points, face.scores)
    np.testing.assert_allclose(iris_offset(turned), (0.2, 0.1), atol=1e-6)


def test_published_lines_say_that_the_data_differ() -> None:
    for line in (*SELF, *CROSS, *VIEWS):
        assert "other data and measures" in line.source
        assert not line.figures.keys() & FIGURES.keys() - {"aed"}  # theirs are not called as ours
