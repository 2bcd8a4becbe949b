"""What documents show can be run, and what they name exists."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flexavatar.demo import SHIPPED_PORTRAIT, make_picture
from plugin_server.client import FlexAvatarClient
from plugin_server.gateways.config import GatewayConfig
from tests.conftest import ROOT, WANTED
from tests.documents import blocks, wrong_extras, wrong_names
from tests.service import PHOTO, TinyEngine, local_config, server_and_client
from tests.test_engine import plain_avatar

FOLDERS = ("", "docs", "proto", "flexavatar/assets", "unity_bridge", "unreal_bridge")
DOCUMENTS = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).glob("*.md" if folder in ("", "docs") else "**/*.md")
)
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
SOURCES = [p for top in ("flexavatar", "plugin_server") for p in (ROOT / top).rglob("*.py")]
SERVED = ("README.md", "docs/live.md", "docs/voice.md")
"""Whose snippets of Python talk to a server."""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_exists(name: str) -> None:
    assert wrong_names(ROOT / name, (ROOT / name).read_text()) == []


def test_extras_that_the_code_names_exist() -> None:
    wrong = {path: wrong_extras(path.read_text()) for path in SOURCES}
    assert not {path: names for path, names in wrong.items() if names}


@pytest.mark.parametrize(
    "text",
    [
        "    flexavatar creat me.jpg",
        "    flexavatar create me.jpg --quik",
        "    flexavatar create me.jpg --model best",
        "    flexavatar evaluate selv me.mp4",
        "    flexavatar drive  # an avatar is missing",
        "Say `flexavatar serve --prot 1`.",
        "Say `--quik`.",
        "    python -m flexavatar.nowhere",
        "    python -m flexavatar.demo --quik",
        "See `flexavatar.create.create_avatars`.",
        "    make tests",
        "First `make tea`.",
        'Needs `pip install "flexavatar[people]"`.',
        '    pip install -e ".[people]"',
        "The extra `people`.",
        "See [there](docs/nowhere.md).",
        "See [there](README.md#nowhere).",
        "See `flexavatar/nowhere`.",
        "See `plugin_server/service.cpp`.",
        "See `nowhere.py`.",
        "1. `plugin_server/session.py` `accepts()` takes it.",
        "1. `plugin_server/session.py` `Sessions` takes it.",
        "1. `flexavatar/drive/voice/config.py` `EMOTION` names it.",
        "    curl -d '{}' http://127.0.0.1:50052/flexavatar.v1.FlexAvatar/StartSessions",
        "    curl -d '{\"avatars\": 1}' http://127.0.0.1:50052/flexavatar.v1.FlexAvatar/StartSession",
        "```python\nfrom flexavatar.create import create_avatars\n```",
        "```python\nimport flexavatar.nowhere\n```",
    ],
)
def test_what_does_not_exist_is_found(text: str) -> None:
    assert wrong_names(ROOT / "README.md", text)


# ---- what is shown is run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that snippets read."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(SHIPPED_PORTRAIT, "me.jpg")
    with wave.open("hello.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * 4_000))
    return tmp_path


@pytest.fixture
def address(here: Path) -> Iterator[str]:
    """Of a server with the avatars `me` and `you`, which hears phones."""
    config = local_config(here, gateways=GatewayConfig(live_link_face=0))
    with server_and_client(config, TinyEngine()) as (client, listening):
        for name in ("me", "you"):
            client.create_avatar([PHOTO], name)
        yield listening.address


@pytest.mark.parametrize("name", SERVED)
def test_clients_do_what_is_shown(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create = FlexAvatarClient.create_avatar

    def anew(client: FlexAvatarClient, photos: Any, name: str) -> Any:
        return create(client, photos, name, replace=True)

    monkeypatch.setattr(FlexAvatarClient, "create_avatar", anew)
    names: dict[str, Any] = {}
    for snippet in blocks((ROOT / name).read_text(), "python"):
        assert "127.0.0.1:50051" in snippet
        exec(compile(snippet.replace("127.0.0.1:50051", address), name, "exec"), names)
    if name == "README.md":
        assert names["frame"].rgba.shape == (512, 512, 4)
    if name == "docs/voice.md":
        assert "rendered_samples: 4000" in capsys.readouterr().out


def test_an_avatar_and_a_rig_of_ones_own(
    shared_data: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both snippets, one after the other; ICT-FaceKit stands in for a FLAME file."""

    def unfitted(photos: list[bytes]) -> Any:
        assert photos == [SHIPPED_PORTRAIT.read_bytes()]
        return plain_avatar()

    Path("flame2023.npz").symlink_to(shared_data / "ict_facekit_f16.npz")
    monkeypatch.setattr("flexavatar.create.create_avatar", unfitted)
    names: dict[str, Any] = {}
    for snippet in blocks((ROOT / "docs/python.md").read_text(), "python"):
        exec(compile(snippet, "docs/python.md", "exec"), names)
    assert names["frame"].rgba.shape == (512, 512, 4)
    assert names["frame"].rgba[..., 3].max() > 0.5  # somebody is there
    assert len(names["gaussians"]) == len(names["avatar"])
    assert names["gaussians"].means.isfinite().all()


def test_files_that_tests_want_are_named() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in WANTED:
        assert f"`{Path(name).name}`" in text, name
    assert text.index("FLEXAVATAR_SHARED") < text.index("shared/data")


def test_every_document_can_be_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{path.name})" in text


def test_the_picture_at_the_top(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is small, and what draws it still does."""
    shown = ROOT / make_picture.PictureConfig.out
    assert shown.stat().st_size < 150_000
    monkeypatch.setattr(make_picture, "create_avatar", lambda photos, progress: plain_avatar())
    make_picture.main(make_picture.PictureConfig(tmp_path / "avatar.webp"))
    with Image.open(shown) as there, Image.open(tmp_path / "avatar.webp") as drawn:
        assert there.size == drawn.size == (make_picture.WIDTH, 540)
        assert np.asarray(drawn)[310:].std() > 20  # grey levels: somebody is there
