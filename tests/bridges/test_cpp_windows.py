"""The Unreal plugin's core as Windows programs: built with MinGW, run by Wine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin_server.server import running_server
from tests.bridges.conftest import Build
from tests.bridges.test_cpp_live import port_of, started
from tests.service import TinyEngine, local_config

WINE = Path("/usr/lib/wine")  # Debian's wine64 has no command of its own
RUN_S = 120

pytestmark = [
    pytest.mark.skipif(
        shutil.which("x86_64-w64-mingw32-g++-posix") is None, reason="needs g++-mingw-w64"
    ),
    pytest.mark.skipif(not (WINE / "wine64").exists(), reason="needs wine64"),
]


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Windows of its own, gone after the tests."""
    own = {"WINEPREFIX": str(tmp_path_factory.mktemp("wine")), "WINEDEBUG": "-all"}
    yield own
    command = [WINE / "wineserver64", "-k", "-w"]
    subprocess.run(command, env={**os.environ, **own}, timeout=RUN_S, check=False)


def test_parts(program: Build, wine: dict[str, str]) -> None:
    command = [str(WINE / "wine64"), str(program("core_test", "windows")), "parts"]
    done = subprocess.run(
        command, env={**os.environ, **wine}, capture_output=True, text=True, timeout=RUN_S
    )
    assert done.returncode == 0, done.stderr


def test_create_drive_and_300_frames_without_a_gap(
    program: Build, wine: dict[str, str], tmp_path: Path
) -> None:
    """Winsock against a live server."""
    path = program("live_client", "windows")
    with running_server(local_config(tmp_path), TinyEngine(count=2000)) as server:
        port = port_of(server.http_address)
        command = [str(WINE / "wine64"), str(path), str(port), "ada", "cpds", "300"]
        with started(command, **wine) as running:
            found = running.result()
    assert found["pictures"] >= 300
    assert found["splats"] >= 300
    for nothing in ("missed", "incomplete", "refused", "wrong_pixels", "disconnects"):
        assert found[nothing] == 0, nothing
