"""Sessions share the render thread's time: a large one pays itself and stops no small one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc import RpcError

from flexavatar.errors import BusyError
from flexavatar.render.rasterize import STRIP_PIXELS
from flexavatar.types import Camera, Gaussians
from plugin_server.client.session import ClientSession
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from tests.service import PHOTO, TinyEngine, local_config, must_receive, server_and_client

STRIP_S = 0.004
ALL_KINDS = (
    pb.STREAM_KIND_RGBA8,
    pb.STREAM_KIND_JPEG,
    pb.STREAM_KIND_DEPTH,
    pb.STREAM_KIND_SPLATS,
)


class CostlyEngine(TinyEngine):
    """Takes as long to draw as the picture is large: 512x512 4 ms, 4096x4096 a quarter second."""

    def rgba8_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        for _ in range(0, camera.width * camera.height, STRIP_PIXELS):
            time.sleep(STRIP_S)
            yield

    def depth_strips(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> Iterator[None]:
        yield from self.rgba8_strips(gaussians, camera, out)


def frames_a_second(session: ClientSession, seconds: float) -> float:
    """What comes of a session that is driven thirty times a second."""
    with closing(session.reader()) as reader:
        must_receive(reader)
        seen, start = set(), time.monotonic()
        for step in range(1, int(30 * seconds) + 1):
            session.drive({"jawOpen": 0.5}, pts_ns=step)
            while (left := start + step / 30 - time.monotonic()) > 0:
                if (received := reader.receive(left)) is not None:
                    seen.add(received.header.pts_ns)
        return len(seen - {0}) / seconds


def beside_a_large_one(folder: Path, kinds: Sequence[pb.StreamKind]) -> tuple[float, float]:
    """Frames a second of 512x512, driven, and of 4096x4096, which draws all it can."""
    with server_and_client(local_config(folder), CostlyEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
        small = client.start_session("ada", 512, 512)
        large = client.start_session("ada", 4096, 4096, kinds=kinds)
        with closing(large.reader()) as reader, small, large:
            must_receive(reader)
            first, start = large.drive_once({}).seq, time.monotonic()
            large.drive({"jawOpen": 0.1})
            rate = frames_a_second(small, 2.0)
            rendered = large.drive_once({}).seq - first
            return rate, rendered / (time.monotonic() - start)


def test_a_large_session_stops_no_small_one(tmp_path: Path) -> None:
    small, large = beside_a_large_one(tmp_path, ALL_KINDS[:1])
    assert small >= 25
    assert large > 0.5  # and it goes on


def test_nor_does_one_of_all_kinds(tmp_path: Path) -> None:
    small, large = beside_a_large_one(tmp_path, ALL_KINDS)
    assert small >= 25
    assert large > 0.3


def test_a_session_is_let_in_while_its_time_is_free(tmp_path: Path) -> None:
    """Told how much is free, what it would take, and when to come again."""
    with server_and_client(local_config(tmp_path, max_load=1.0), CostlyEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
        first = client.start_session("ada", 1024, 1024, max_fps=30)
        with closing(first.reader()) as reader:
            for _ in range(20):
                first.drive({"jawOpen": 0.5})
                must_receive(reader)
            small = client.start_session("ada", 256, 256, max_fps=10)
            with pytest.raises(BusyError, match=r"of its time is free.* ms a frame, 30 a second"):
                client.start_session("ada", 2048, 2048)
            stub = FlexAvatarStub(client.channel)
            with pytest.raises(RpcError) as refusal:
                stub.StartSession(pb.StartSessionRequest(avatar="ada", width=2048, height=2048))
            error: Any = refusal.value
            assert dict(error.trailing_metadata())["retry-after"] == "5"
        first.close()
        small.close()


def test_equals_get_the_same(tmp_path: Path) -> None:
    """Three that each could use the whole thread."""
    with server_and_client(local_config(tmp_path), CostlyEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
        sessions = [client.start_session("ada", 1024, 1024) for _ in range(3)]
        readers = [session.reader() for session in sessions]
        for reader in readers:
            must_receive(reader)
        first = [session.drive_once({}).seq for session in sessions]
        for step in range(90):
            for session in sessions:
                session.drive({"jawOpen": step / 90})
            time.sleep(0.02)
        drawn = [s.drive_once({}).seq - n for s, n in zip(sessions, first, strict=True)]
        for reader in readers:
            reader.close()
        assert min(drawn) >= 0.8 * max(drawn)
