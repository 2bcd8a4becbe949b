"""The preview: the same person before the same camera, before anything is fitted."""

from __future__ import annotations

import pytest
import torch

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.capture.read_portraits import read_portraits
from flexavatar.create.create import create_avatar_from_portraits
from flexavatar.create.image_metrics import input_psnr_db
from flexavatar.progress import no_progress
from flexavatar.render.camera import orbit, project
from flexavatar.render.rasterize import rasterize


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
    assert input_psnr_db(preview, portrait) > 21  # dB; fitted quickly 30


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
