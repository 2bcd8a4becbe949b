"""Hair that no photo shows: its colours are those of the hair, or the hat, that one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.avatar.avatar import Animator, Avatar
from flexavatar.capture import topology
from flexavatar.capture.photo import read_photo
from flexavatar.capture.portrait import Portrait, make_portrait
from flexavatar.create.evidence import observe_surface
from flexavatar.create.hair import LEAST_SPREAD, Hair, measure_hair
from flexavatar.create.hair_volume import CENTRE
from flexavatar.create.posed_views import PosedView, PosedViews
from flexavatar.create.skin import FOREIGN, HAIRY, Skin, build_skin
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import hair_mask
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import Texels, interpolate_barycentric, make_texels
from flexavatar.render.camera import orbit, project, resize_camera
from flexavatar.render.rasterize import rasterize

BLUE = torch.tensor([0.1, 0.2, 0.8])


def _portrait(shared_data: Path, name: str) -> Portrait:
    return make_portrait(read_photo((shared_data / "portraits" / name).read_bytes()))


def _above_face(portrait: Portrait) -> NDArray[np.bool_]:
    """The person above the landmarks' oval: [S, S]."""
    top = portrait.face.points[list(topology.OVAL), 1].min()
    return (portrait.matte > 0.95) & (np.arange(len(portrait.matte))[:, None] < top)


def _capped(portrait: Portrait, color: Tensor) -> Portrait:
    """Everything above the middle of the forehead in one colour."""
    points = portrait.face.points
    brim = 0.5 * (points[10, 1] + points[list(topology.LEFT_BROW + topology.RIGHT_BROW), 1].min())
    colors = portrait.colors.copy()
    colors[np.arange(len(colors)) < brim] = color.numpy()
    return replace(portrait, colors=colors)


def _measured(portrait: Portrait) -> Hair:
    """`measure_hair` looks at pixels alone: where hair grows does not matter."""
    return measure_hair([portrait], torch.ones(2), torch.zeros(2))


# ---- what hair looks like


def test_hair_is_told_from_skin(view: PosedView, shared_data: Path) -> None:
    for name, most in (("st_people_0.png", 0.15), ("st_happy.png", 0.25), ("astronaut.png", 0.45)):
        portrait = _portrait(shared_data, name)
        hair = _measured(portrait)
        skin = torch.from_numpy(np.median(portrait.colors[portrait.face_hull], 0))
        assert float(hair.tone.mean()) < most, name
        assert not bool(hair.resembles(skin[None], FOREIGN)), name
        assert bool(hair.resembles(hair.tone[None], HAIRY)), name


def test_a_cap_of_one_color_is_all_the_hair_there_is(view: PosedView) -> None:
    hair = _measured(_capped(view.portrait, BLUE))
    torch.testing.assert_close(hair.tone, BLUE)
    assert hair.spread == LEAST_SPREAD


def test_a_cap_of_two_colors_is_both(view: PosedView, shared_data: Path) -> None:
    """A navy cap, white above a black band."""
    hair = _measured(_portrait(shared_data, "grace_hopper.jpg"))
    cloth = torch.tensor([[0.95, 0.95, 0.95], [0.08, 0.08, 0.1]])
    assert bool(hair.resembles(cloth, FOREIGN).all())
    assert hair.spread > 5 * LEAST_SPREAD


def test_nothing_above_the_face_is_brown(view: PosedView) -> None:
    cut = replace(view.portrait, matte=np.zeros_like(view.portrait.matte))
    hair = _measured(cut)
    r, g, b = hair.tone.tolist()
    assert r > g > b
    assert r < 0.4


def test_likeness_is_measured_in_spreads() -> None:
    hair = Hair(torch.ones(1), torch.zeros(1), torch.tensor([0.2, 0.2, 0.2]), 0.1)
    away = torch.tensor([[0.2, 0.2, 0.29], [0.2, 0.2, 0.31], [0.2, 0.0, 0.2]])
    assert hair.resembles(away, 1.0).tolist() == [True, False, False]
    assert hair.resembles(away, 2.5).tolist() == [True, True, True]


def test_hair_does_not_grow_on_ears() -> None:
    scalp, ears = torch.tensor([0.9, 0.9, 0.2]), torch.tensor([0.0, 0.8, 0.0])
    assert Hair(scalp, ears, torch.zeros(3), 0.1).grows.tolist() == [True, False, False]


# ---- the surface


@pytest.fixture(scope="module")
def head() -> FlameHead:
    return load_open_head()


@pytest.fixture(scope="module")
def texels(head: FlameHead) -> Texels:
    return make_texels(head, 192)


