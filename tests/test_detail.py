"""A closer look: eyes that are drawn and not fitted, close-ups while fitting, and the yardstick."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.portrait import Portrait
from flexavatar.create.eyeball import eyeball_front, eyeball_splats, polar_grid
from flexavatar.create.fit import FitConfig, random_closeup
from flexavatar.create.iris import (
    Eyeball,
    EyeView,
    Iris,
    eyeball_of,
    gaze_error,
    iris_directions,
    measure_iris,
)
from flexavatar.create.pixels import drawn_pixels
from flexavatar.create.target import Target
from flexavatar.evaluation.detail import EyePixels, agreement_of, eye_pixels
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.open_head import load_open_head
from flexavatar.render.camera import look_from, project
from flexavatar.types import Camera
from tests.test_engine import plain_avatar

SIDE = 256
WHITE, BROWN = torch.tensor([0.8, 0.75, 0.7]), torch.tensor([0.25, 0.15, 0.1])


class PaintedPortrait:
    """As much of a portrait as an eye's measures look at."""

    crop_scale = 1.0

    def __init__(self, rgb: Tensor) -> None:
        self.rgb = rgb.numpy()


def blank_eye(ball: Eyeball) -> EyeView:
    """Seen large and whole, before anything is painted."""
    camera = look_from(0, 0, SIDE, ball.centre.numpy(), 0.03)
    portrait: Any = PaintedPortrait(torch.zeros(SIDE, SIDE, 3))
    return EyeView(portrait, camera, "left", ball, torch.ones(SIDE, SIDE))


def painted_eye(ball: Eyeball, turned: tuple[float, float] = (0.0, 0.0)) -> EyeView:
    """The same, with its iris turned by pitch and yaw."""
    eye = blank_eye(ball)
    pixels, _ = eye.pixels()
    pitch, yaw = turned
    axis = torch.nn.functional.normalize(
        torch.tensor([math.sin(yaw), -math.sin(pitch), 1.0]), dim=0
    )
    outwards = torch.nn.functional.normalize(eye.on_ball(pixels) - ball.centre, dim=-1)
    away = torch.arccos((outwards @ axis).clamp(-1, 1)) / ball.iris_angle
    colors = torch.where((away < 1)[:, None], BROWN, WHITE).reshape(SIDE, SIDE, 3)
    opening = torch.zeros(SIDE, SIDE)
    opening[60:-60, 30:-30] = 1
    portrait: Any = PaintedPortrait(colors)
    return replace(eye, portrait=portrait, opening=opening)


@pytest.fixture
def ball() -> Eyeball:
    head = load_open_head()
    return eyeball_of(head, head.template, head.template, "left")


def test_polar_places_come_back(ball: Eyeball) -> None:
    radii, angles, _ = polar_grid(ball)
    points = ball.points(iris_directions(radii, angles, ball.iris_angle))
    torch.testing.assert_close(ball.iris_radii(points), radii, rtol=0, atol=1e-4)  # float32 angles
    eye = blank_eye(ball)
    seen = eye.on_ball(project(eye.camera, points)[:, :2])
    torch.testing.assert_close(seen, points, rtol=0, atol=1e-5)  # a hundredth of a millimetre


def test_an_eyeball_turns_with_its_gaze() -> None:
    head = load_open_head()
    codes = arkit_to_flame({"eyeLookOutLeft": 1.0}, load_arkit_basis(head))
    posed = head.pose(head.template, codes).vertices
    ball = eyeball_of(head, head.template, posed, "left")
    axis = ball.rotmat @ torch.tensor([0.0, 0.0, 1.0])
    assert axis[0] > 0.3  # to the person's left
    rest = eyeball_of(head, head.template, head.template, "left")
    torch.testing.assert_close(ball.centre, rest.centre, rtol=0, atol=1e-4)


@pytest.mark.parametrize("turned", [(0.0, 0.0), (0.08, -0.06), (-0.1, 0.1)])
def test_the_gaze_is_found_in_the_picture(ball: Eyeball, turned: tuple[float, float]) -> None:
    found = gaze_error(painted_eye(ball, turned))
    assert found == pytest.approx(turned, abs=0.025)  # steps of 0.02


def test_a_closed_eye_keeps_its_gaze(ball: Eyeball) -> None:
    eye = painted_eye(ball, (0.1, 0.1))
    assert gaze_error(replace(eye, opening=torch.zeros(SIDE, SIDE))) == (0.0, 0.0)


def test_colours_are_those_of_the_picture(ball: Eyeball) -> None:
    iris = measure_iris([painted_eye(ball)])
    torch.testing.assert_close(iris.colors(torch.tensor([0.7]))[0], BROWN, rtol=0, atol=0.03)
    # the white is made 5% lighter than its median, as eyes' wet shine is
    torch.testing.assert_close(iris.colors(torch.tensor([1.5]))[0], 1.05 * WHITE, rtol=0, atol=0.03)


def test_anatomy_where_no_eye_is_seen() -> None:
    iris = measure_iris([])
    light = iris.colors(torch.tensor([0.0, 0.6, 1.5])).sum(1)
    assert light[0] < light[1] < light[2]


