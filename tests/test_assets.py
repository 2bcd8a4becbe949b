"""What ships is what the list says, each file with its licence."""

from __future__ import annotations

import hashlib

from tests.conftest import ROOT

ASSETS = ROOT / "flexavatar/assets"
PAPERS = {"README.md", "LICENSE", "SHA256SUMS"}


def test_sums_match() -> None:
    listed = dict(line.split()[::-1] for line in (ASSETS / "SHA256SUMS").read_text().splitlines())
    there = {
        str(path.relative_to(ASSETS)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in ASSETS.rglob("*")
        if path.is_file() and path.name not in PAPERS
    }
    assert there == listed, "flexavatar/assets/README.md says how to list them anew"


def test_each_folder_has_its_licence_and_each_file_its_row() -> None:
    readme = (ASSETS / "README.md").read_text()
    for line in (ASSETS / "SHA256SUMS").read_text().splitlines():
        name = line.split()[1]
        folder = name.split("/")[0]
        (row,) = (row for row in readme.splitlines() if row.startswith(f"| `{name}` |"))
        assert f"({folder}/LICENSE)" in row
        assert (ASSETS / folder / "LICENSE").is_file()
