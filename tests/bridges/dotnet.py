"""Real .NET 8 with Roslyn and NUnit for the tests of C#: fetched once, pinned by hash.

`python -m tests.bridges.fetch` fetches into build/bridge-tools; tests skip where it is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.bridges.npm import TOOLS, fetch_package

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON_TOOLS = TOOLS / "dotnet"
DOTNET = PYTHON_TOOLS / "dnv" / "net" / "runtime" / ".net" / "dotnet"
ROSLYN_PACKAGE = "@autorest/csharp@3.0.0-beta.20251203.1"
"""An npm package that carries Roslyn 4.1's and NUnit's assemblies."""
ROSLYN_SHA256 = "d080d8f02bde85d4fda72758dc8072b5187e246319ba65c5c6eea518ff4621fc"
ROSLYN = TOOLS / "roslyn"
RUNTIME_CONFIG = {
    "runtimeOptions": {
        "tfm": "net8.0",
        "framework": {"name": "Microsoft.NETCore.App", "version": "8.0.0"},
        "configProperties": {"System.Globalization.Invariant": True},
    }
}
COMPILE_S = 120


@dataclass(frozen=True)
class Assembly:
    """One thing to compile, after what it refers to."""

    name: str
    sources: Sequence[str]  # files
    references: Sequence[str] = ()  # names of other assemblies, or paths
    defines: Sequence[str] = ()
    runs: bool = False


def available() -> bool:
    """Whether the tools have been fetched."""
    return all(p.exists() for p in (DOTNET, PYTHON_TOOLS / "wgpu", ROSLYN / "nunit.framework.dll"))


needs_dotnet = pytest.mark.skipif(
    not available(), reason="needs .NET and Roslyn: run `make test-bridges`, which fetches them"
)


def fetch() -> None:
    """Fetch what is missing, by pip and npm. Raises CalledProcessError, ValueError."""
    if available():
        return
    TOOLS.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    wanted = ["--no-deps", "--require-hashes", "-r", str(HERE / "tools-requirements.txt")]
    subprocess.run([*pip, "--upgrade", "--target", str(PYTHON_TOOLS), *wanted], check=True)
    DOTNET.chmod(0o755)
    if not ROSLYN.exists():
        fetch_package(ROSLYN_PACKAGE, ROSLYN_SHA256, ROSLYN)


def environment(**more: str) -> dict[str, str]:
    """What a .NET process needs around it; quiet, and without a mark on the machine."""
    return {
        **os.environ,
        "DOTNET_ROOT": str(DOTNET.parent),
        "DOTNET_EnableDiagnostics": "0",
        "DOTNET_TieredPGO": "0",
        **more,
    }


def compile_all(assemblies: Sequence[Assembly], folder: Path) -> Mapping[str, Path]:
    """Compile to assemblies in `folder`, at Unity's C# 9, warnings as errors: name -> file."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "roslyn": str(ROSLYN),
        "framework": str(next((DOTNET.parent / "shared" / "Microsoft.NETCore.App").iterdir())),
        "folder": str(folder),
        "assemblies": [asdict(a) for a in assemblies],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "compiler.runtimeconfig.json").write_text(json.dumps(RUNTIME_CONFIG))
    result = subprocess.run(
        [sys.executable, str(HERE / "roslyn.py"), str(folder / "plan.json")],
        env=environment(PYTHONPATH=str(PYTHON_TOOLS)),
        capture_output=True,
        text=True,
        timeout=COMPILE_S,
    )
    assert result.returncode == 0, f"C# does not compile:\n{result.stdout}{result.stderr}"
    for assembly in assemblies:
        if assembly.runs:
            config = folder / f"{assembly.name}.runtimeconfig.json"
            config.write_text(json.dumps(RUNTIME_CONFIG))
    return {a.name: folder / f"{a.name}.dll" for a in assemblies}


def sources(*folders: Path) -> list[str]:
    """Every C# file in these folders, without their subfolders'."""
    return sorted(str(file) for folder in folders for file in folder.glob("*.cs"))
