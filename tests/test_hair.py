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
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.photo import read_photo
from flexavatar.capture.portrait import Portrait, make_portrait
from flexavatar.capture.track import track
from flexavatar.create.cloth import lathe_coordinates, turn_cloth
from flexavatar.create.evidence import Evidence, observe_surface
from flexavatar.create.hair import LEAST_SPREAD, Hair, is_skin, measure_hair
from flexavatar.create.hair_strands import LONG, NAPE, first_runs, hair_strands
from flexavatar.create.hair_volume import CENTRE
from flexavatar.create.photo_splats import BoundSplats
from flexavatar.create.pixels import sample_bilinear
from flexavatar.create.posed_views import PosedView, PosedViews, pose_views
from flexavatar.create.skin import FOREIGN, HAIRY, UNDER_HAIR, Skin, build_skin
from flexavatar.create.sphere_grid import (
    cell_angles,
    deposit,
    directions,
    fill,
    interpolate,
    spherical,
)
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import hair_mask
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import Texels, interpolate_barycentric, make_texels
from flexavatar.render.camera import camera_position, orbit, project, resize_camera
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
    return measure_hair([portrait], torch.ones(2), torch.zeros(2), 0.02)


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
    hair = Hair(torch.ones(1), torch.zeros(1), torch.tensor([0.2, 0.2, 0.2]), 0.1, has_strands=True)
    away = torch.tensor([[0.2, 0.2, 0.29], [0.2, 0.2, 0.31], [0.2, 0.0, 0.2]])
    assert hair.resembles(away, 1.0).tolist() == [True, False, False]
    assert hair.resembles(away, 2.5).tolist() == [True, True, True]


def test_free_ears_are_no_scalp() -> None:
    scalp, ears = torch.tensor([0.9, 0.9, 0.2]), torch.tensor([0.0, 1.0, 0.0])
    hair = Hair(scalp, ears, torch.zeros(3), 0.1, has_strands=True).with_free_ears()
    torch.testing.assert_close(hair.scalp, torch.tensor([0.9, 0.0, 0.2]))


def test_hair_does_not_grow_on_ears() -> None:
    scalp, ears = torch.tensor([0.9, 0.9, 0.2]), torch.tensor([0.0, 0.8, 0.0])
    assert Hair(scalp, ears, torch.zeros(3), 0.1, has_strands=True).grows.tolist() == [
        True,
        False,
        False,
    ]


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
    still = torch.zeros(len(avatar.neutral))
    posed = PosedViews(head, avatar.neutral, (view,), (avatar.codes,), still)
    return build_skin(observe_surface(posed, texels), None)


def _apart(colors: Tensor, palette: Tensor) -> NDArray[np.float64]:
    """Distance of each colour from the nearest of a palette: [N, 3], [M, 3] -> [N]."""
    return np.asarray(cKDTree(palette.numpy()).query(colors.numpy())[0])


@pytest.fixture(scope="module")
def skin(view: PosedView, texels: Texels, head: FlameHead, avatar: Avatar) -> Skin:
    return painted(view, texels, head, avatar)


def test_the_scalp_under_strands_is_their_color_in_shade(
    skin: Skin, view: PosedView, texels: Texels, head: FlameHead
) -> None:
    unseen = _scalp(texels, head) & (skin.seen < 0.02)
    assert int(unseen.sum()) > 1000
    colors = skin.splats.colors[unseen]
    assert bool(((skin.splats.colors >= 0) & (skin.splats.colors <= 1)).all())
    assert float((colors - UNDER_HAIR * skin.hair.tone).norm(dim=-1).mean()) < 0.1
    assert float(colors.mean()) < float(skin.hair.tone.mean())


# ---- strands


@pytest.fixture(scope="module")
def strands(skin: Skin) -> BoundSplats:
    found = hair_strands(skin)
    assert found is not None
    return found


def _places(strands: BoundSplats, neutral: Tensor) -> Tensor:
    base = neutral[strands.binding.vertex_ids] * strands.binding.bary[..., None]
    return base.sum(1) + strands.local.offsets


def test_strands_have_the_colors_of_seen_hair(strands: BoundSplats, view: PosedView) -> None:
    hair = torch.from_numpy(view.portrait.colors[_above_face(view.portrait)])
    # of 1: lighter and darker by lock and strand
    assert float(np.quantile(_apart(strands.colors, hair), 0.95)) < 0.12
    assert float(strands.colors.std(0).mean()) > 0.03, "no flat cap"


def test_strands_cover_the_back_and_leave_the_photo_alone(
    strands: BoundSplats, skin: Skin, view: PosedView
) -> None:
    """Enough of them to be hair, few enough for a frame; none before the face."""
    assert 3_000 < len(strands.binding) < 20_000
    places = _places(strands, skin.observations.posed.neutral)
    assert float((places[:, 2] < 0).float().mean()) > 0.7
    pixels = project(view.camera, places)[:, :2]
    inside = sample_bilinear(torch.from_numpy(view.portrait.matte), pixels)
    x, y = pixels.T
    side = view.camera.width
    shown = (x > 0) & (x < side) & (y > 0) & (y < side)
    assert float(inside[shown].quantile(0.01)) > 0.4  # the matte's pixels are soft
    assert float(inside[shown].min()) > 0.2
    toward = torch.nn.functional.normalize(camera_position(view.camera) - places, dim=-1)
    outwards = torch.nn.functional.normalize(places - torch.tensor(CENTRE), dim=-1)
    in_front = (toward * outwards).sum(-1) > 0.5
    assert not bool((in_front & shown).any())


