"""The engine that the server runs on: flexavatar itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from flexavatar.avatar import Animator, Avatar, load_avatar, save_avatar
from flexavatar.capture.sources import read_portraits
from flexavatar.create import READING_SHARE, CreateConfig, avatar_of
from flexavatar.errors import InputError
from flexavatar.evaluation.metrics import input_psnr_db
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.open_head import load_open_head
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.types import Camera, FlameCodes, Gaussians, to_device
from plugin_server.engine import Progress


class ModelPuppet:
    """An avatar on the open head, driven on one device."""

    def __init__(self, avatar: Avatar, device: str) -> None:
        head = load_open_head()
        self._basis = load_arkit_basis(head)  # stays on the CPU: 52 numbers are quicker there
        self._animator = Animator(to_device(avatar, device), to_device(head, device))
        self._device = device
        self.camera = avatar.camera
        self.rest = avatar.codes

    def from_arkit(self, weights: Mapping[str, float]) -> FlameCodes:
        """ARKit's 52 by name. Raises DriveError."""
        return arkit_to_flame(weights, self._basis)

    @torch.inference_mode()
    def animate(self, codes: FlameCodes) -> Gaussians:
        """One instant; valid until the next call."""
        return self._animator.animate(to_device(codes, self._device))


class ModelEngine:
    """Creates by fitting, draws with the renderer of its device."""

    def __init__(self, device: str = "auto") -> None:
        """Raises InputError for a device that is not there."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = _checked_device(device)

    def create(
        self, photos: Sequence[bytes], quick: bool, progress: Progress
    ) -> tuple[Avatar, Mapping[str, float]]:
        """Files -> avatar, and how close it comes to its best picture, of how many.

        Raises ImageError, FaceError, InputError.
        """
        portraits = read_portraits(photos, lambda w, share: progress(w, READING_SHARE * share))
        avatar = avatar_of(portraits, CreateConfig(quick=quick), progress)
        likeness = input_psnr_db(avatar, portraits[0])
        return avatar, {"input_psnr_db": likeness, "pictures": len(portraits)}

    def count(self, avatar: Avatar) -> int:
        """Its number of Gaussians."""
        return len(avatar)

    def save(self, avatar: Avatar, folder: Path) -> None:
        """Write it into an empty folder."""
        save_avatar(avatar, folder)

    def load(self, folder: Path) -> Avatar:
        """Read it back. Raises AssetError."""
        return load_avatar(folder)

    def puppet(self, avatar: Avatar) -> ModelPuppet:
        """Make it ready to be driven."""
        return ModelPuppet(avatar, self.device)

    @torch.inference_mode()
    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        """Premultiplied bytes into `out` [H, W, 4]."""
        rasterize_rgba8(gaussians, camera, out)

    @torch.inference_mode()
    def draw_depth(self, gaussians: Gaussians, camera: Camera) -> np.ndarray:
        """[H, W] float32 metres, 0 where empty."""
        moved = to_device(camera, gaussians.means.device)
        return rasterize(gaussians, moved).depth.cpu().numpy()


def _checked_device(name: str) -> str:
    """The name, if a renderer can draw there. Raises InputError."""
    gpus = torch.cuda.device_count()
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type != "cpu" and not (device.type == "cuda" and (device.index or 0) < gpus):
        found = "".join(f", cuda:{i}" for i in range(gpus))
        raise InputError(f"device: expected auto, cpu{found}, got {name!r}")
    return name
