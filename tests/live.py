"""What the tests of live faces share: an engine whose pictures tell what the face was told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flexavatar.drive.signal import Signal
from flexavatar.types import Camera, Gaussians
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader, Received
from plugin_server.config import ServerConfig
from plugin_server.gateways.config import GatewayConfig
from plugin_server.pb import flexavatar_pb2 as pb
from tests.service import (
    PHOTO,
    TinyAvatar,
    TinyEngine,
    TinyPuppet,
    local_config,
    must_receive,
    server_and_client,
)

TOLD = ("jawOpen", "eyeBlinkLeft", "mouthSmileLeft")
"""Shapes that a picture's columns tell, and the head's yaw in the last."""
SIZE = 32
LARGEST_YAW = 1.5


class TellingPuppet(TinyPuppet):
    """Keeps what it was told."""

    def animate(self, signal: Signal) -> Gaussians:
        self.told = signal
        return super().animate(signal)


class TellingEngine(TinyEngine):
    """Draws what its newest puppet was told."""

    def puppet(self, avatar: TinyAvatar, other: TinyAvatar | None = None) -> TellingPuppet:
        self.latest = TellingPuppet(avatar, other)
        return self.latest

    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        signal = self.latest.told
        told = [signal.weight(name) for name in TOLD]
        told.append(0.5 + signal.neck_pose.y / (2 * LARGEST_YAW))
        out[:] = np.round(255 * np.array(told))


@dataclass(frozen=True)
class Seen:
    """One frame at a client."""

    pts_ns: int
    told: np.ndarray  # [3] weights of TOLD
    yaw: float


def seen_of(received: Received) -> Seen:
    assert received.rgba is not None
    pixel = received.rgba[0, 0] / 255.0
    return Seen(received.header.pts_ns, pixel[:3], (2 * pixel[3] - 1) * LARGEST_YAW)


@contextmanager
def live_server(
    folder: Path, show: str = "ada", config: ServerConfig | None = None, **gateways: Any
) -> Iterator[tuple[FlexAvatarClient, dict[str, str]]]:
    """A server with gateways that shows an avatar; where each source listens."""
    engine, config = TellingEngine(), config or local_config(folder)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada", replace=True)
    small = {"show_width": SIZE, "show_height": SIZE}
    config = replace(config, gateways=GatewayConfig(show=show, **small, **gateways))
    with server_and_client(config, engine) as (client, _):
        yield client, {g.source: g.address for g in client.info().gateways}


@contextmanager
def watching(client: FlexAvatarClient, name: str = "ada") -> Iterator[FrameReader]:
    """The frames of a session by its name."""
    kinds = (pb.STREAM_KIND_RGBA8,)
    with closing(FrameReader(client.get_session(name), kinds)) as reader:
        must_receive(reader)
        yield reader


@contextmanager
def sending_udp(address: str) -> Iterator[Callable[[bytes], object]]:
    """A socket of a phone."""
    host, _, port = address.rpartition(":")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as line:
        line.connect((host, int(port)))
        yield line.send


def clip(frames: Sequence[Any], start_s: float, end_s: float) -> list[Any]:
    """A part of a performance, from 0."""
    start = frames[round(60 * start_s)].pts_ns
    return [
        replace(frame, pts_ns=frame.pts_ns - start)
        for frame in frames[round(60 * start_s) : round(60 * end_s)]
    ]
