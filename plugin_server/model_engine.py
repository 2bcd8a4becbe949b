"""The engine of a real server: flexavatar itself."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from flexavatar.avatar.avatar import Animator, AnyAvatar, animator_of, load_avatar, save_avatar
from flexavatar.avatar.bias_sink_avatar import BiasSinkMorpher
from flexavatar.avatar.crowd import Crowd, stack_codes
from flexavatar.avatar.interpolate import interpolate
from flexavatar.avatar.morph import Morpher, make_morpher
from flexavatar.create.create import MODELS
from flexavatar.drive.signal import Signal, flame_codes
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.open_head import load_open_head, open_head_on
from flexavatar.progress import Progress
from flexavatar.render.device import choose_device
from flexavatar.render.rasterize import depth_strips, rgba8_strips
from flexavatar.types import Camera, FlameCodes, Gaussians, to_device
from plugin_server.create_process import PREVIEW, CreationProcesses
from plugin_server.engine import Puppet, Recipe, Show

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 64
"""Avatars of a crowd."""


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

    @property
    def animator(self) -> Animator | None:
        """What moves it, if that can be moved with others."""
        return self._head if isinstance(self._head, Animator) else None

    def codes(self, signal: Signal) -> FlameCodes:
        """What a signal asks for, on the CPU."""
        return flame_codes(signal, self._basis, self.rest)

    @torch.inference_mode()
    def animate(self, signal: Signal) -> Gaussians:
        """One instant; valid until the next call."""
        codes = self.codes(signal).on(self._device)
        if isinstance(self._head, Morpher | BiasSinkMorpher):
            return self._head.animate(codes, signal.morph or 0.0)
        return self._head.animate(codes)


class Crowds:
    """Puppets that are moved as one, kept for as long as it is the same ones that are asked for."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._kept: dict[object, tuple[list[weakref.ref[ModelPuppet]], Crowd]] = {}

    def animate(self, instants: Sequence[tuple[Puppet, Signal]]) -> list[Gaussians]:
        """One instant each; who has no like is moved alone."""
        alike: dict[object, dict[ModelPuppet, int]] = {}
        for place, (puppet, _) in enumerate(instants):
            if isinstance(puppet, ModelPuppet) and (animator := puppet.animator) is not None:
                alike.setdefault(animator.network_name, {}).setdefault(puppet, place)
        made: dict[int, Gaussians] = {}
        for name, places in alike.items():
            if len(places) > 1:
                wanted = {puppet: instants[place][1] for puppet, place in places.items()}
                moved = self._animate_alike(name, wanted)
                made |= {places[puppet]: gaussians for puppet, gaussians in moved.items()}
        rest = [i for i in range(len(instants)) if i not in made]
        for place in rest:  # its buffers are the next one's, too
            puppet, signal = instants[place]
            own = puppet.animate(signal)
            made[place] = Gaussians(*(x.clone() for x in vars(own).values()))
        return [made[place] for place in range(len(instants))]

    def _animate_alike(
        self, name: object, wanted: Mapping[ModelPuppet, Signal]
    ) -> dict[ModelPuppet, Gaussians]:
        """Puppets of one network. Others of the crowd move along, which costs no kernel more."""
        members, crowd = self._crowd(name, [*wanted])
        usual = next(iter(wanted))
        codes = [p.codes(wanted[p]) if p in wanted else usual.rest for p in members]
        moved = crowd.animate(stack_codes(codes).on(self._device))
        return {p: own for p, own in zip(members, moved, strict=True) if p in wanted}

    def _crowd(
        self, name: object, wanted: Sequence[ModelPuppet]
    ) -> tuple[Sequence[ModelPuppet], Crowd]:
        """The crowd that was made last if it has all of them and nobody is gone, else a new one."""
        references, crowd = self._kept.get(name, ([], None))
        known = [puppet for reference in references if (puppet := reference()) is not None]
        if crowd is None or len(known) < len(references) or {*wanted} - {*known}:
            known = [*wanted, *(p for p in known if p not in wanted)][:MOST_AT_ONCE]
            animators = [p.animator for p in known if p.animator is not None]
            crowd = Crowd(animators, open_head_on(self._device))
            self._kept[name] = [weakref.ref(p) for p in known], crowd
        return known, crowd


class ModelEngine:
    """Creates by fitting, draws with the renderer of its device."""

    models = MODELS

    def __init__(self, device: str = "auto") -> None:
        """Raises InputError for a device that is not there or does not draw."""
        choice = choose_device(device)
        self._processes = CreationProcesses()
        self.device, self.device_reason = choice.name, choice.reason
        self._crowds = Crowds(self.device)
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
        """Have a process ready that has loaded what creations take."""
        self._processes.make_one_ready()

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

    @property
    def batch(self) -> int:
        """On the CPU every instant has all cores already."""
        return 1 if self.device == "cpu" else MOST_AT_ONCE

    @torch.inference_mode()
    def animate_many(self, instants: Sequence[tuple[Puppet, Signal]]) -> Sequence[Gaussians]:
        """One instant of each of several puppets, as few crowds as they can be."""
        return self._crowds.animate(instants)

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
