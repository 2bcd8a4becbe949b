"""Synthetic people on the open head: the same for ever, lit, wrinkled where asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("embreex")

from flexavatar.capture.landmarks import detect_faces
from flexavatar.formats.picture import to_uint8
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.render.camera import look_from
from flexavatar.training.people.camera import FRAMED_M, MIDDLE, around_camera, photo_camera
from flexavatar.training.people.expressions import ANCHORS, natural_weights, random_weights
from flexavatar.training.people.person import SyntheticPerson
from flexavatar.training.people.picture import photograph
from flexavatar.training.people.traits import sample_traits

TEXELS = 128


@pytest.fixture(scope="module")
def person() -> SyntheticPerson:
    return SyntheticPerson(sample_traits(3), TEXELS)


def test_a_seed_is_a_person_for_ever(person: SyntheticPerson):
    again = SyntheticPerson(sample_traits(3), TEXELS)
    assert sample_traits(3) == sample_traits(3) != sample_traits(4)
    assert torch.equal(person.neutral, again.neutral)
    assert torch.equal(person.face({}).chart(), again.face({}).chart())


def test_a_face_has_a_chart_and_pictures(person: SyntheticPerson):
    face = person.face(ANCHORS["smile"])
    chart = face.chart()
    assert chart.shape == (3, TEXELS, TEXELS)
    assert chart.min() >= 0
    assert chart.max() <= 1
    for draw in (photo_camera, around_camera):
        shot = photograph(face, draw(np.random.default_rng(0), 64))
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


def test_expressions_make_lines_and_rest_has_none(person: SyntheticPerson):
    """What drives a line must deepen it; a young face at rest has few, a blink clears the lid."""
    rest = [crease.depth({}) for crease in person.creases]
    assert all(0 <= depth <= 1 for depth in rest)
    asked = {"browInnerUp": 1.0}
    deeper = [
        crease.depth(asked) - depth for crease, depth in zip(person.creases, rest, strict=True)
    ]
    driven = [bool({"browInnerUp"} & set(crease.drive)) for crease in person.creases]
    assert all((change > 0.05) == drives for change, drives in zip(deeper, driven, strict=True))
    lids = [crease for crease in person.creases if "eyeBlinkLeft" in crease.fades]
    assert len(lids) == 1
    assert lids[0].depth({"eyeBlinkLeft": 1.0}) == 0


def test_brows_raised_change_the_forehead_and_nothing_else(person: SyntheticPerson):
    """The lines alone, without the motion of the skin: the same vertices, other weights."""
    rest = person.face({})
    lined = person.face({"browInnerUp": 1.0}, person.codes({}))
    assert torch.equal(rest.vertices, lined.vertices)
    moved = np.abs(lined.linear - rest.linear).max(1) > 1e-4
    height = person.canvas.points[moved, 1]
    assert moved.sum() > 50
    assert height.min() > 0.03
    assert height.max() < 0.1


def test_shadows_follow_the_mouth(person: SyntheticPerson):
    """An open mouth lets light in, but its back stays darker than its lips."""
    masks = person.canvas.masks
    inside, lips = masks["cavity"] > 0.9, masks["lips"] > 0.9
    closed, opened = (person.face(w).linear.mean(1) for w in ({}, {"jawOpen": 0.8}))
    assert opened[inside].mean() > closed[inside].mean()
    assert opened[inside].mean() < 0.5 * opened[lips].mean()


def test_people_differ():
    """Mean skin tones of 8 seeds span more than a camera's tone could."""
    tones = []
    for seed in range(8):
        person = SyntheticPerson(sample_traits(seed), 64)
        face = person.canvas.masks["face"] > 0.9
        tones.append(person.paint.albedo[face].mean(0))
    assert np.std(tones, 0).min() > 0.06


@pytest.mark.parametrize("wear", ["bare", "worn"])
def test_mediapipe_finds_their_faces(wear: str):
    """Four seeds each, with and without hats and glasses."""
    worn = [
        (t.clothing.hat != "none" or t.clothing.glasses != "none", t)
        for t in map(sample_traits, range(60))
    ]
    chosen = [traits for covered, traits in worn if covered == (wear == "worn")][:4]
    found = 0
    for traits in chosen:
        picture = photograph(
            SyntheticPerson(traits, 192).face({}), look_from(0, 0, 192, MIDDLE, FRAMED_M)
        ).before_wall()
        found += bool(detect_faces(to_uint8(picture.numpy())))
    assert found == 4
