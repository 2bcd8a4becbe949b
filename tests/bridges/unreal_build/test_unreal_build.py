"""The Unreal plugin's descriptor and modules' rules: checked, compiled and asked what they need."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tests.bridges import dotnet
from tests.bridges.dotnet import Assembly, needs_dotnet

HERE = Path(__file__).parent
PLUGIN = dotnet.ROOT / "unreal_bridge"
DESCRIPTOR = PLUGIN / "FlexAvatar.uplugin"
RULES = {file.name.split(".")[0]: file for file in PLUGIN.glob("Source/*/*.Build.cs")}

pytestmark = pytest.mark.skipif(not DESCRIPTOR.exists(), reason="there is no FlexAvatar.uplugin")


def test_the_descriptor_is_one_of_unreals() -> None:
    schema = json.loads((HERE / "uplugin.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    descriptor = json.loads(DESCRIPTOR.read_text())
    jsonschema.validate(descriptor, schema)
    assert {m["Name"] for m in descriptor["Modules"]} == RULES.keys()
    assert all(file.parent.name == name for name, file in RULES.items())


@needs_dotnet
def test_modules_rules_compile_and_name_modules_that_are_there(tmp_path: Path) -> None:
    files = [str(HERE / "UnrealBuildTool.cs"), *map(str, RULES.values())]
    built = dotnet.compile_all([Assembly("Rules", files, runs=True)], tmp_path)
    result = subprocess.run(
        [str(dotnet.DOTNET), str(built["Rules"])],
        env=dotnet.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    asked = {tuple(words[:2]): words[2:] for words in map(str.split, result.stdout.splitlines())}
    assert {name for name, _ in asked} == RULES.keys()
    for (name, platform), modules in asked.items():
        assert "Core" in modules
        ours = {m for m in modules if m.startswith("FlexAvatar")}
        assert ours <= RULES.keys() - {name}
        assert ("Ws2_32.lib" in modules) == (platform == "Win64" and name == "FlexAvatarCore")
