"""Synthetic people on the open head: the same for ever, lit, wrinkled where asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("embreex")

from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.training.people.cameras import around_camera, photo_camera
from flexavatar.training.people.expressions import ANCHORS, natural_weights, random_weights
from flexavatar.training.people.figure import Figure
from flexavatar.training.people.traits import draw_traits

TEXELS = 128


@pytest.fixture(scope="module")
def figure() -> Figure:
    return Figure(draw_traits(3), TEXELS)


def test_a_seed_is_a_person_for_ever(figure: Figure):
    again = Figure(draw_traits(3), TEXELS)
    assert draw_traits(3) == draw_traits(3) != draw_traits(4)
    assert torch.equal(figure.neutral, again.neutral)
    assert torch.equal(figure.face({}).chart(), again.face({}).chart())


def test_a_face_has_a_chart_and_pictures(figure: Figure):
    face = figure.face(ANCHORS["smile"])
    chart = face.chart()
    assert chart.shape == (3, TEXELS, TEXELS)
    assert chart.min() >= 0
    assert chart.max() <= 1
    for draw in (photo_camera, around_camera):
        shot = face.shoot(draw(np.random.default_rng(0), 64))
        assert shot.rgb.shape == (64, 64, 3)
        assert shot.cover.shape == (64, 64)
        assert 0.2 < shot.cover.mean() < 0.95
        assert (shot.rgb <= shot.cover[..., None] + 1e-5).all()
        assert shot.rgb.isfinite().all()


def test_twenty_anchors_and_drawn_weights_are_faces():
    rng = np.random.default_rng(1)
    drawn = [draw(rng) for draw in (natural_weights, random_weights) for _ in range(30)]
    assert len(ANCHORS) == 20
    for weights in (*ANCHORS.values(), *drawn):
        assert set(weights) <= set(ARKIT_NAMES)
        assert all(0 <= value <= 1 for value in weights.values())
        assert weights.get("mouthClose", 0) <= weights.get("jawOpen", 0)
