"""The engine of a real server: flexavatar itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from flexavatar.avatar.avatar import AnyAvatar, animator_of, load_avatar, save_avatar
from flexavatar.avatar.bias_sink_avatar import BiasSinkMorpher
from flexavatar.avatar.interpolate import interpolate
from flexavatar.avatar.morph import Morpher, make_morpher
from flexavatar.create.create import MODELS
from flexavatar.drive.signal import Signal, flame_codes
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.open_head import load_open_head, open_head_on
from flexavatar.progress import Progress
from flexavatar.render.device import choose_device
from flexavatar.render.rasterize import depth_strips, rgba8_strips
from flexavatar.types import Camera, Gaussians, to_device
from plugin_server.create_process import PREVIEW, CreationProcesses
from plugin_server.engine import Recipe, Show

logger = logging.getLogger(__name__)


class ModelPuppet:
    """An avatar on the open head, or two, driven on one device."""

    def __init__(self, avatar: AnyAvatar, other: AnyAvatar | None, device: str) -> None:
        self._basis = load_arkit_basis(load_open_head())  # 52 numbers are quicker on the CPU
        self._device = device
        if other is None:
            self._head = animator_of(to_device(avatar, device), open_head_on(device))
            self.count = len(avatar)
        else:
            self._head = make_morpher(avatar, other, device)
            self.count = len(self._head)
        self.morphs = other is not None
        self.camera = avatar.camera
        self.rest = avatar.codes

    @torch.inference_mode()
    def animate(self, signal: Signal) -> Gaussians:
        """One instant; valid until the next call."""
        codes = flame_codes(signal, self._basis, self.rest).on(self._device)
        if isinstance(self._head, Morpher | BiasSinkMorpher):
            return self._head.animate(codes, signal.morph or 0.0)
        return self._head.animate(codes)


class ModelEngine:
    """Creates by fitting, draws with the renderer of its device."""

    models = MODELS

    def __init__(self, device: str = "auto") -> None:
        """Raises InputError for a device that is not there or does not draw."""
        choice = choose_device(device)
        self._processes = CreationProcesses()
        self.device, self.device_reason = choice.name, choice.reason
        about = choice.reason and f": {choice.reason}"
        logger.info("frames are drawn on %s%s", choice.name, about)

    def create(
        self, photos: Sequence[bytes], recipe: Recipe, progress: Progress, show: Show
    ) -> tuple[AnyAvatar, Mapping[str, float]]:
        """Files -> avatar, and how close it comes to its best picture, of how many.

        Made in another process. Raises ImageError, FaceError, InputError, CreationCrashError.
        """
        with TemporaryDirectory(prefix="flexavatar-") as path:
            folder = Path(path)
            load_and_show = lambda: show(self.load(folder / PREVIEW))  # noqa: E731
            with self._processes.one() as process:
                metrics = process.create(photos, recipe, folder, progress, load_and_show)
            return self.load(folder), metrics

    def prepare(self) -> None:
        """Keep a process ready that has loaded what creations take."""
        self._processes.keep_one_ready()

    def close(self) -> None:
        """End that process."""
        self._processes.close()

    def interpolate(self, a: AnyAvatar, b: AnyAvatar, share: float) -> AnyAvatar:
        """Between the two. Raises InputError, AssetError."""
        return interpolate(a, b, share)

    def model(self, avatar: AnyAvatar) -> str:
        """Name of the model that made it."""
        return avatar.model

    def count(self, avatar: AnyAvatar) -> int:
        """Its number of Gaussians."""
        return len(avatar)

    def save(self, avatar: AnyAvatar, folder: Path) -> None:
        """Write it into an empty folder."""
        save_avatar(avatar, folder)

    def load(self, folder: Path) -> AnyAvatar:
        """Read it back. Raises AssetError."""
        return load_avatar(folder)

    def puppet(self, avatar: AnyAvatar, other: AnyAvatar | None = None) -> ModelPuppet:
        """Make it ready to be driven. Raises InputError, AssetError."""
        return ModelPuppet(avatar, other, self.device)

    @torch.inference_mode()
    def rgba8_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        """Draw premultiplied bytes into `out` [H, W, 4], some milliseconds before each yield."""
        yield from rgba8_strips(gaussians, camera, out)

    @torch.inference_mode()
    def depth_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        """The same for depth, float32 [H, W]: metres, 0 where empty."""
        yield from depth_strips(gaussians, camera, out)

    def message_bytes(self, size: int) -> np.ndarray:
        """Room for a message, uint8 [size]: page-locked where a GPU copies into it."""
        return torch.empty(size, dtype=torch.uint8, pin_memory=self.device != "cpu").numpy()