def _scalp(texels: Texels, head: FlameHead) -> Tensor:
    """Surely scalp, without the ears and what is behind them: [T] bool."""
    y = interpolate_barycentric(head.template, texels.binding)[:, 1]
    return (
        (interpolate_barycentric(hair_mask(head), texels.binding) > 0.9)
        & (texels.masks["ears"] < 0.02)
        & (y > 0)
    )


def painted(view: PosedView, texels: Texels, head: FlameHead, avatar: Avatar) -> Skin:
    posed = PosedViews(head, avatar.neutral, (view,), (avatar.codes,))
    return build_skin(observe_surface(posed, texels), None)


def _apart(colors: Tensor, palette: Tensor) -> NDArray[np.float64]:
    """Distance of each colour from the nearest of a palette: [N, 3], [M, 3] -> [N]."""
    return np.asarray(cKDTree(palette.numpy()).query(colors.numpy())[0])


def test_unseen_scalp_has_the_colors_of_seen_hair(
    view: PosedView, texels: Texels, head: FlameHead, avatar: Avatar
) -> None:
    skin = painted(view, texels, head, avatar)
    scalp = _scalp(texels, head)
    unseen = scalp & (skin.seen < 0.02)
    hair = torch.from_numpy(view.portrait.colors[_above_face(view.portrait)])
    assert int(unseen.sum()) > 1000
    # of 1: means of two texels lie between the photo's colours
    assert float(np.quantile(_apart(skin.splats.colors[unseen], hair), 0.99)) < 0.05
    assert bool(((skin.splats.colors >= 0) & (skin.splats.colors <= 1)).all())
    # and is no flat cap of the hair's tone, which would have no contrast at all
    assert float(skin.splats.colors[unseen].std(0).mean()) > 0.03


def test_a_hat_goes_all_the_way_round(
    view: PosedView, texels: Texels, head: FlameHead, avatar: Avatar
) -> None:
    """Blue in front, whatever colour the hair below its brim has."""
    capped = replace(view, portrait=_capped(view.portrait, BLUE))
    skin = painted(capped, texels, head, avatar)
    unseen = _scalp(texels, head) & (skin.seen < 0.02)
    away = (skin.splats.colors[unseen] - BLUE).norm(dim=-1)
    assert float(away.median()) < 0.03
    assert float(away.quantile(0.95)) < 0.15  # the brim, whose pixels are half forehead


# ---- avatars from behind


@torch.no_grad()
def _behind(avatar: Avatar, yaw_deg: float) -> Tensor:
    """Pixels of the back of the skull, 5 cm around its middle: [N, 3]."""
    camera = orbit(resize_camera(avatar.camera, 256, 256), yaw_deg)
    rgba = rasterize(Animator(avatar).animate(avatar.codes), camera).rgba
    x, y, z = project(camera, torch.tensor(CENTRE)).tolist()
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    near = torch.hypot(columns + 0.5 - x, rows + 0.5 - y) < 0.05 * float(camera.K[0, 0]) / z
    assert float(rgba[near][:, 3].min()) > 0.9  # no hole
    return rgba[near][:, :3]


@pytest.mark.parametrize("name", ["astronaut.png", "st_people_0.png"])
def test_no_face_at_the_back_of_the_head(
    shared_data: Path, full_avatar: Callable[[str], Avatar], name: str
) -> None:
    portrait = _portrait(shared_data, name)
    hair = torch.from_numpy(portrait.colors[_above_face(portrait)])
    skin = torch.from_numpy(np.median(portrait.colors[portrait.face_hull], 0))
    made = full_avatar(name)
    for yaw in (150, 180, 210):
        pixels = _behind(made, yaw)
        to_hair = (pixels - hair.median(0).values).norm(dim=-1)
        to_skin = (pixels - skin).norm(dim=-1)
        assert float((to_skin < to_hair).float().mean()) < 0.005
        assert float(np.quantile(_apart(pixels, hair), 0.99)) < 0.08  # blending of splats


def test_hats_are_seen_from_behind(
    view: PosedView, avatar: Avatar, texels: Texels, head: FlameHead, shared_data: Path
) -> None:
    """Cloth of a real cap on the sample's skull: white and black go round, skin does not."""
    portrait = _portrait(shared_data, "grace_hopper.jpg")
    skin = painted(replace(view, portrait=portrait), texels, head, avatar)
    unseen = skin.splats.colors[_scalp(texels, head) & (skin.seen < 0.02)]
    cloth = torch.from_numpy(portrait.colors[_above_face(portrait)])
    assert float(np.quantile(_apart(unseen, cloth), 0.99)) < 0.1
    light = unseen.mean(-1)
    assert float((light > 0.8).float().mean()) > 0.1
    assert float((light < 0.25).float().mean()) > 0.1
