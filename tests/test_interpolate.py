"""Avatars between two: the two themselves at the ends, nobody broken in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from flexavatar.avatar.avatar import Animator, Avatar, load_avatar, save_avatar
from flexavatar.avatar.avatar_pair import pair_avatars
from flexavatar.avatar.expression_network import ExpressionNetwork
from flexavatar.avatar.interpolate import interpolate
from flexavatar.avatar.morph import MorphNetwork, make_morpher
from flexavatar.errors import AssetError, InputError
from flexavatar.evaluation.contact_sheet import TILE
from flexavatar.evaluation.morph_sheet import morph_sheet
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import quat_to_matrix
from flexavatar.head.open_head import load_open_head
from flexavatar.render import native
from flexavatar.render.blend import blend_gaussians
from flexavatar.render.camera import project
from flexavatar.render.rasterize import rasterize_rgba8
from flexavatar.types import FlameCodes, Gaussians
from tests.dynamic import install_network
from tests.pairs import LOOSE, person
from tests.service import tiny_gaussians

ADA, BOB = person(1), person(2)
SHARES = (0.2, 0.5)


def grin() -> FlameCodes:
    weights = {"jawOpen": 0.5, "mouthSmileLeft": 0.8, "eyeBlinkRight": 0.7}
    return arkit_to_flame(weights, load_arkit_basis(load_open_head()))


def picture(gaussians: Gaussians, avatar: Avatar = ADA) -> np.ndarray:
    with torch.inference_mode():
        return rasterize_rgba8(gaussians, avatar.camera).astype(int)


def shown(avatar: Avatar) -> np.ndarray:
    """Grinning, as the avatar's own camera sees it."""
    return picture(Animator(avatar).animate(grin()), avatar)


