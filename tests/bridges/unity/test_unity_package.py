"""The Unity package as a folder: manifest, assemblies, .meta files, and what each part may use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from tests.bridges.unity.package_meta import PACKAGE, assets, guid, meta, meta_file

SCHEMAS = Path(__file__).parent / "schemas"
ASSEMBLIES = sorted(PACKAGE.rglob("*.asmdef"))
SHADERS = sorted(PACKAGE.rglob("*.shader"))
UNITYS_ASSEMBLIES = ("Unity.", "UnityEngine.", "UnityEditor.")


def check(document: Path, schema: str) -> None:
    rules = json.loads((SCHEMAS / schema).read_text())
    jsonschema.Draft202012Validator.check_schema(rules)
    jsonschema.validate(json.loads(document.read_text()), rules)


def test_the_manifest_is_one_of_unitys() -> None:
    check(PACKAGE / "package.json", "package.json")
    manifest = json.loads((PACKAGE / "package.json").read_text())
    assert f"## {manifest['version']}" in (PACKAGE / "CHANGELOG.md").read_text()
    for sample in manifest["samples"]:
        assert list((PACKAGE / sample["path"]).glob("*.cs"))


@pytest.mark.parametrize("path", ASSEMBLIES, ids=lambda p: p.stem)
def test_assemblies_are_defined_as_unity_wants(path: Path) -> None:
    check(path, "asmdef.json")
    assembly = json.loads(path.read_text())
    assert assembly["name"] == path.stem
    ours = {p.stem for p in ASSEMBLIES}
    foreign = [r for r in assembly["references"] if not r.startswith(UNITYS_ASSEMBLIES)]
    assert set(foreign) <= ours


def test_the_core_knows_no_engine() -> None:
    core = PACKAGE / "Runtime" / "Core"
    assert json.loads((core / "FlexAvatar.Core.asmdef").read_text())["noEngineReferences"]
    for file in core.glob("*.cs"):
        assert not re.search(r"\bUnity(Engine|Editor)?\b(?!')", _code(file)), file


def _code(file: Path) -> str:
    """A C# file without its comments and names that only mention Unity."""
    text = re.sub(r"//.*", "", file.read_text())
    return re.sub(r"\b(To|From|Into)Unity|\bunity\b", "", text)


def test_every_asset_has_its_meta_file_and_no_other_is_there() -> None:
    expected = {meta_file(asset): meta(asset) for asset in assets()}
    assert {p: p.read_text() for p in PACKAGE.rglob("*.meta")} == expected
    assert len({guid(asset) for asset in assets()}) == len(expected)


@pytest.mark.parametrize("path", SHADERS, ids=lambda p: p.stem)
def test_shaders_are_found_and_whole(path: Path) -> None:
    """In Resources, or builds would leave out what is only named in code."""
    text = path.read_text()
    assert path.parent.name == "Resources"
    assert f'Shader "FlexAvatar/{path.stem.removeprefix("FlexAvatar")}"' in text
    assert text.count("{") == text.count("}")
    for name in re.findall(r'#include "([^"]+)"', text):
        assert (
            name == "UnityCG.cginc" or "render-pipelines" in name or (path.parent / name).exists()
        )


def test_what_scripts_set_is_what_shaders_have() -> None:
    scripts = "".join(f.read_text() for f in (PACKAGE / "Runtime").glob("*.cs"))
    shaders = "".join(f.read_text() for f in (PACKAGE / "Runtime" / "Resources").glob("*.hlsl"))
    used = set(re.findall(r'PropertyToID\("(\w+)"\)', scripts))
    declared = set(re.findall(r"^(?:\w|<|>)+ (_Flex\w+);", shaders, re.MULTILINE))
    assert used == declared
