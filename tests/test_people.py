"""Synthetic people: the same for a seed, true to the rig, drawn right, and avatars held to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flexavatar.capture.identity import HUMAN_SCORE, human_score
from flexavatar.capture.landmarks import detect_face
from flexavatar.cli import run
from flexavatar.create.create import CreateConfig
from flexavatar.errors import AssetError, InputError
from flexavatar.evaluation.people import protocol, views
from flexavatar.evaluation.people.noise import fractal_noise, value_noise
from flexavatar.evaluation.people.paint import Painter
from flexavatar.evaluation.people.person import Person, sample_person
from flexavatar.evaluation.people.person_mesh import PersonModel
from flexavatar.evaluation.people.ray_tracer import Scene, radiance
from flexavatar.evaluation.people.rig import EYE, FACE_SKIN, MOUTH, IctRig, load_ict
from flexavatar.evaluation.people.score import head_region, true_picture, view_figures
from flexavatar.evaluation.people.views import TrueView, look_from, photo_cameras
from flexavatar.head.surface import Similarity, camera_in_source_space
from flexavatar.render.camera import camera_position, project
from flexavatar.render.light import Lamp, Light
from flexavatar.rigs.ict import EYE_SHELLS, LOWER_TEETH

SIDE = 128


@pytest.fixture(scope="module")
def path(shared_data: Path) -> Path:
    return shared_data / "ict_facekit_f16.npz"


@pytest.fixture(scope="module")
def rig(path: Path) -> IctRig:
    return load_ict(path)


@pytest.fixture(scope="module")
def person(rig: IctRig) -> Person:
    return sample_person(rig, 0, 1)


@pytest.fixture(scope="module")
def scene(rig: IctRig, person: Person) -> Scene:
    return Scene(PersonModel(rig, person).mesh({}), Painter(rig, person.appearance), person)


@pytest.fixture(scope="module")
def front(scene: Scene) -> TrueView:
    camera = look_from(0, 0, SIDE)
    return TrueView("front", "front", camera, {}, scene.render(camera))


def test_a_seed_gives_the_same_people(rig: IctRig, person: Person) -> None:
    again, other = sample_person(rig, 0, 1), sample_person(rig, 0, 2)
    np.testing.assert_array_equal(again.betas, person.betas)
    assert again.appearance == person.appearance
    assert (again.light, again.mood) == (person.light, person.mood)
    assert np.abs(other.betas - person.betas).max() > 0.5
    assert other.appearance != person.appearance


def test_noise_is_smooth_and_centred() -> None:
    points = np.random.default_rng(0).uniform(-30, 30, (4000, 3))
    noise = value_noise(points, 1)
    assert np.abs(noise).max() <= 1
    assert abs(noise.mean()) < 0.05  # 4000 samples of a variance under 1/3
    assert np.abs(value_noise(points + 1e-4, 1) - noise).max() < 1e-3  # slope is at most 3
    assert np.abs(value_noise(points, 2) - noise).max() > 0.5
    assert np.abs(fractal_noise(points, 1)).max() <= 1


def test_shapes_do_what_they_are_called(rig: IctRig) -> None:
    opened = rig.expression({"jawOpen": 1.0})
    assert opened[LOWER_TEETH, 1].mean() < -0.01
    looking = rig.pose(rig.template, {"eyeLookOutLeft": 1.0, "eyeLookUpLeft": 1.0})
    left, right = (looking[shell] - rig.template[shell] for shell in EYE_SHELLS)
    apex = rig.template[EYE_SHELLS[0], 2].argmax()
    assert left[apex, 0] > 0.003  # the person's left is +x
    assert left[apex, 1] > 0.002
    assert np.abs(right).max() < 1e-9
    assert rig.expression({"eyeBlinkLeft": 1.0})[rig.lid_rims[1]].max() < 1e-3
    with pytest.raises(KeyError):
        rig.expression({"tongueOut": 1.0})


def test_what_is_no_ict_rig_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "rig.npz"
    text.write_text("not an archive")
    with pytest.raises(AssetError, match="ICT-FaceKit"):
        load_ict(text)
    np.savez(text, v=np.zeros((3, 3)))
    with pytest.raises(AssetError, match="missing"):
        load_ict(text)


def test_rays_and_projection_agree(scene: Scene, front: TrueView) -> None:
    """Another renderer, the same camera convention: outlines agree to a pixel."""
    camera = replace(look_from(25, 10, SIDE))
    solid = np.unique(scene.mesh.faces)
    seen = project(camera, torch.from_numpy(scene.mesh.vertices[solid]).float()).numpy()
    inside = (np.abs(seen[:, :2] - SIDE / 2) < SIDE / 2).all(1)
    cover = scene.render(camera).cover > 0
    ys, xs = np.nonzero(cover)
    assert abs(seen[inside, 1].min() - ys.min()) < 1.5
    assert cover[seen[inside, 1].astype(int), seen[inside, 0].astype(int)].mean() > 0.99
    assert len(xs)
    assert front.shot.cover[SIDE // 2, SIDE // 2] == 1


def test_cameras_stand_where_they_are_named() -> None:
    assert float(camera_position(look_from(90, 0, SIDE))[0]) > 0.9  # the person's left
    assert float(camera_position(look_from(0, 25, SIDE))[1]) > 0.3
    assert float(camera_position(look_from(180, 0, SIDE))[2]) < -0.9
    turn = look_from(30, 20, SIDE, 1.3, 4).viewmat[:3, :3].double()
    torch.testing.assert_close(turn @ turn.T, torch.eye(3).double(), rtol=0, atol=1e-6)
    assert float(torch.linalg.det(turn)) > 0


def test_photos_start_in_front_and_go_round(person: Person) -> None:
    cameras = photo_cameras(person, 3, SIDE)
    sides = [float(camera_position(camera)[0]) for camera in cameras]
    assert abs(sides[0]) < 0.2 < sides[1]
    assert sides[2] < -0.2
    again = photo_cameras(person, 1, SIDE)[0]
    torch.testing.assert_close(again.viewmat, cameras[0].viewmat, rtol=0, atol=0)


def test_light_is_blocked_where_it_should_be(scene: Scene, person: Person) -> None:
    white = Light((1, 1, 1), (1, 1, 1), ())
    lit = Scene(scene.mesh, scene.painter, replace(person, light=white)).light
    part = scene.mesh.part
    assert lit.max() < 1.001  # never more than there is
    crown = scene.mesh.vertices[: len(part)][:, 1].argmax()
    assert lit[crown].min() > 0.95
    assert lit[part == MOUTH].mean() < 0.4
    lamp = Light((0, 0, 0), (0, 0, 0), (Lamp((1.0, 0.0, 0.0), (1, 1, 1), 5.0),))
    out = np.array(((1.0, 0, 0), (-1.0, 0, 0)))
    towards, away = radiance(lamp, out)[:, 0]
    assert towards == pytest.approx(1)
    assert away < 1e-4


def test_paint_knows_its_places(rig: IctRig, person: Person) -> None:
    painter = Painter(rig, person.appearance)
    shell = rig.template[EYE_SHELLS[0]]
    apex = shell[shell[:, 2].argmax()]
    places = np.array(
        (apex, apex + np.array((0.0095, 0, -0.003)), apex + np.array((0.004, 0, -0.001)))
    )
    pupil, white, iris = painter.paint(places, np.full(3, EYE, np.int8)).albedo
    assert pupil.max() < 0.02 < iris.max() < white.min()
    lip = rig.template[rig.lip_rim].mean(0) * (0, 1, 1) + (0, -0.004, 0.004)
    cheek = np.array((0.045, -0.01, 0.07))
    skin = painter.paint(np.array((lip, cheek)), np.full(2, FACE_SKIN, np.int8)).albedo
    redness = skin[:, 0] / skin[:, 1]
    assert redness[0] > 1.15 * redness[1]


def test_the_photo_passes_for_a_person(scene: Scene) -> None:
    rgb = scene.render(look_from(0, 0, 320)).rgb
    face = detect_face(rgb)
    assert human_score(rgb, face) > HUMAN_SCORE
    assert max(face.scores["eyeBlinkLeft"], face.scores["jawOpen"]) < 0.4


def test_an_avatar_camera_follows_the_similarity() -> None:
    turn = look_from(20, 10, SIDE).viewmat[:3, :3].double().numpy()
    place = Similarity(1.1, turn, np.array((0.01, -0.02, 0.03)))
    true = look_from(-30, 5, SIDE)
    own = torch.randn(20, 3, dtype=torch.float64) * 0.1
    there = torch.from_numpy(place.apply(own.numpy())).float()
    mine = camera_in_source_space(place, true)
    found, wanted = project(mine, own.float()), project(true, there)
    torch.testing.assert_close(found[:, :2], wanted[:, :2], rtol=0, atol=1e-2)  # float32 pixels
    torch.testing.assert_close(found[:, 2] * 1.1, wanted[:, 2], rtol=1e-4, atol=0)


def test_figures_tell_right_from_wrong(front: TrueView) -> None:
    truth = true_picture(front)
    perfect = view_figures(truth, replace(front, group="side"))
    shifted = view_figures(np.roll(truth, 3, axis=1), replace(front, group="side"))
    assert perfect["head_psnr"] == 99.0
    assert perfect["head_ssim"] > 0.999
    assert shifted["head_psnr"] < 25
    assert shifted["head_ssim"] < 0.9
    grown = truth.copy()
    rim = head_region(front) & (front.shot.cover < 0.05)
    grown[rim] = 0.0  # hair that sticks out where nothing is
    assert rim.any()
    assert view_figures(grown, replace(front, group="side"))["head_psnr"] < 30


def test_head_ends_at_the_chin(front: TrueView) -> None:
    head = front.shot.head
    rows = np.nonzero(head.any(1))[0]
    assert 0.5 * SIDE < rows.max() < 0.8 * SIDE
    assert not head[-1].any()
    assert front.shot.cover[-1].any()


def test_an_avatar_is_held_against_its_person(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        views, "HELD_OUT_ANGLES", {"front": {"front": (0, 0)}, "back": {"back": (180, 0)}}
    )
    monkeypatch.setattr(views, "HELD_OUT_FACES", {"blink": views.HELD_OUT_FACES["blink"]})
    create = CreateConfig(quick=True, quick_steps=4, texels=128)
    config = protocol.PeopleConfig(count=1, seed=0, photos=(1,), create=create, side=256)
    (item,) = protocol.evaluate_people(path, config)
    assert item.name == "person 0-0, 1 photo"
    assert len(item.pictures) == 1 + 3
    figures = item.figures
    assert figures["front_psnr"] > 17
    assert figures["front_psnr"] > figures["back_psnr"]
    assert figures["identity_distance"] < 0.6
    assert figures["akd_px"] < 12
    assert figures["face_mm"] < 6
    assert {"expression_psnr", "expression_ssim", "head_psnr"} <= figures.keys()


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"photos": ()}, {"photos": (9,)}, {"photos": (0, 1)}]
)
def test_numbers_out_of_range_are_refused(path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        protocol.evaluate_people(path, protocol.PeopleConfig(**wrong))


def test_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "people", "--rig", "no.npz", "--photos", "1;4"]) == 1
    assert "numbers with commas" in capsys.readouterr().err
    assert run(["evaluate", "people", "--rig", "no.npz"]) == 1
    assert "no.npz" in capsys.readouterr().err
