"""The Unreal component in a stand-in for the engine, against a live server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from plugin_server.server import running_server
from tests.bridges.conftest import CPP, Build
from tests.bridges.test_cpp_live import port_of
from tests.service import PHOTO, TinyEngine, local_config

PLUGIN = CPP.parent
RUN_S = 120


def test_a_component_lives(program: Build, tmp_path: Path) -> None:
    """Creates, shows pictures and Gaussians, is driven in every way, comes and goes: sanitised."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PHOTO)
    path = program("component_client", "sanitized")
    with running_server(local_config(tmp_path), TinyEngine(count=2000)) as server:
        command = [path, str(port_of(server.http_address)), photo]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr


def test_the_plugin_is_whole() -> None:
    """What Unreal reads first: modules that exist, with rules, and what is packaged."""
    plugin = json.loads((PLUGIN / "FlexAvatar.uplugin").read_text())
    assert plugin["FileVersion"] == 3
    modules = [module["Name"] for module in plugin["Modules"]]
    assert sorted(path.name for path in (PLUGIN / "Source").iterdir()) == sorted(modules)
    for module in plugin["Modules"]:
        assert module["Type"] in ("Runtime", "Editor")
        assert module["LoadingPhase"] in ("Default", "PostConfigInit")
        folder = PLUGIN / "Source" / module["Name"]
        rules = (folder / f"{module['Name']}.Build.cs").read_text()
        assert f"public class {module['Name']} : ModuleRules" in rules
        sources = "".join(path.read_text() for path in folder.rglob("*.cpp"))
        assert sources.count(f", {module['Name']})") == 1, "one IMPLEMENT_MODULE"
    for line in (PLUGIN / "Config" / "FilterPlugin.ini").read_text().splitlines():
        if line.startswith("/"):
            assert (PLUGIN / line.strip("/.")).exists(), line
    assert (PLUGIN / "Resources" / "Icon128.png").read_bytes()[:4] == b"\x89PNG"
