"""Compiles the native library. Imports only the standard library, so that setup.py can load it.

The file name holds a hash of the sources, the flags and the processor: a library built from other
sources, or for another machine, is never loaded.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parent
SOURCES = PACKAGE / "native"

FLAGS = (
    "-O3",
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-pthread",
    # The parts of -ffast-math that are harmless. The whole would also link code that turns
    # denormals off for the entire process.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-Wno-psabi",
)
TARGETS = (("-march=native",), ("-march=x86-64-v3",), ())
"""Tried in this order: this processor, any recent x86, whatever the compiler takes."""


class BuildError(RuntimeError):
    """There is no compiler, or it refused the sources."""


def processor() -> str:
    """Features of the processor, as -march=native sees them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(
        sorted({line for line in lines if line.lower().startswith(("flags", "features"))})
    )


def library_name() -> str:
    """The library's file name for these sources on this machine."""
    digest = hashlib.sha256(f"{FLAGS}{platform.machine()}{processor()}".encode())
    for source in sorted(SOURCES.glob("*.[ch]*")):
        digest.update(source.read_bytes())
    return f"_native_{digest.hexdigest()[:16]}.so"


def compiler() -> str:
    """The C++ compiler: $CXX, else g++, else c++. Raises BuildError if there is none."""
    for name in (os.environ.get("CXX"), "g++", "c++"):
        if name and (path := shutil.which(name)):
            return path
    raise BuildError("no C++ compiler: install g++ or set CXX")


def compile_to(output: Path) -> None:
    """Compile for the best target that works; the file appears whole or not at all.

    It ends with a checksum of itself, which whoever loads it does not see.
    """
    sources = sorted(str(path) for path in SOURCES.glob("*.cpp"))
    messages = ""
    for target in TARGETS:
        with tempfile.NamedTemporaryFile(dir=output.parent, suffix=".tmp", delete=False) as file:
            partial = Path(file.name)
        command = [compiler(), *FLAGS, *target, *sources, "-o", str(partial)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            messages = result.stderr
            if result.returncode == 0:
                with partial.open("ab") as file:
                    file.write(hashlib.sha256(partial.read_bytes()).digest())
                partial.chmod(0o755)
                partial.replace(output)
                return
        finally:
            partial.unlink(missing_ok=True)
    raise BuildError(f"{compiler()} failed:\n{messages[-4000:]}")


def is_whole(library: Path) -> bool:
    """Whether a file is what `compile_to` wrote: loading half a library would end the process."""
    try:
        data = library.read_bytes()
    except OSError:
        return False
    size = hashlib.sha256().digest_size
    return hashlib.sha256(data[:-size]).digest() == data[-size:]


def build(folder: Path) -> Path:
    """Compile into `folder`, which need not exist. Raises BuildError or OSError."""
    compiler()
    folder.mkdir(parents=True, exist_ok=True)
    compile_to(folder / library_name())
    return folder / library_name()
