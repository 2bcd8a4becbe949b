"""What README.md shows can be run, and what it says of files is so."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from flexavatar.demo import SHIPPED_PORTRAIT
from tests.conftest import ROOT, WANTED
from tests.test_engine import plain_avatar

README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
OWN_PYTHON = next(i for i, snippet in enumerate(SNIPPETS) if "create_avatar" in snippet)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_compile_and_import_what_exists(snippet: str) -> None:
    for node in ast.walk(ast.parse(snippet)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module}.{alias.name}"


def test_client_snippet_calls_what_exists() -> None:
    from plugin_server.client import client, frame_reader

    known = {
        *dir(client.FlexAvatarClient),
        *dir(client.ClientSession),
        *dir(frame_reader.FrameReader),
    }
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(SNIPPETS[0]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert calls - {"read"} <= known  # a file's


def test_an_avatar_and_a_rig_of_ones_own(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both snippets, one after the other; ICT-FaceKit stands in for a FLAME file."""

    def unfitted(photos: list[bytes]) -> Any:
        assert photos == [SHIPPED_PORTRAIT.read_bytes()]
        return plain_avatar()

    monkeypatch.chdir(tmp_path)
    shutil.copy(SHIPPED_PORTRAIT, "me.jpg")
    Path("flame2023.npz").symlink_to(shared_data / "ict_facekit_f16.npz")
    monkeypatch.setattr("flexavatar.create.create_avatar", unfitted)
    names: dict[str, Any] = {}
    for snippet in SNIPPETS[OWN_PYTHON : OWN_PYTHON + 2]:
        exec(compile(snippet, "README.md", "exec"), names)
    assert names["frame"].rgba.shape == (512, 512, 4)
    assert names["frame"].rgba[..., 3].max() > 0.5  # somebody is there
    assert len(names["gaussians"]) == len(names["avatar"])
    assert names["gaussians"].means.isfinite().all()


def test_files_that_tests_want_are_named() -> None:
    for name in WANTED:
        assert f"`{Path(name).name}`" in README, name
    assert README.index("FLEXAVATAR_SHARED") < README.index("shared/data")


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "flexavatar/assets/README.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
