"""Avatars of K: made of a real photo, stored, driven, fitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from flexavatar.avatar.avatar import (
    MANIFEST,
    WEIGHTS,
    Avatar,
    animator_of,
    load_avatar,
    save_avatar,
)
from flexavatar.avatar.bias_sink_avatar import BiasSinkAnimator, BiasSinkAvatar
from flexavatar.avatar.bias_sink_maps import activate_gaussians, base_splats, drive_base
from flexavatar.avatar.interpolate import interpolate
from flexavatar.avatar.morph import make_morpher
from flexavatar.avatar.uv_maps import map_at_texels, uv_layout
from flexavatar.capture.portrait import Portrait
from flexavatar.create import fit_code as fitting
from flexavatar.create.evidence import observe_surface
from flexavatar.create.fit import FitConfig
from flexavatar.create.fit_code import fit_code
from flexavatar.create.image_metrics import input_psnr_db
from flexavatar.create.network import encode_avatar
from flexavatar.create.posed_views import PosedViews
from flexavatar.errors import AssetError, InputError, ShapeError
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import surface_motion
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import interpolate_barycentric
from flexavatar.models.config import BIAS_SINK_TINY
from flexavatar.models.signal_vectors import flame_signal
from flexavatar.models.weights import FOLDER, bias_sink_path, load_matching_bias_sink
from flexavatar.types import FlameCodes

HEAD = load_open_head()


@pytest.fixture(scope="module")
def coded(placed: PosedViews) -> BiasSinkAvatar:
    texels = uv_layout(HEAD, BIAS_SINK_TINY).texels
    return encode_avatar(observe_surface(placed, texels), "tiny")


@pytest.fixture(scope="module")
def animator(coded: BiasSinkAvatar) -> BiasSinkAnimator:
    return BiasSinkAnimator(coded)


def codes(**weights: float) -> FlameCodes:
    return arkit_to_flame(weights, load_arkit_basis(HEAD))


def test_the_weights_that_ship_are_small() -> None:
    assert bias_sink_path("tiny").parent == FOLDER
    assert bias_sink_path("tiny").stat().st_size < 16e6


def test_the_network_knows_the_person_before_any_fitting(
    coded: BiasSinkAvatar, portrait: Portrait
) -> None:
    everybody = replace(coded, code=torch.zeros_like(coded.code))
    assert input_psnr_db(coded, portrait) > input_psnr_db(everybody, portrait) + 3
    assert len(coded) > 40_000
    assert coded.model == "bias_sink"


def test_fitting_the_code_comes_closer(
    coded: BiasSinkAvatar, placed: PosedViews, portrait: Portrait
) -> None:
    before = coded.code.clone()
    fitted = fit_code(coded, placed, FitConfig(steps=12))
    assert input_psnr_db(fitted, portrait) > input_psnr_db(coded, portrait) + 0.4
    torch.testing.assert_close(coded.code, before, rtol=0, atol=0)


def test_fitting_leaves_the_colours_of_what_is_hidden(
    coded: BiasSinkAvatar, placed: PosedViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = HEAD.masks["scalp"][coded.layout.texels.binding.vertex_ids].amin(1) > 0.5
    back &= interpolate_barycentric(HEAD.template, coded.layout.texels.binding)[:, 2] < -0.03

    def moved() -> float:
        fitted = fit_code(coded, placed, FitConfig(steps=12))
        one, other = (animator_of(x).animate(codes()).sh[back] for x in (coded, fitted))
        return float((one - other).square().mean())

    held = moved()
    monkeypatch.setattr(fitting, "HIDDEN", 0.0)
    assert held < 0.6 * moved()


def test_what_is_saved_is_what_is_loaded(coded: BiasSinkAvatar, tmp_path: Path) -> None:
    save_avatar(coded, tmp_path)
    loaded = load_avatar(tmp_path)
    assert isinstance(loaded, BiasSinkAvatar)
    torch.testing.assert_close(loaded.code, coded.code, rtol=0, atol=0)
    assert json.loads((tmp_path / MANIFEST).read_text())["gaussians"] == len(coded)
    one, other = (animator_of(x).animate(codes(jawOpen=0.5)) for x in (coded, loaded))
    torch.testing.assert_close(one.means, other.means, rtol=0, atol=1e-6)  # float32


def _other_weights(manifest: dict[str, dict[str, str]], tensors: dict[str, Tensor]) -> None:
    manifest["code"]["weights"] = "0" * 64


def _other_preset(manifest: dict[str, dict[str, str]], tensors: dict[str, Tensor]) -> None:
    manifest["code"]["preset"] = "huge"


def _short_code(manifest: dict[str, dict[str, str]], tensors: dict[str, Tensor]) -> None:
    tensors["code"] = tensors["code"][1:].clone()


def _no_number(manifest: dict[str, dict[str, str]], tensors: dict[str, Tensor]) -> None:
    tensors["code"][0, 0] = float("nan")


@pytest.mark.parametrize("damage", [_other_weights, _other_preset, _short_code, _no_number])
def test_damage_is_told(
    coded: BiasSinkAvatar, tmp_path: Path, damage: Callable[[dict, dict], None]
) -> None:
    save_avatar(coded, tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    tensors = load_file(tmp_path / WEIGHTS)
    damage(manifest, tensors)
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(AssetError):
        load_avatar(tmp_path)


def test_sizes_and_names_are_checked(coded: BiasSinkAvatar) -> None:
    with pytest.raises(ShapeError):
        replace(coded, code=coded.code[:, 1:])
    with pytest.raises(InputError, match="preset"):
        replace(coded, preset="huge")
    with pytest.raises(InputError, match="SHA-256"):
        replace(coded, weights="abc")
    with pytest.raises(AssetError, match="another rig"):
        BiasSinkAnimator(replace(coded, neutral=coded.neutral[1:]))


def test_the_head_turns_as_one_piece(animator: BiasSinkAnimator) -> None:
    """Distances between Gaussians stay, and the expression does not change with the pose."""
    still = animator.animate(codes(mouthSmileLeft=0.7))
    turned_codes = replace(
        codes(mouthSmileLeft=0.7),
        neck_pose=torch.tensor([0.1, 0.4, 0.0]),
        transl=torch.tensor([0.0, 0.02, 0.1]),
    )
    turned = animator.animate(turned_codes)
    move = animator.transforms(turned_codes)[1]
    wanted = still.means @ move[:3, :3].T + move[:3, 3]
    torch.testing.assert_close(turned.means, wanted, rtol=0, atol=1e-5)  # float32, metres
    assert (turned.means - still.means).norm(dim=-1).min() > 0.01
    torch.testing.assert_close(turned.sh, still.sh, rtol=0, atol=0)


def test_the_jaw_opens(animator: BiasSinkAnimator, coded: BiasSinkAvatar) -> None:
    lips = coded.layout.texels.masks["lips"] > 0.5
    closed, opened = (animator.animate(codes(jawOpen=x)).means[lips, 1] for x in (0.0, 1.0))
    assert float((closed - opened).max()) > 0.01, "metres by which the lower lip falls"


def test_what_is_driven_is_what_is_fitted(
    animator: BiasSinkAnimator, coded: BiasSinkAvatar
) -> None:
    """Compiled for the frame path, and in torch for fitting and training."""
    asked = codes(eyeBlinkLeft=1.0, jawOpen=0.5)
    head, texels = animator.head, coded.layout.texels
    motion = surface_motion(coded.neutral, head.pose(coded.neutral, asked).vertices, head.faces)
    start = drive_base(
        coded.config, base_splats(coded.config, head, coded.neutral, texels), motion, texels
    )
    model = load_matching_bias_sink(coded.preset, coded.weights)
    with torch.no_grad():
        maps = model.decode(coded.code, flame_signal(asked)[None])
        wanted = activate_gaussians(map_at_texels(maps[0], texels.chart), start)
    shown = animator.animate(asked)
    torch.testing.assert_close(shown.means, wanted.means, rtol=0, atol=2e-5)  # float32
    torch.testing.assert_close(shown.scales, wanted.scales, rtol=1e-2, atol=1e-6)
    own = start.discs
    still = base_splats(coded.config, head, coded.neutral, texels).discs
    assert own is not None
    assert still is not None
    lids = texels.masks["lids"] > 0.9
    grown = (own.scales.prod(-1) / still.scales.prod(-1))[lids]
    assert grown.max() > 1.5, "a lid that closes unfolds"


def test_everything_is_finite(animator: BiasSinkAnimator) -> None:
    for name in ("jawOpen", "eyeBlinkLeft", "tongueOut", "cheekPuff"):
        drawn = animator.animate(codes(**{name: 1.0}))
        assert all(bool(torch.isfinite(x).all()) for x in vars(drawn).values())
        assert float(drawn.opacities.min()) >= 0
        assert float(drawn.opacities.max()) <= 1
        torch.testing.assert_close(  # float32
            drawn.quats.norm(dim=-1), torch.ones(len(drawn)), rtol=0, atol=1e-5
        )


@pytest.fixture(scope="module")
def sibling(coded: BiasSinkAvatar) -> BiasSinkAvatar:
    """Somebody else: another head, another code."""
    noise = torch.randn(coded.code.shape, generator=torch.Generator().manual_seed(0))
    return replace(coded, neutral=1.05 * coded.neutral, code=coded.code + 0.1 * noise)


def test_between_two_codes(coded: BiasSinkAvatar, sibling: BiasSinkAvatar) -> None:
    for share, wanted in ((0.0, coded), (1.0, sibling)):
        end = interpolate(coded, sibling, share)
        assert isinstance(end, BiasSinkAvatar)
        torch.testing.assert_close(end.code, wanted.code, rtol=0, atol=1e-6)  # float32
    one, other = interpolate(coded, sibling, 0.25), interpolate(sibling, coded, 0.75)
    assert isinstance(one, BiasSinkAvatar)
    assert isinstance(other, BiasSinkAvatar)
    torch.testing.assert_close(one.code, other.code, rtol=0, atol=1e-6)  # float32


def test_a_morph_driven_is_the_avatar_between(
    coded: BiasSinkAvatar, sibling: BiasSinkAvatar
) -> None:
    morph, smile = make_morpher(coded, sibling), codes(mouthSmileLeft=0.8)
    assert len(morph) == len(coded)
    live = morph.animate(smile, 0.3)
    still = animator_of(interpolate(coded, sibling, 0.3)).animate(smile)
    # discs and lids of a blended head are not quite the blended discs and lids
    torch.testing.assert_close(live.means, still.means, rtol=0, atol=2e-4)  # metres
    torch.testing.assert_close(live.sh, still.sh, rtol=0, atol=1e-4)


def test_codes_of_different_networks_have_nothing_between(
    coded: BiasSinkAvatar, sibling: BiasSinkAvatar, avatar: Avatar
) -> None:
    stranger = replace(sibling, weights="0" * 64)
    for between in (
        lambda: interpolate(coded, stranger, 0.5),
        lambda: make_morpher(coded, stranger),
    ):
        with pytest.raises(InputError, match="expected two of one network"):
            between()
    with pytest.raises(InputError, match="expected two avatars of"):
        interpolate(coded, avatar, 0.5)