def test_the_front_of_an_eyeball_lies_on_it(ball: Eyeball) -> None:
    head = load_open_head()
    front = eyeball_splats(head, head.template, Iris(torch.stack([BROWN] * 3), WHITE), "left")
    base = (head.template[front.binding.vertex_ids] * front.binding.bary[..., None]).sum(1)
    points = base + front.local.offsets
    away = (points - ball.centre).norm(dim=-1)
    torch.testing.assert_close(away, torch.full_like(away, ball.radius), rtol=0, atol=1e-4)
    eyes = head.masks["leye"] > 0.5
    assert bool(eyes[front.binding.vertex_ids].all())  # nothing of it stays when the eye turns
    radii = ball.iris_radii(points)
    light = front.colors @ torch.tensor([0.3, 0.6, 0.1])
    assert float(light[radii < 0.9].max()) < float(light[(radii > 1.15) & (radii < 2)].min())
    assert bool(eyeball_front(head, head.template, points, "left").all())
    behind = ball.centre - 0.01 * torch.tensor([[0.0, 0.0, 1.0]])
    assert not bool(eyeball_front(head, head.template, behind, "left").any())


def test_rings_cover_the_front_without_gaps(ball: Eyeball) -> None:
    radii, angles, spacing = polar_grid(ball)
    points = ball.points(iris_directions(radii, angles, ball.iris_angle))
    distance = torch.cdist(points, points)
    distance.fill_diagonal_(1.0)
    assert bool((distance.amin(1) < 1.3 * spacing).all())
    assert bool((distance.amin(1) > 0.3 * spacing).all())


def test_nothing_is_fitted_between_the_lids(portrait: Portrait) -> None:
    """The openings of both eyes, a pixel more, and no more of the face."""
    drawn = drawn_pixels(portrait)
    for iris in (topology.LEFT_IRIS, topology.RIGHT_IRIS):
        x, y = portrait.face.points[iris[0], :2].astype(int)
        assert drawn[y, x]
    assert 0.002 < drawn.sum() / portrait.face_hull.sum() < 0.06
    assert not (drawn & ~portrait.face_hull).any()


def flat_target() -> Target:
    rows = torch.linspace(0, 1, 64)[:, None].expand(64, 64)
    colors = torch.stack((rows, rows.T, torch.zeros(64, 64)), -1)
    camera = look_from(0, 0, 64, np.zeros(3), 0.3)
    ones = torch.ones(64, 64)
    return Target(camera, colors.contiguous(), ones, ones, torch.tensor([[20.0, 40.0]]))


def test_a_closeup_shows_the_same_things_larger() -> None:
    target = flat_target()
    near = target.closeup(2.0, 20.0, 40.0, 32)
    point = torch.tensor([[0.01, -0.02, 0.0]])
    whole, part = project(target.camera, point)[0, :2], project(near.camera, point)[0, :2]
    torch.testing.assert_close(part, (whole - torch.tensor([20.0, 40.0])) * 2 + 16)
    # pixel (16, 16) of the close-up begins where (20, 40) of the picture does
    between = 0.5 * (target.colors[39, 19] + target.colors[40, 20])
    torch.testing.assert_close(near.colors[16, 16], between, rtol=0, atol=0.012)  # half a step


def test_closeups_never_come_again() -> None:
    target, config = flat_target(), FitConfig(closeup_px=32)
    chance = np.random.default_rng(0)
    cameras = [random_closeup(target, config, chance).camera.K for _ in range(3)]
    assert len({tuple(K.flatten().tolist()) for K in cameras}) == 3


def camera_on_eye(ball: Eyeball) -> Camera:
    return look_from(0, 0, SIDE, ball.centre.numpy(), 0.036)


def test_agreement_counts_what_is_torn(ball: Eyeball) -> None:
    head = load_open_head()
    eye = eye_pixels(head, head.template, head.template, "left", camera_on_eye(ball))
    assert eye.opening.sum() > 1000
    light = np.where(eye.radii < 1, 0.2, 0.8).astype(np.float32)
    assert agreement_of(light, eye) == 1.0
    torn = light.copy()
    torn[:, : int(np.median(np.nonzero(eye.opening)[1]))] = 0.8  # half of the iris is gone
    assert agreement_of(torn, eye) < 0.85


def test_an_eye_without_white_is_not_judged() -> None:
    nothing = EyePixels(np.zeros((8, 8), bool), np.zeros((8, 8), np.float32))
    assert math.isnan(agreement_of(np.zeros((8, 8), np.float32), nothing))


def test_splats_that_hardly_meet_are_seen_from_near() -> None:
    from flexavatar.evaluation.avatar_renderer import AvatarRenderer
    from flexavatar.evaluation.detail import zoom_consistency_db

    avatar = plain_avatar()
    small = replace(avatar.splats, scales=avatar.splats.scales * 0.3)
    figures = [
        zoom_consistency_db(AvatarRenderer.of(a), a.codes)[0]
        for a in (avatar, replace(avatar, splats=small))
    ]
    assert figures[0] > figures[1] + 3
