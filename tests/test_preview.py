"""The preview: the same person before the same camera, before anything is fitted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.capture.read_portraits import read_portraits
from flexavatar.create.back_projection import mean_lack
from flexavatar.create.create import create_avatar_from_portraits
from flexavatar.create.image_metrics import input_psnr_db
from flexavatar.create.target import Target
from flexavatar.progress import no_progress
from flexavatar.render.camera import orbit, project
from flexavatar.render.rasterize import rasterize
from flexavatar.types import SH_C0, Camera, Gaussians


class _EnoughError(Exception):
    """The preview is there; what follows would take longer."""


@pytest.fixture(scope="module")
def preview(astronaut: bytes) -> Avatar:
    """Of the sample."""
    shown: list[AnyAvatar] = []

    def show(avatar: AnyAvatar) -> None:
        shown.append(avatar)
        raise _EnoughError

    with pytest.raises(_EnoughError):
        create_avatar_from_portraits(read_portraits([astronaut], no_progress), show=show)
    (made,) = shown
    assert isinstance(made, Avatar)
    return made


def test_the_avatar_takes_its_place_without_a_jump(preview: Avatar, avatar: Avatar) -> None:
    for one, other in (
        (preview.camera.viewmat, avatar.camera.viewmat),
        (preview.camera.K, avatar.camera.K),
        (preview.neutral, avatar.neutral),
        (preview.codes.expression, avatar.codes.expression),
    ):
        torch.testing.assert_close(one, other)  # the same steps: rounding
    assert preview.dynamic is not None
    assert avatar.dynamic is not None
    assert preview.dynamic.weights == avatar.dynamic.weights
    assert preview.warnings == avatar.warnings


def test_it_looks_like_the_photo(preview: Avatar, astronaut: bytes) -> None:
    (portrait,) = read_portraits([astronaut], no_progress)
    assert input_psnr_db(preview, portrait) > 23  # dB; fitted quickly 30


def test_it_has_no_holes(preview: Avatar) -> None:
    """As opaque as a fitted avatar, in the face and at the back of the head."""
    gaussians = Animator(preview).animate(preview.codes)
    middle = torch.tensor([0.0, -0.01, 0.08]), torch.tensor([0.0, 0.03, -0.08])  # metres
    for yaw, point in ((-30, middle[0]), (0, middle[0]), (30, middle[0]), (180, middle[1])):
        camera = orbit(preview.camera, yaw)
        x, y, _ = project(camera, point).int().tolist()
        alpha = rasterize(gaussians, camera).rgba[..., 3]
        assert float(alpha[y - 60 : y + 60, x - 25 : x + 25].min()) > 0.9, yaw


def test_the_unseen_has_the_colour_of_the_hair(preview: Avatar) -> None:
    """Brown behind as in front: the back of the head is neither grey nor skin."""
    drawn = rasterize(Animator(preview).animate(preview.codes), orbit(preview.camera, 180)).rgba
    camera = orbit(preview.camera, 180)
    x, y, _ = project(camera, torch.tensor([0.0, 0.05, -0.09])).int().tolist()
    red, green, blue = drawn[y - 20 : y + 20, x - 20 : x + 20, :3].mean((0, 1)).tolist()
    assert red > green > 1.2 * blue
    assert green < 0.5  # skin's is lighter


def test_colours_are_moved_by_what_photos_have_more() -> None:
    """One dark disc before a grey picture lacks what its own, fading to its edge, leaves of it."""
    camera = Camera(torch.eye(4), torch.tensor([[100.0, 0, 16], [0, 100, 16], [0, 0, 1]]), 32, 32)
    disc = Gaussians(
        torch.tensor([[0.0, 0, 1]]),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.tensor([[0.05, 0.05, 0.01]]),
        torch.tensor([0.99]),
        torch.full((1, 1, 3), (0.1 - 0.5) / SH_C0),
    )
    grey = Target(camera, torch.full((32, 32, 3), 0.5), torch.ones(32, 32), torch.ones(32, 32))
    lack = mean_lack([disc], [grey])
    # a Gaussian's mean weight of itself is half its opacity
    torch.testing.assert_close(lack, torch.full((1, 3), 0.5 - 0.1 * 0.99 / 2), rtol=0, atol=2e-3)
    hidden = replace(grey, weight=torch.zeros(32, 32))
    torch.testing.assert_close(mean_lack([disc], [hidden]), torch.zeros(1, 3))
