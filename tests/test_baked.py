"""Baked avatars: as they were before, whole or refused, and what the golden set says."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flexavatar.avatar.avatar import Animator, Avatar, save_avatar
from flexavatar.baked import colors
from flexavatar.baked.colors import random_expressions
from flexavatar.baked.file import EXTENSION, read_baked, write_baked
from flexavatar.baked.poser import BakedPoser
from flexavatar.baked.rig import bake, tensors_of
from flexavatar.cli import USER_ERROR, run
from flexavatar.errors import AssetError, InputError
from flexavatar.head.arkit import arkit_vector_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.render.rasterize import rasterize_rgba8
from tests.baked import (
    GOLDEN_POSE_BYTES,
    SPLATS,
    golden_bytes,
    golden_poses,
    largest_step,
    small_baked,
)
from tests.dynamic import dynamic_avatar, install_network
from tests.make_golden import GOLDEN
from tests.test_engine import plain_avatar

MILLIMETRE = 1e-3
NECK = torch.tensor([0.1, -0.3, 0.05])


@pytest.fixture(scope="module")
def plain() -> Avatar:
    avatar = plain_avatar()
    lids = torch.zeros(len(avatar), 2)
    lids[::7, 0] = 1
    return replace(avatar, lids=lids)


@pytest.mark.parametrize("still", [False, True])
def test_it_moves_as_the_avatar_does(plain: Avatar, still: bool) -> None:
    poser = BakedPoser(read_baked(write_baked(bake(plain), still)))
    animator = Animator(plain)
    basis = load_arkit_basis(animator.head)
    for weights in random_expressions(3, seed=5):
        codes = replace(arkit_vector_to_flame(weights, basis), neck_pose=NECK)
        wanted, found = animator.animate(codes), poser.pose(weights, NECK)
        # a hundredth of a millimetre of each field is left out
        assert float((found.means - wanted.means).norm(dim=1).max()) < 0.3 * MILLIMETRE
        assert float((found.means - wanted.means).norm(dim=1).mean()) < 0.02 * MILLIMETRE
        torch.testing.assert_close(found.scales, wanted.scales, rtol=0.02, atol=0)
        torch.testing.assert_close(found.opacities, wanted.opacities, rtol=0, atol=0.01)
        pictures = [rasterize_rgba8(x, plain.camera).astype(float) for x in (found, wanted)]
        assert np.abs(pictures[0] - pictures[1]).mean() < 0.5  # of 255


def test_a_network_of_colours_becomes_bases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = dynamic_avatar(install_network(monkeypatch, tmp_path, noise=0.02))
    assert changing.dynamic is not None
    with pytest.raises(InputError, match="more than colours"):
        bake(changing)
    dynamic = replace(changing.dynamic, channels=("color",))
    avatar = replace(changing, dynamic=dynamic)
    expressions = random_expressions(24, seed=7)
    monkeypatch.setattr(colors, "training_expressions", lambda: expressions)
    baked = bake(avatar)
    assert baked.bases.bases.shape == (16, len(dynamic.splats), 3)
    animator = Animator(avatar)
    basis, poser = load_arkit_basis(animator.head), BakedPoser(read_baked(write_baked(baked)))
    error, size = 0.0, 0.0
    for weights in expressions[:8]:
        change = colors.color_change(animator, basis, dynamic.splats, weights)
        found = (
            poser.pose(weights).sh[: len(dynamic.splats), 0]
            - (baked.colors - 0.5)[: len(dynamic.splats)] / colors.SH_C0
        )
        error += float((found.flatten() * colors.SH_C0 - change).abs().mean())
        size += float(change.abs().mean())
    assert size > 0.01
    assert error < 0.3 * size  # the network is noise: sixteen bases hold most of 24 faces


def test_the_golden_set_is_what_is_computed() -> None:
    file = (GOLDEN / "baked.glb").read_bytes()
    made, kept = golden_bytes(file), (GOLDEN / "baked.poses").read_bytes()
    assert len(made) == len(kept) == GOLDEN_POSE_BYTES * len(golden_poses())
    for i in range(len(golden_poses())):
        one, other = (x[i * GOLDEN_POSE_BYTES :][:GOLDEN_POSE_BYTES] for x in (made, kept))
        floats = [np.frombuffer(x[: -16 * SPLATS], "<f4") for x in (one, other)]
        np.testing.assert_allclose(*floats, rtol=0, atol=1e-5)
        packed = [np.frombuffer(x[-16 * SPLATS :], "u1").reshape(-1, 16) for x in (one, other)]
        assert largest_step(*packed) <= 1


def test_a_file_says_again_what_was_written() -> None:
    baked = small_baked()
    again = read_baked(write_baked(baked))
    for name, values in tensors_of(baked).items():
        found = tensors_of(again)[name]
        step = 1e-3 if name == "bases" else 4e-5
        torch.testing.assert_close(found, values, rtol=2e-5, atol=step, msg=name)


def damaged_files() -> dict[str, Callable[[dict], object]]:
    """Ways to spoil the document."""
    own = lambda d: d["extensions"][EXTENSION]  # noqa: E731
    view = lambda d, name: d["bufferViews"][own(d)["arrays"][name]["accessor"]]  # noqa: E731
    return {
        "another format": lambda d: own(d).update(version=2),
        "no extension": lambda d: d.pop("extensions"),
        "too many splats": lambda d: own(d).update(splats=10**9),
        "a negative number": lambda d: own(d).update(splats=-1),
        "no number": lambda d: own(d).update(splats="many"),
        "outside the buffer": lambda d: view(d, "faces").update(byteOffset=10**9),
        "before the buffer": lambda d: view(d, "faces").update(byteOffset=-4),
        "an array that is none": lambda d: own(d)["arrays"].update(quats={"accessor": 10**6}),
        "another type": lambda d: d["accessors"][0].update(componentType=5123),
        "joints of two": lambda d: own(d).update(joints=[[0, 0, 0]] * 2),
        "joints nowhere": lambda d: own(d).update(joints=[[float("nan")] * 3] * 5),
        "no lids": lambda d: own(d).update(upper_left=0),
    }


def rewritten(data: bytes, change: Callable[[dict], object]) -> bytes:
    """A file with another document."""
    (text_bytes,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + text_bytes])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + text_bytes :]
    header = struct.pack("<5I", 0x46546C67, 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A)
    return header + text + rest


@pytest.mark.parametrize("way", damaged_files())
def test_a_spoilt_document_is_refused(way: str) -> None:
    data = (GOLDEN / "baked.glb").read_bytes()
    read_baked(rewritten(data, lambda document: None))
    with pytest.raises(AssetError, match="baked avatar"):
        read_baked(rewritten(data, damaged_files()[way]))


def test_fuzzed_files_are_read_or_refused() -> None:
    data, dice = (GOLDEN / "baked.glb").read_bytes(), random.Random(4)
    refused = 0
    for _ in range(150):
        spoilt = bytearray(data)
        for _ in range(dice.randint(1, 8)):
            spoilt[dice.randrange(dice.choice((64, 5000, len(data))))] = dice.randrange(256)
        if dice.random() < 0.3:
            del spoilt[dice.randrange(len(data)) :]
        try:
            BakedPoser(read_baked(bytes(spoilt))).pose(golden_poses()[3].weights)
        except AssetError:
            refused += 1
    assert refused > 50


def test_the_command_writes_one_file(
    plain: Avatar, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "store/ada"
    folder.mkdir(parents=True)
    save_avatar(plain, folder)
    common = ["bake", "ada", "--store", str(folder.parent), "-o"]
    assert run([*common, str(tmp_path / "a.glb")]) == 0
    assert run([*common, str(tmp_path / "b.glb"), "--no-still"]) == 0
    whole, bare = ((tmp_path / f"{x}.glb").read_bytes() for x in "ab")
    assert len(read_baked(whole)) == len(read_baked(bare)) == len(plain)
    assert len(whole) - len(bare) > 56 * len(plain)
    assert run(["bake", "nobody", *common[2:], str(tmp_path / "c.glb")]) == USER_ERROR
    assert "nobody" in capsys.readouterr().err
