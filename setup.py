"""Compiles the native renderer at install. Everything else is in pyproject.toml.

Without a compiler the install goes on: the package then draws with a slower path, and compiles at
first use if a compiler has come meanwhile.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

RENDER = Path("flexavatar", "render")


def load_builder() -> ModuleType:
    """flexavatar/render/build.py by its path: importing the package would need torch."""
    spec = importlib.util.spec_from_file_location("flexavatar_build", RENDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BuildWithNative(build_py):
    """Copies the package as usual, then compiles the library beside its sources."""

    def run(self) -> None:
        super().run()
        builder = load_builder()
        folder = RENDER if self.editable_mode else Path(self.build_lib) / RENDER
        try:
            print("compiled", builder.build(folder.resolve()))
        except (builder.BuildError, OSError) as error:
            print(f"warning: the native renderer was not compiled: {error}", file=sys.stderr)


class PlatformDistribution(Distribution):
    """Its wheel holds machine code, so it is for one platform."""

    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": BuildWithNative}, distclass=PlatformDistribution)
