"""What the engines' tests share: programs built once, in build/bridges."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bridges" / "cpp"
CPP = ROOT / "unreal_bridge" / "Tests"
BUILD_S = 600
Build = Callable[..., Path]


def make(*arguments: str) -> None:
    """Run the plugin's Makefile; what the compiler says is the failure."""
    if shutil.which("g++") is None or shutil.which("make") is None:
        pytest.skip("needs g++ and make")
    command = ["make", "-s", "-C", str(CPP), f"BUILD={BUILD}", *arguments]
    environment = {**os.environ, "MAKEFLAGS": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, env=environment)
    assert done.returncode == 0, done.stderr


VARIANTS = {"": [], "sanitized": ["SANITIZE=1"], "windows": ["WINDOWS=1"]}


@pytest.fixture(scope="session")
def program() -> Build:
    """Builds a C++ program by its name, as one of VARIANTS; gives its path."""

    def build(name: str, variant: str = "") -> Path:
        path = BUILD / variant / (f"{name}.exe" if variant == "windows" else name)
        make(*VARIANTS[variant], str(path))
        return path

    return build
