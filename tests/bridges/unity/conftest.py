"""What the tests of the Unity package share: its assemblies, compiled once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.bridges import dotnet
from tests.bridges.dotnet import Assembly, sources

UNITY = dotnet.ROOT / "unity_bridge"
HERE = Path(__file__).parent
NUNIT = str(dotnet.ROSLYN / "nunit.framework.dll")
RUN_S = 60

RunChecks = Callable[..., str]


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The package against stand-ins for the engine, its own tests, and the program of ours."""
    folder = tmp_path_factory.mktemp("unity")
    runtime = UNITY / "Runtime"
    glue = ("FlexAvatar.Core", "FlexAvatar", "UnityEngine")
    engine = [f for f in sources(HERE / "standins") if not f.endswith("Editor.cs")]
    compiled = dotnet.compile_all(
        [
            Assembly("FlexAvatar.Core", sources(runtime / "Core")),
            Assembly("UnityEngine", engine),
            Assembly("UnityEditor", [str(HERE / "standins" / "Editor.cs")], ("UnityEngine",)),
            Assembly("FlexAvatar", sources(runtime), ("FlexAvatar.Core", "UnityEngine")),
            Assembly("FlexAvatar.ARFoundation", sources(runtime / "ARFoundation"), glue),
            Assembly("FlexAvatar.Editor", sources(UNITY / "Editor"), (*glue, "UnityEditor")),
            Assembly("FlexAvatar.Samples", sources(*(UNITY / "Samples~").iterdir()), glue),
            Assembly(
                "FlexAvatar.Tests", sources(UNITY / "Tests" / "Editor"), ("FlexAvatar.Core", NUNIT)
            ),
            Assembly(
                "Checks",
                sources(HERE / "checks"),
                (*glue, "FlexAvatar.Editor", "UnityEditor", NUNIT),
                runs=True,
            ),
        ],
        folder,
    )
    (folder / "nunit.framework.dll").write_bytes(Path(NUNIT).read_bytes())
    return compiled


def checks_command(assemblies: Mapping[str, Path], *arguments: object) -> Sequence[str]:
    """How to run a part of the tests' program."""
    return [str(dotnet.DOTNET), str(assemblies["Checks"]), *map(str, arguments)]


@pytest.fixture(scope="session")
def run_checks(assemblies: Mapping[str, Path]) -> RunChecks:
    """Run a part of the tests' program: what it prints last, or all of it."""

    def run(*arguments: object, whole: bool = False) -> str:
        result = subprocess.run(
            checks_command(assemblies, *arguments),
            env=dotnet.environment(),
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )
        assert result.returncode == 0, f"{arguments}:\n{result.stdout}{result.stderr}"
        printed = result.stdout.strip()
        return printed if whole else printed.rpartition("\n")[2]

    return run
