"""Avatars against the truth from all around: how they are placed in it, and what is compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from flexavatar.avatar.avatar import Avatar
from flexavatar.create.create import CreateConfig
from flexavatar.errors import InputError
from flexavatar.evaluation import around
from flexavatar.evaluation.around import (
    FRONT,
    SOURCES,
    evaluate_around,
    place_avatar,
    read_truth,
    view_figures,
)
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.evaluation.figures import FIGURES
from flexavatar.formats.picture import to_uint8
from flexavatar.render.camera import orbit
from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera

VIEWS = {FRONT: (0, 0), "yaw+060_pitch+00": (60, 0), "yaw+180_pitch+00": (180, 0)}
SCALE = 1.3
"""Of the truth, whose metres are larger than the avatar's."""


def _entry(camera: Camera, yaw: float, expression: dict[str, float]) -> dict[str, Any]:
    viewmat = camera.viewmat.clone()
    viewmat[:3, 3] *= SCALE
    return {
        "K": camera.K.tolist(),
        "viewmat": viewmat.tolist(),
        "yaw_deg": yaw,
        "pitch_deg": 0,
        "expression": expression,
    }


@pytest.fixture(scope="module")
def truth(avatar: Avatar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's own avatar as the truth, larger, its eyes at the origin."""
    folder = tmp_path_factory.mktemp("truth")
    renderer = AvatarRenderer.of(avatar)
    vertices = renderer.animator.vertices(avatar.codes)
    eyes = vertices[renderer.animator.head.masks["eyes"] > 0.5].mean(0)
    gaussians = renderer.animator.animate(avatar.codes)
    centred = torch.eye(4)
    centred[:3, 3] = eyes
    pictures: dict[str, Any] = {}
    for name, (yaw, pitch) in VIEWS.items():
        camera = orbit(avatar.camera, yaw, pitch)
        rgba = rasterize(gaussians, camera).rgba.numpy()
        straight = rgba[..., :3] / np.maximum(rgba[..., 3:], 1e-3)
        picture = to_uint8(np.dstack((straight.clip(0, 1), rgba[..., 3])))
        Image.fromarray(picture).save(folder / f"{name}.png")
        seen_from = Camera(camera.viewmat @ centred, camera.K, camera.width, camera.height)
        pictures[f"{name}.png"] = _entry(seen_from, yaw, {})
    cameras = {"chin_y": -0.13 * SCALE, "pictures": pictures}
    (folder / "cameras.json").write_text(json.dumps(cameras))
    return folder


def test_an_avatar_finds_its_place_in_the_truth(avatar: Avatar, truth: Path) -> None:
    """By landmarks in one picture: size, turn and place, and so it is the same from behind."""
    views = read_truth(truth)
    renderer = AvatarRenderer.of(avatar)
    placed = place_avatar(renderer, views[FRONT])
    assert placed.scale == pytest.approx(SCALE, rel=0.04)  # landmarks are a pixel off
    gaussians = renderer.animator.animate(avatar.codes)
    for view in views.values():
        rgba = rasterize(gaussians, placed.camera(view.camera)).rgba.numpy()
        grey = rgba[..., :3] + 0.5 * (1 - rgba[..., 3:])
        psnr, distance, iou = view_figures(np.asarray(grey, np.float32), rgba[..., 3], view)
        assert iou > 0.92
        assert psnr > 20
        assert distance < 0.6


def test_the_truth_itself_has_no_error(truth: Path) -> None:
    view = read_truth(truth)["yaw+060_pitch+00"]
    psnr, distance, iou = view_figures(view.rgb, view.alpha, view)
    assert (psnr, iou) == (99.0, 1.0)
    assert distance == pytest.approx(0, abs=1e-6)
    blank = view_figures(np.full_like(view.rgb, 0.5), np.zeros_like(view.alpha), view)
    assert blank[2] == 0
    assert blank[0] < 20


def test_views_are_in_their_groups(truth: Path) -> None:
    groups = {name: view.group for name, view in read_truth(truth).items()}
    assert list(groups.values()) == ["front", "three_quarter", "back"]
    assert all(f"{g}_{m}" in FIGURES for g in groups.values() for m in around.METRICS)


def test_an_avatar_of_one_picture_is_held_against_the_others(
    avatar: Avatar, truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around, "create_avatar", lambda *_: avatar)  # creation is tested elsewhere
    item = evaluate_around(truth, 1, CreateConfig(quick=True))
    assert item.figures["photos"] == 1
    assert item.figures["back_iou"] > 0.92
    assert "front_psnr" not in item.figures  # the avatar was made from it
    assert len(item.pictures) == len(VIEWS)


def test_what_is_missing_is_said(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"photos: expected one of \[1, 3, 5\], got 2"):
        evaluate_around(truth, 2)
    with pytest.raises(InputError, match=r"expected cameras\.json"):
        evaluate_around(tmp_path)
    assert len(SOURCES[3]) == 3
    with pytest.raises(InputError, match=r"yaw\+030_pitch"):
        evaluate_around(truth, 3)
    (tmp_path / "cameras.json").write_text("[]")
    with pytest.raises(InputError, match="not cameras of pictures"):
        evaluate_around(tmp_path)
