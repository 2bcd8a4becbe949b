"""Packages of npm that tests use: fetched once, pinned by hash, unpacked and never installed."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "build" / "bridge-tools"
WEB_TOOLS = TOOLS / "web"
WEB_PACKAGES = {
    "spark": (
        "@sparkjsdev/spark@2.2.0",
        "c66fce63e112d9b099da87b70b36db45b822436bcf1f4b68c62f669627475231",
    ),
    "three": (
        "three@0.187.0",
        "ff540832ded0cfe919764d24a3d88f3e2a05f23303f876423e4f893841e90728",
    ),
}


def fetch_package(package: str, sha256: str, folder: Path) -> None:
    """Put a package's files into a folder. Raises CalledProcessError, ValueError."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=TOOLS, check=True, capture_output=True
    )
    archive = TOOLS / packed.stdout.decode().split()[-1]
    try:
        got = hashlib.sha256(archive.read_bytes()).hexdigest()
        if got != sha256:
            raise ValueError(f"{package}: expected sha256 {sha256}, got {got}")
        with tarfile.open(archive) as files:
            unpacked = folder.with_name(f"{folder.name}.part")
            files.extractall(unpacked, filter="data")
            (unpacked / "package").rename(folder)
            unpacked.rmdir()
    finally:
        archive.unlink()


def web_available() -> bool:
    """Whether Spark and three.js have been fetched."""
    return all((WEB_TOOLS / name).exists() for name in WEB_PACKAGES)


def fetch_web() -> None:
    """Fetch what is missing of them."""
    WEB_TOOLS.mkdir(parents=True, exist_ok=True)
    for name, (package, sha256) in WEB_PACKAGES.items():
        if not (WEB_TOOLS / name).exists():
            fetch_package(package, sha256, WEB_TOOLS / name)
