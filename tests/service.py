"""What the service's tests share: a tiny seeded engine, a real server on port 0, bounded waits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flexavatar.drive.signal import Signal, flame_codes
from flexavatar.errors import AssetError, ImageError, SessionNotFoundError
from flexavatar.head.arkit import analytic_basis
from flexavatar.progress import Progress
from flexavatar.types import Camera, FlameCodes, Gaussians
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader, Received
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from plugin_server.engine import Puppet, Recipe, Show
from plugin_server.server import ServerAddresses, running_server

PATIENCE_S = 20.0
"""No wait of a test is longer; they end as soon as their condition holds."""
CORRECTIVES = 4
BASIS = analytic_basis(jaw_pitch=1.0)
PHOTO = b"a photo of nobody"


def eventually(condition: Callable[[], bool], timeout: float = PATIENCE_S) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.005)


def tiny_gaussians(seed: int, count: int = 600) -> Gaussians:
    """A seeded ball of Gaussians, 20 cm wide."""
    random = torch.Generator().manual_seed(seed)
    quats = torch.randn(count, 4, generator=random)
    return Gaussians(
        means=0.1 * torch.randn(count, 3, generator=random).clamp(-1, 1),
        quats=torch.nn.functional.normalize(quats, dim=-1),
        scales=0.001 + 0.01 * torch.rand(count, 3, generator=random),
        opacities=torch.rand(count, generator=random),
        sh=torch.randn(count, 1, 3, generator=random),
    )


def tiny_camera() -> Camera:
    """One metre in front of the ball."""
    viewmat = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    viewmat[2, 3] = 1.0
    K = torch.tensor([[1000.0, 0, 256], [0, 1000, 256], [0, 0, 1]])
    return Camera(viewmat, K, 512, 512)


@dataclass(frozen=True)
class TinyAvatar:
    """A seed is all there is to it."""

    seed: float
    count: int = 600
    model: str = "query_lrm"


class TinyPuppet:
    """Moves the first half of its Gaussians up by `jawOpen` metres, and all by `transl`.

    One of two avatars moves all to the side as well, by as many metres as the share says.
    """

    def __init__(self, avatar: TinyAvatar, other: TinyAvatar | None = None) -> None:
        self.camera = tiny_camera()
        self.rest = FlameCodes.zeros(CORRECTIVES)
        self.gaussians = tiny_gaussians(int(avatar.seed), avatar.count)
        self.morphs = other is not None
        self.count = len(self.gaussians)

    def animate(self, signal: Signal) -> Gaussians:
        codes = flame_codes(signal, BASIS, self.rest)
        means = self.gaussians.means + codes.transl
        means[:, 0] += signal.morph or 0.0
        means[: len(means) // 2, 1] += codes.jaw_pose[0]
        return replace(self.gaussians, means=means)


class TinyEngine:
    """Makes an avatar of anything but b"bad", in `steps` reports that wait for `gate`.

    With `shows` it gives out a preview before, of half as many Gaussians and the seed 0.
    """

    device, device_reason = "test", "it is a test"
    models = ("query_lrm", "fit")
    batch = 1

    def __init__(self, steps: int = 3, count: int = 600) -> None:
        self.steps, self.number = steps, count
        self.gate = threading.Event()
        self.gate.set()
        self.creating = 0
        self.shows = self.prepared = False
        self.draw_error: Exception | None = None

    def create(
        self, photos: Sequence[bytes], recipe: Recipe, progress: Progress, show: Show
    ) -> tuple[TinyAvatar, Mapping[str, float]]:
        if b"bad" in photos:
            raise ImageError(f"photo {photos.index(b'bad')}: not a picture")
        self.creating += 1
        model = recipe.model or self.models[0]
        if self.shows:
            show(TinyAvatar(0, self.number // 2, model))
        try:
            for step in range(self.steps):
                progress("fitting", step / self.steps)
                while not self.gate.wait(0.02):
                    progress("fitting", step / self.steps)
        finally:
            self.creating -= 1
        return TinyAvatar(len(photos), self.number, model), {"seed": len(photos)}

    def prepare(self) -> None:
        self.prepared = True

    def close(self) -> None:
        self.prepared = False

    def interpolate(self, a: TinyAvatar, b: TinyAvatar, share: float) -> TinyAvatar:
        return replace(a, seed=(1 - share) * a.seed + share * b.seed)

    def model(self, avatar: TinyAvatar) -> str:
        return avatar.model

    def count(self, avatar: TinyAvatar) -> int:
        return avatar.count

    def save(self, avatar: TinyAvatar, folder: Path) -> None:
        (folder / "manifest.json").write_text(json.dumps(vars(avatar)))

    def load(self, folder: Path) -> TinyAvatar:
        try:
            return TinyAvatar(**json.loads((folder / "manifest.json").read_text()))
        except ValueError as error:
            raise AssetError(str(error)) from error

    def puppet(self, avatar: TinyAvatar, other: TinyAvatar | None = None) -> TinyPuppet:
        return TinyPuppet(avatar, other)

    def animate_many(self, instants: Sequence[tuple[Puppet, Signal]]) -> Sequence[Gaussians]:
        return [puppet.animate(signal) for puppet, signal in instants]

    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        """Columns tell the height of the first Gaussian and the camera's place, in millimetres."""
        if self.draw_error is not None:
            raise self.draw_error
        out[:] = 0
        out[..., 0] = int(1000 * gaussians.means[0, 1]) % 256
        out[..., 1] = int(1000 * camera.viewmat[2, 3]) % 256
        out[..., 3] = 255

    def rgba8_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        self.draw_rgba8(gaussians, camera, out)
        yield

    def depth_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        out[:] = self.draw_depth(gaussians, camera)
        yield

    def message_bytes(self, size: int) -> np.ndarray:
        return np.empty(size, np.uint8)

    def draw_depth(self, gaussians: Gaussians, camera: Camera) -> np.ndarray:
        depth = np.zeros((camera.height, camera.width), np.float32)
        depth[camera.height // 2 :] = float(camera.viewmat[2, 3])
        return depth


def local_config(folder: Path, **changes: Any) -> ServerConfig:
    """A server of tests: free ports, its store under `folder`."""
    start = ServerConfig(store=folder / "avatars", port=0, http_port=0, frame_port=0, drive_port=0)
    return replace(start, **changes)


@contextmanager
def server_and_client(
    config: ServerConfig, engine: TinyEngine
) -> Iterator[tuple[FlexAvatarClient, ServerAddresses]]:
    """A real server with the tiny engine, and a client of it."""
    with running_server(config, engine) as listening, FlexAvatarClient(listening.address) as client:
        client.wait_ready(PATIENCE_S)
        yield client, listening


def must_receive(reader: FrameReader, timeout: float = PATIENCE_S) -> Received:
    received = reader.receive(timeout)
    assert received is not None, "nothing came"
    return received


def end_of(reader: FrameReader) -> str:
    """Read until the server says that it is over, and why."""
    deadline = time.monotonic() + PATIENCE_S
    try:
        while True:
            assert time.monotonic() < deadline, "it goes on"
            must_receive(reader)
    except SessionNotFoundError as error:
        return str(error)


def wait_for_pts(reader: FrameReader, pts_ns: int) -> Received:
    """The first message of this signal or a later one."""
    while (received := must_receive(reader)).header.pts_ns < pts_ns:
        pass
    return received


def drive_until_refused(session: ClientSession, *arguments: Any, **parts: Any) -> None:
    """Drive over and over: the stream's answer to a signal comes with a later call."""

    def refused() -> bool:
        session.drive(*arguments, **parts)
        return False

    eventually(refused)