@pytest.fixture
def fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Of a seeded network that changes a lot."""
    return install_network(monkeypatch, tmp_path, 0.05)


# ---- avatars


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_ends_are_the_two(share: float, learned: bool, fingerprint: str) -> None:
    ada, bob = (person(seed, fingerprint if learned else None) for seed in (1, 2))
    end, between = (bob if share else ada), interpolate(ada, bob, share)
    assert len(between) == len(end)
    assert between.model == end.model
    for name in ("neutral", "codes", "camera"):
        torch.testing.assert_close(vars_of(getattr(between, name)), vars_of(getattr(end, name)))
    assert np.abs(shown(between) - shown(end)).max() <= 1  # splats are sorted in another order


def vars_of(value: object) -> dict[str, object]:
    return {"": value} if isinstance(value, Tensor) else vars(value)


@pytest.mark.parametrize("share", SHARES)
def test_it_does_not_matter_who_comes_first(share: float, fingerprint: str) -> None:
    ada, bob = person(1, fingerprint), person(2, fingerprint)
    one, other = interpolate(ada, bob, share), interpolate(bob, ada, 1 - share)
    assert len(one) == len(other)
    for name in ("neutral", "codes", "camera"):
        torch.testing.assert_close(vars_of(getattr(one, name)), vars_of(getattr(other, name)))
    assert np.abs(shown(one) - shown(other)).max() <= 1  # splats are sorted in another order


@settings(max_examples=8)
@given(st.floats(0, 1), st.sampled_from([(ADA, BOB), (BOB, ADA), (ADA, ADA)]))
def test_whoever_is_between_is_whole(share: float, two: tuple[Avatar, Avatar]) -> None:
    between = interpolate(*two, share)
    assert between.is_finite()
    assert 0 < between.opacities.min() <= between.opacities.max() <= 1
    assert between.splats.scales.min() > 0
    rotation = between.camera.viewmat[:3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3), rtol=0, atol=1e-6)


def test_what_both_have_is_one_and_the_rest_fades() -> None:
    both, between = pair_avatars(ADA, BOB), interpolate(ADA, BOB, 0.25)
    shared = (both.a.opacities > 0) & (both.b.opacities > 0)
    texels = sum(len(x) for x in (ADA, BOB)) - len(both)
    assert int(shared.sum()) == texels > 2000
    assert len(between) == len(both)
    expected = 0.75 * both.a.opacities + 0.25 * both.b.opacities
    torch.testing.assert_close(between.opacities, expected)
    logs = [x.splats.scales[shared].log() for x in (both.a, both.b, between)]
    torch.testing.assert_close(0.75 * logs[0] + 0.25 * logs[1], logs[2])


def places(avatar: Avatar) -> Tensor:
    """Of the splats in the neutral head: [G, 3] metres."""
    return Animator(replace(avatar, dynamic=None)).carry(avatar.neutral).means.clone()


def test_hair_goes_along_with_the_skin() -> None:
    """Somebody twice as large has the hair of the other twice as far from the middle."""
    both = pair_avatars(ADA, replace(BOB, neutral=2 * ADA.neutral))
    own = (both.b.opacities == 0).nonzero().squeeze(1)  # Ada's alone
    ratio = places(both.b)[own].norm(dim=-1) / places(both.a)[own].norm(dim=-1)
    assert len(own) > 300
    assert 1.9 < ratio.median() < 2.1
    assert ratio.min() > 1.2  # hair that hangs off keeps its distance to the skin


def test_a_camera_between_keeps_the_head_in_view() -> None:
    origin = torch.zeros(1, 3)
    pixels = [
        project(interpolate(ADA, BOB, share).camera, origin)[0, :2] for share in (0.0, 0.5, 1.0)
    ]
    assert (pixels[0] - pixels[2]).norm() < 1e-3
    assert (pixels[1] - pixels[0]).norm() < 1e-3  # both look at it
    wide = replace(BOB, camera=replace(BOB.camera, width=512))
    assert [interpolate(ADA, wide, s).camera.width for s in (0.0, 0.5, 1.0)] == [256, 384, 512]


def test_a_head_that_changes_and_one_that_does_not(fingerprint: str, tmp_path: Path) -> None:
    """The change fades, and so it comes back from disk."""
    ada = person(1, fingerprint)
    between = interpolate(ada, BOB, 0.25)
    assert between.model == "query_lrm"
    assert between.dynamic is not None
    assert between.dynamic.amounts is not None
    assert between.dynamic.amounts.unique() == 0.75
    save_avatar(between, tmp_path)
    loaded = load_avatar(tmp_path)
    assert isinstance(loaded, Avatar)
    assert loaded.dynamic is not None
    assert torch.equal(torch.as_tensor(loaded.dynamic.amounts), between.dynamic.amounts)
    assert np.abs(shown(loaded) - shown(between)).max() <= 1  # F_id in half precision
    assert interpolate(BOB, ada, 0.0).dynamic is None


def test_amounts_scale_the_change(fingerprint: str) -> None:
    ada = person(1, fingerprint)
    assert ada.dynamic is not None
    half = replace(ada.dynamic, amounts=torch.full((len(ada.dynamic.splats),), 0.5))
    whole, part = (ExpressionNetwork(x).taps.shares for x in (ada.dynamic, half))
    torch.testing.assert_close(part, whole / 2)


def test_avatars_between_can_be_between() -> None:
    """All texels are both's, and there is the hair of two in each."""
    near, far = (interpolate(ADA, BOB, share) for share in (0.25, 0.75))
    assert len(pair_avatars(near, far)) == len(near) + 2 * LOOSE


