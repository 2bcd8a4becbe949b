"""Drawing a stored avatar from the command line: what is whole is drawn, what is not is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from flexavatar.avatar.avatar import MANIFEST, WEIGHTS, Avatar, save_avatar
from flexavatar.cli import USER_ERROR, pictures, run
from flexavatar.errors import ConflictError
from tests.test_engine import plain_avatar


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return plain_avatar()


@pytest.fixture
def store(avatar: Avatar, tmp_path: Path) -> Path:
    """With one avatar, `ada`."""
    folder = tmp_path / "avatars/ada"
    folder.mkdir(parents=True)
    save_avatar(avatar, folder)
    return folder.parent


def change_tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., None]:
    """Damages one tensor of an avatar's folder."""

    def damage(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        changed = {**tensors, name: change(tensors[name]).contiguous()}
        save_file(changed, folder / "draft")  # the file itself is still mapped
        (folder / "draft").replace(folder / WEIGHTS)

    return damage


def change_manifest(**values: object) -> Callable[[Path], None]:
    """Damages an avatar's manifest."""

    def damage(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(manifest | values))

    return damage


def cut(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def test_a_whole_avatar_is_drawn(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    size = ["--width", "64", "--height", "48"]
    assert run(["render", "ada", "--store", str(store), "--out", str(out), *size]) == 0
    with Image.open(out) as picture:
        assert picture.size == (64, 48)
        assert np.asarray(picture.getchannel("A")).max() > 127  # somebody is there


@pytest.mark.parametrize("command", ["render", "sheet", "drive"])
@pytest.mark.parametrize(
    "damage",
    [
        cut,
        lambda folder: (folder / WEIGHTS).unlink(),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text("{"),
        change_manifest(width="wide"),
        change_manifest(format=99),
        change_tensor("opacities", lambda x: x[1:]),
        change_tensor("offsets", lambda x: x * torch.nan),
        change_tensor("neutral", lambda x: x[1:]),
        change_tensor("vertex_ids", lambda x: x + 1_000_000),
        change_tensor("vertex_ids", lambda x: -1 - x),
    ],
)
def test_a_damaged_one_is_refused_in_a_line(
    command: str,
    damage: Callable[[Path], None],
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(store / "ada")
    out = tmp_path / ("a.mp4" if command == "drive" else "a.png")
    assert run([command, "ada", "--store", str(store), "--out", str(out)]) == USER_ERROR
    answer = capsys.readouterr().err.strip().splitlines()[-1]
    assert answer.startswith("error: ")
    assert not out.exists()


def test_a_photo_expression_of_another_rig_is_refused(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_tensor("codes.correctives", lambda x: x[1:])(store / "ada")
    out = ["--out", str(tmp_path / "a.png")]
    assert run(["render", "ada", "--store", str(store), *out]) == USER_ERROR
    assert "correctives: expected" in capsys.readouterr().err


def test_one_that_is_replaced_in_the_middle_is_read_again(
    store: Path, avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old folder has gone, and for an instant none is there; then a reader finds the new."""
    (store / "ada").rename(store / "old")
    done = threading.Timer(0.03, lambda: (store / "old").rename(store / "ada"))
    done.start()
    assert len(pictures.load_from_store(store, "ada")) == len(avatar)
    done.join()


def test_one_that_is_replaced_over_and_over_is_given_up(
    store: Path, avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "flexavatar.avatar.avatar.load_avatar", lambda folder: folder.touch() or avatar
    )
    with pytest.raises(ConflictError, match="replaced over and over"):
        pictures.load_from_store(store, "ada")
