"""Which device draws: a GPU only where it has drawn, and agrees with the CPU.

`python -m flexavatar.render.device` says which one `auto` is. Where gsplat's kernels are still to
be compiled it does so: minutes, which no frame should wait.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flexavatar.errors import InputError
from flexavatar.render.rasterize import rasterize_rgba8
from flexavatar.types import Camera, Gaussians, to_device

logger = logging.getLogger(__name__)

SIDE = 32
DIFFERENCE = 3
"""Grey levels by which a GPU's picture may differ: what gsplat's formulas differ by, at most."""


@dataclass(frozen=True)
class DeviceChoice:
    """Where frames are drawn."""

    name: str
    """cpu, cuda, cuda:0 ..."""
    reason: str = ""
    """Why no GPU draws although one was looked for, in one line."""


class CannotDrawError(Exception):
    """Why a GPU does not draw, in one line."""


def choose_device(name: str) -> DeviceChoice:
    """The device of this name; `auto` is a GPU if it draws, else the CPU.

    Raises InputError for a device that is not there or does not draw.
    """
    if name == "auto":
        try:
            check_gpu("cuda")
        except CannotDrawError as error:
            return DeviceChoice("cpu", str(error))
        return DeviceChoice("cuda")
    if _existing(name).type == "cuda":
        try:
            check_gpu(name)
        except CannotDrawError as error:
            raise InputError(f"device: {name} cannot draw: {error}") from None
    return DeviceChoice(name)


def _existing(name: str) -> torch.device:
    """A device that is there. Raises InputError."""
    gpus = torch.cuda.device_count()
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type != "cpu" and not (device.type == "cuda" and (device.index or 0) < gpus):
        found = "".join(f", cuda:{i}" for i in range(gpus))
        raise InputError(f"device: expected auto, cpu{found}, got {name!r}")
    return device


def check_gpu(name: str) -> None:
    """Draw on a GPU what the CPU draws too. Raises CannotDrawError."""
    if not torch.cuda.is_available():
        build = "" if torch.version.cuda else ": this is its build for CPUs"
        raise CannotDrawError(f"PyTorch finds no NVIDIA GPU{build}")
    _find_build_tools()
    try:
        _check_kernels()
        drawn, expected = (_trial_picture(device) for device in (name, "cpu"))
    except CannotDrawError:
        raise
    except Exception as error:  # gsplat, its compiler and CUDA raise all kinds
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CannotDrawError(f"gsplat cannot draw here: {said:.300}") from error
    error = int(np.abs(drawn.astype(int) - expected).max())
    if error > DIFFERENCE:
        raise CannotDrawError(f"its picture is wrong, by {error} of 255 grey levels")


def _find_build_tools() -> None:
    """Ninja lies beside Python, which is not on the PATH unless the environment is active."""
    beside = str(Path(sys.executable).parent)
    if beside not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join((beside, os.environ.get("PATH", "")))


def _check_kernels() -> None:
    """Load gsplat's kernels, or compile them. Raises CannotDrawError where that cannot be."""
    logger.info("looking for gsplat's kernels; to compile them takes some minutes, once")
    from gsplat.cuda import _backend  # compiles as it is imported

    if _backend._C is None:
        raise CannotDrawError("gsplat's kernels are not compiled, and there is no nvcc to do so")


def _trial_picture(device: str) -> np.ndarray:
    """Three overlapping splats: [SIDE, SIDE, 4] uint8."""
    quats = torch.tensor([[1.0, 0, 0, 0], [0.9, 0.1, 0.3, 0], [0.5, 0.5, 0.5, 0.5]])
    splats = Gaussians(
        torch.tensor([[0.0, 0, 0], [0.02, 0.03, 0.1], [-0.05, 0, -0.1]]),
        torch.nn.functional.normalize(quats, dim=-1),
        torch.tensor([[0.05, 0.02, 0.03], [0.04, 0.01, 0.06], [0.02, 0.02, 0.02]]),
        torch.tensor([0.9, 0.6, 0.8]),
        torch.tensor([[[1.0, 0, -1]], [[0.0, 1, 0]], [[-1.0, 0.5, 1]]]),
    )
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 1.0
    K = torch.tensor([[100.0, 0, SIDE / 2], [0, 100, SIDE / 2], [0, 0, 1]])
    with torch.inference_mode():
        return rasterize_rgba8(to_device(splats, device), Camera(viewmat, K, SIDE, SIDE))


if __name__ == "__main__":
    choice = choose_device("auto")
    print(f"frames are drawn on {choice.name}" + (choice.reason and f": {choice.reason}"))