BAD_SHARES = (-0.01, 1.01, math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("share", BAD_SHARES)
def test_shares_that_are_none(share: float) -> None:
    with pytest.raises(InputError, match=f"share: expected 0 to 1, got {share:g}"):
        interpolate(ADA, BOB, share)


def test_two_that_have_nothing_between_them(fingerprint: str) -> None:
    other = replace(BOB, model="bias_sink")
    complaint = (
        "models: expected two avatars of fit or query_lrm, or of bias_sink, got fit and bias_sink"
    )
    for between in (lambda: interpolate(ADA, other, 0.5), lambda: make_morpher(ADA, other)):
        with pytest.raises(InputError, match=complaint):
            between()
    small = replace(BOB, neutral=BOB.neutral[:100])
    with pytest.raises(InputError, match=r"one rig, got 8443 vertices.*against 100 vertices"):
        interpolate(ADA, small, 0.5)
    with pytest.raises(AssetError, match="made on another rig"):
        interpolate(small, small, 0.5)
    ada, bob = person(1, fingerprint), person(2, fingerprint)
    assert bob.dynamic is not None
    foreign = replace(bob, dynamic=replace(bob.dynamic, weights="0" * 64))
    with pytest.raises(InputError, match=r"change by the same weights, got .*tiny 000000000000"):
        interpolate(ada, foreign, 0.5)
    partly = replace(bob, dynamic=replace(bob.dynamic, channels=("color",)))
    with pytest.raises(InputError, match=r"same weights.*\(color\)"):
        interpolate(ada, partly, 0.5)


# ---- instants


@pytest.mark.parametrize(
    ("share", "learned"), [(0.0, True), (0.3, True), (1.0, True), (0.7, False)]
)
def test_a_morph_looks_as_the_avatar_between(share: float, learned: bool, fingerprint: str) -> None:
    ada, bob = (person(seed, fingerprint if learned else None) for seed in (1, 2))
    morph = make_morpher(ada, bob)
    drawn = picture(morph.animate(grin(), share))
    expected = picture(Animator(interpolate(ada, bob, share)).animate(grin()))
    # blended before it is posed, or after: which only differs where triangles are slivers
    assert np.abs(drawn - expected).mean() < 0.2
    assert np.abs(drawn - picture(Animator(ada).animate(grin()))).mean() > 3 or share == 0
    assert len(morph) == len(pair_avatars(ada, bob))


def test_a_morph_of_one_that_changes_and_one_that_does_not(fingerprint: str) -> None:
    ada = person(1, fingerprint)
    morph = make_morpher(ada, BOB)
    drawn = picture(morph.animate(grin(), 0.4))
    expected = picture(Animator(interpolate(ada, BOB, 0.4)).animate(grin()))
    assert np.abs(drawn - expected).mean() < 0.2  # as above


@pytest.mark.parametrize("compiled", [True, False])
def test_change_between_two(
    compiled: bool, fingerprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of either at the ends, and none of a face at rest."""
    if not compiled:
        monkeypatch.setattr(native, "library", lambda: None)
    ada, bob = person(1, fingerprint).dynamic, person(2, fingerprint).dynamic
    assert ada is not None
    assert bob is not None
    moves = 0.01 * torch.randn(len(load_open_head().template), 3)
    between = MorphNetwork(ada, bob)
    ends = [ExpressionNetwork(x).change(moves).clone() for x in (ada, bob)]
    size = float(ends[0].abs().max())
    for share, end in zip((0.0, 1.0), ends, strict=True):
        torch.testing.assert_close(between.change(moves, share), end, rtol=0, atol=1e-5 * size)
    for share in (0.5, 0.3):
        # what the network says at rest is known at nine shares, and a line between them
        assert between.change(None, share).abs().max() < 0.05 * size
    assert between.change(None, 0.5).abs().max() < 1e-5 * size


def test_blended_fast_and_plainly() -> None:
    """Every size of rest of eight, and of sizes far apart."""
    if native.library() is None:
        pytest.skip("needs the compiled library, and there is no C++ compiler")
    for count in (1, 7, 8, 13, 5000):
        a, b = tiny_gaussians(1, count), tiny_gaussians(2, count)
        a.scales[0], b.scales[0] = 1e-6, 10.0
        for share in (0.0, 0.3, 0.5, 0.9, 1.0):
            rooms = [Gaussians(*(torch.empty_like(x) for x in vars(a).values())) for _ in range(2)]
            fast = blend_gaussians(a, b, share, rooms[0])
            plain = without_library(lambda s=share, r=rooms[1], p=(a, b): blend_gaussians(*p, s, r))
            for name, x in vars(fast).items():
                torch.testing.assert_close(x, getattr(plain, name), rtol=2e-6, atol=1e-7, msg=name)


def without_library(work: Callable[[], Gaussians]) -> Gaussians:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "library", lambda: None)
        return work()


def test_turns_take_the_shorter_way() -> None:
    a = tiny_gaussians(1)
    b = replace(a, quats=-a.quats)
    room = Gaussians(*(torch.empty_like(x) for x in vars(a).values()))
    found = quat_to_matrix(blend_gaussians(a, b, 0.5, room).quats)
    torch.testing.assert_close(found, quat_to_matrix(a.quats), rtol=0, atol=1e-6)


def test_the_strip_shows_every_step() -> None:
    sheet, likeness = morph_sheet(ADA, BOB, 3)
    assert sheet.shape[1] == 3 * TILE
    assert [step.share for step in likeness] == [0, 0.5, 1]
    for steps in (1, 41):
        with pytest.raises(InputError, match=r"steps: expected 2\.\.40"):
            morph_sheet(ADA, BOB, steps)