def test_strands_are_the_same_each_time(strands: BoundSplats, skin: Skin) -> None:
    again = hair_strands(skin)
    assert again is not None
    assert torch.equal(again.colors, strands.colors)
    assert torch.equal(again.local.offsets, strands.local.offsets)


def test_bare_heads_and_hats_have_no_strands(
    view: PosedView, texels: Texels, head: FlameHead, avatar: Avatar
) -> None:
    skin_color = np.median(view.portrait.colors[view.portrait.face_hull], 0)
    shaved = _capped(view.portrait, torch.from_numpy(skin_color.astype(np.float32)))
    skin = painted(replace(view, portrait=shaved), texels, head, avatar)
    assert skin.hair.is_bare
    assert hair_strands(skin) is None
    back = _scalp(texels, head) & (skin.seen < 0.02)
    away = (skin.splats.colors[back] - torch.from_numpy(skin_color)).norm(dim=-1)
    assert float(away.median()) < 0.05, "skin goes on"


@pytest.mark.parametrize(
    ("tone", "skin", "bare"),
    [
        ((0.16, 0.16, 0.16), (0.35, 0.25, 0.19), False),  # black hair on dark skin
        ((0.38, 0.31, 0.30), (0.30, 0.18, 0.14), True),  # a shaved head that shines
        ((0.36, 0.28, 0.23), (0.64, 0.46, 0.36), False),  # brown
        ((0.85, 0.82, 0.80), (0.56, 0.35, 0.30), False),  # white
        ((0.80, 0.70, 0.50), (0.70, 0.55, 0.45), False),  # blond
        ((0.78, 0.62, 0.52), (0.80, 0.67, 0.56), True),
    ],
)
def test_bare_skin_is_told_from_hair(
    tone: tuple[float, ...], skin: tuple[float, ...], bare: bool
) -> None:
    assert is_skin(np.array(tone, np.float32), np.array(skin, np.float32)) == bare


def test_strands_end_at_their_first_gap() -> None:
    strand = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    kept = np.array([False, True, True, False, True, False, True, False, False])
    assert first_runs(kept, strand).tolist() == [False, True, True, *[False], True, *[False] * 4]


def test_long_hair_hangs_behind_as_far_as_beside(shared_data: Path, head: FlameHead) -> None:
    """Dark hair to the shoulders; the sample's ends at the nape."""
    portrait = _portrait(shared_data, "st_people_0.png")
    posed = pose_views([portrait], track([portrait], load_landmark_rig()), head)
    skin = build_skin(observe_surface(posed, make_texels(head, 128)), None)
    strands = hair_strands(skin)
    assert strands is not None
    places = _places(strands, posed.neutral)
    behind = places[places[:, 2] < -0.03]
    assert float(behind[:, 1].quantile(0.02)) < NAPE - LONG


# ---- fields around a skull


def test_fields_are_filled_smoothly_and_read_where_they_were_left() -> None:
    azimuth, elevation = cell_angles()
    wave = np.sin(azimuth) * np.cos(elevation)
    weight = np.asarray((np.random.default_rng(0).random(wave.shape) < 0.2) * 50, np.float64)
    filled = fill(wave, weight, 0.0, 1e-6)
    assert np.abs(filled - wave)[5:-5].max() < 0.1  # between points 7 degrees apart
    around = directions(azimuth[10:50].ravel(), elevation[10:50].ravel())
    points = np.asarray(CENTRE) + 0.1 * around
    assert np.allclose(interpolate(wave, points), wave[10:50].ravel(), atol=1e-9)
    found, count = deposit(points, np.ones(len(points)), np.ones(len(points)))
    assert float(found[count > 0].min()) == float(found.max()) == 1
    turn, rise, radius = spherical(points)
    assert np.allclose(directions(turn, rise) * radius[:, None] + np.asarray(CENTRE), points)


# ---- clothes


def test_cloth_goes_round_the_neck(texels: Texels, head: FlameHead) -> None:
    """Rings of colour by distance along neck and shoulder, seen in front alone."""
    points = interpolate_barycentric(head.template, texels.binding)
    body = torch.maximum(texels.masks["neck"], texels.masks["shoulders"]) > 0.5
    along, azimuth = lathe_coordinates(points.double().numpy(), float(points[body, 2].mean()))
    rings = torch.from_numpy(0.5 + 0.4 * np.sin(along * 40)).float()[:, None].expand(-1, 3)
    seen = torch.from_numpy((np.abs(azimuth) < 1.3) * 1.0).float()
    grey = torch.full((len(texels), 3), 0.5)
    colors = turn_cloth(grey, Evidence(rings, seen), texels, points)
    unseen = body & (seen == 0) & (points[:, 1] < -0.09) & (points[:, 1] > -0.15)
    before, after = ((c - rings)[unseen].abs().mean() for c in (grey, colors))
    assert float(after) < 0.5 * float(before)
    assert torch.equal(colors[~body], grey[~body])


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
    assert hair_strands(skin) is None
    unseen = skin.splats.colors[_scalp(texels, head) & (skin.seen < 0.02)]
    cloth = torch.from_numpy(portrait.colors[_above_face(portrait)])
    assert float(np.quantile(_apart(unseen, cloth), 0.99)) < 0.1
    light = unseen.mean(-1)
    assert float((light > 0.8).float().mean()) > 0.1
    assert float((light < 0.25).float().mean()) > 0.1
