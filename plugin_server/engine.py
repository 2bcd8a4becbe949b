"""What the service asks of the model; everything that computes is behind this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flexavatar.types import Camera, FlameCodes, Gaussians

Progress = Callable[[str, float], None]


class Puppet(Protocol):
    """One avatar, ready to be driven by one thread."""

    @property
    def camera(self) -> Camera:
        """The avatar's own view."""
        ...

    @property
    def rest(self) -> FlameCodes:
        """How it looks before anybody drives it."""
        ...

    def from_arkit(self, weights: Mapping[str, float]) -> FlameCodes:
        """ARKit's 52 by name. Raises DriveError. Any thread may call it."""
        ...

    def animate(self, codes: FlameCodes) -> Gaussians:
        """One instant; valid until the next call."""
        ...


class Engine(Protocol):
    """Makes, keeps and draws avatars. An avatar is its own business: the service only passes it."""

    @property
    def device(self) -> str:
        """Where frames are drawn."""
        ...

    def create(
        self, photos: Sequence[bytes], quick: bool, progress: Progress
    ) -> tuple[Any, Mapping[str, float]]:
        """Photos and videos of one person -> avatar, and how good it came out.

        An exception of `progress` must come through.
        """
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

    def puppet(self, avatar: Any) -> Puppet:
        """Make it ready to be driven."""
        ...

    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        """Premultiplied bytes into `out` [H, W, 4]."""
        ...

    def draw_depth(self, gaussians: Gaussians, camera: Camera) -> np.ndarray:
        """[H, W] float32 metres, 0 where empty."""
        ...
