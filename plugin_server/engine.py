"""The interface between service and model; everything that computes is behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flexavatar.drive.signal import Signal
from flexavatar.progress import Progress
from flexavatar.types import Camera, FlameCodes, Gaussians

Show = Callable[[Any], None]
"""Called with an avatar."""


@dataclass(frozen=True)
class Recipe:
    """Settings of one creation."""

    quick: bool = False
    model: str = ""
    """One of `Engine.models`; "" is the engine's choice."""


class Puppet(Protocol):
    """One avatar, or two that one share blends, ready to be driven by one thread."""

    @property
    def count(self) -> int:
        """Gaussians of every instant."""
        ...

    @property
    def morphs(self) -> bool:
        """Whether there are two."""
        ...

    @property
    def camera(self) -> Camera:
        """The first avatar's own view."""
        ...

    @property
    def rest(self) -> FlameCodes:
        """Its codes before anybody drives it."""
        ...

    def animate(self, signal: Signal) -> Gaussians:
        """One instant; valid until the next call. What the signal says nothing of is at rest."""
        ...


class Engine(Protocol):
    """Makes, keeps and draws avatars. The service passes avatars on without a look inside."""

    @property
    def device(self) -> str:
        """Where frames are drawn."""
        ...

    @property
    def device_reason(self) -> str:
        """Why no GPU draws although one was looked for; empty if one does."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """Names of the models that it can make avatars with."""
        ...

    def create(
        self, photos: Sequence[bytes], recipe: Recipe, progress: Progress, show: Show
    ) -> tuple[Any, Mapping[str, float]]:
        """Photos and videos of one person -> avatar, and how good it came out.

        An avatar that has `warnings` says what of it will look wrong, in words. `show` is given a
        preview of it as soon as there is one. An exception of `progress` or `show` must come
        through.
        """
        ...

    def prepare(self) -> None:
        """Have at hand what the next creation takes, unless it is. Returns at once."""
        ...

    def close(self) -> None:
        """Let go of what is at hand."""
        ...

    def interpolate(self, a: Any, b: Any, share: float) -> Any:
        """The avatar that is `share` of `b` and the rest of `a`. Raises InputError, AssetError."""
        ...

    def model(self, avatar: Any) -> str:
        """Name of the model that made it."""
        ...

    def count(self, avatar: Any) -> int:
        """Its number of Gaussians."""
        ...

    def save(self, avatar: Any, folder: Path) -> None:
        """Write it into an empty folder."""
        ...

    def load(self, folder: Path) -> Any:
        """Read it back. Raises AssetError."""
        ...

    def puppet(self, avatar: Any, other: Any | None = None) -> Puppet:
        """Make it ready to be driven, and to become the other. Raises InputError, AssetError."""
        ...

    @property
    def batch(self) -> int:
        """How many instants are made in about the time of one: 1 where nothing is saved."""
        ...

    def animate_many(self, instants: Sequence[tuple[Puppet, Signal]]) -> Sequence[Gaussians]:
        """One instant of each of several puppets, at most `batch`; they stay valid."""
        ...

    def rgba8_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        """Draw premultiplied bytes into `out` [H, W, 4], some milliseconds before each yield."""
        ...

    def depth_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        """The same for depth, float32 [H, W]: metres, 0 where empty."""
        ...

    def message_bytes(self, size: int) -> np.ndarray:
        """Room for a message, uint8 [size], that is quickly drawn into."""
        ...
