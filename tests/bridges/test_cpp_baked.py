"""Baked avatars in the Unreal plugin's core: golden set and damaged files, under sanitisers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bridges.conftest import Build
from tests.bridges.test_cpp_core import run
from tests.make_golden import GOLDEN
from tests.test_baked import damaged_files, rewritten

FUZZED = 400


@pytest.fixture(scope="module")
def baked(program: Build) -> Path:
    """`baked_test` under ASan and UBSan."""
    return program("baked_test", "sanitized")


def test_cpp_agrees_with_the_golden_set(baked: Path) -> None:
    answer = run(baked, "golden", GOLDEN / "baked.glb", GOLDEN / "baked.poses").split()
    *differences, steps = map(float, answer)
    assert len(differences) == 5
    assert max(differences) < 1e-5
    assert steps <= 1


def test_damaged_files_are_refused(baked: Path, tmp_path: Path) -> None:
    data = (GOLDEN / "baked.glb").read_bytes()
    spoilt = [rewritten(data, change) for change in damaged_files().values()]
    files = []
    for number, content in enumerate([*spoilt, data[: len(data) // 2], data[:27], b""]):
        files.append(tmp_path / f"{number}.glb")
        files[-1].write_bytes(content)
    run(baked, "refuse", *files)


def test_fuzzed_files_are_posed_or_refused(baked: Path) -> None:
    refused = int(run(baked, "fuzz", GOLDEN / "baked.glb", FUZZED))
    assert FUZZED / 5 < refused < FUZZED
