"""Writes the .meta files that Unity keeps: `python -m tests.bridges.unity.package_meta`.

One lies beside every asset. A GUID is made of the asset's path, so it never changes: scenes refer
to scripts by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "unity_bridge"
NAMESPACE = "com.flexavatar.bridge/"
DEFAULT = "  externalObjects: {}\n"
TAIL = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n"
IMPORTERS = {
    ".cs": (
        "MonoImporter",
        DEFAULT
        + "  serializedVersion: 2\n  defaultReferences: []\n  executionOrder: 0\n"
        + "  icon: {instanceID: 0}\n",
    ),
    ".asmdef": ("AssemblyDefinitionImporter", DEFAULT),
    ".shader": ("ShaderImporter", DEFAULT + "  defaultTextures: []\n  nonModifiableTextures: []\n"),
    ".hlsl": ("ShaderIncludeImporter", DEFAULT),
    ".md": ("TextScriptImporter", DEFAULT),
    ".json": ("PackageManifestImporter", DEFAULT),
}


def assets() -> Iterator[Path]:
    """Every file and folder that Unity imports: not those whose name ends in ~."""
    for path in sorted(PACKAGE.rglob("*")):
        hidden = any(part.endswith("~") for part in path.relative_to(PACKAGE).parts)
        if path.suffix != ".meta" and not hidden:
            yield path


def guid(path: Path) -> str:
    """32 hex digits that stay the same for as long as the path does."""
    name = NAMESPACE + path.relative_to(PACKAGE).as_posix()
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def meta(path: Path) -> str:
    """The text of an asset's .meta file."""
    start = f"fileFormatVersion: 2\nguid: {guid(path)}\n"
    if path.is_dir():
        return f"{start}folderAsset: yes\nDefaultImporter:\n{DEFAULT}{TAIL}"
    importer, settings = IMPORTERS[path.suffix]
    return f"{start}{importer}:\n{settings}{TAIL}"


def meta_file(path: Path) -> Path:
    """Where it is."""
    return path.with_name(path.name + ".meta")


if __name__ == "__main__":
    for asset in assets():
        meta_file(asset).write_text(meta(asset))
