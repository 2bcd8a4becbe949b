"""A server's life: it drains, is taken up again by its clients, and holds room before it loads."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flexavatar.errors import BusyError, ConflictError, SessionNotFoundError
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from plugin_server.errors import OwnerError, ServerUnavailableError, StoppingError
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.wire import WireError
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyAvatar,
    TinyEngine,
    drive_until_refused,
    end_of,
    eventually,
    must_receive,
    server_and_client,
    wait_for_pts,
)

SERVES = """
import sys
import time
from pathlib import Path
from plugin_server import server
from tests.service import TinyEngine, local_config

engine = TinyEngine()
make = engine.create
def create(photos, recipe, progress, show):
    for _ in range(int(sys.argv[2])):
        time.sleep(0.02)
        progress("waiting", 0.0)
    return make(photos, recipe, progress, show)
engine.create = create
server._model_engine = lambda config: engine
ports = dict(zip(("port", "http_port", "frame_port", "drive_port"), map(int, sys.argv[3:7])))
server.run(local_config(Path(sys.argv[1]), drain_s=10.0, **ports))
"""


@contextmanager
def server_process(
    folder: Path, *ports: int, steps: int = 0
) -> Iterator[tuple[subprocess.Popen[str], FlexAvatarClient]]:
    """A server of tests as a process of its own, and a client of it.

    A creation takes so many times 20 ms.
    """
    numbers = [str(number) for number in (steps, *(ports or (0, 0, 0, 0)))]
    command = [sys.executable, "-c", SERVES, str(folder)]
    with subprocess.Popen([*command, *numbers], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[2].rstrip(",")
            with FlexAvatarClient(address) as client:
                client.wait_ready(PATIENCE_S)
                yield process, client
        finally:
            process.kill()


def status_of(client: FlexAvatarClient) -> int:
    probe: Any = health_pb2_grpc.HealthStub(client.channel)
    return probe.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S).status


def test_told_to_end_it_lets_what_runs_finish(tmp_path: Path) -> None:
    """Nothing is lost, nothing new starts, and who drives is told before."""
    with server_process(tmp_path, steps=150) as (process, client):
        making = threading.Thread(target=client.create_avatar, args=([PHOTO], "eve"))
        client.create_avatar([PHOTO], "ada")
        session = client.start_session("ada", 64, 64)
        with closing(session.reader()) as reader:
            must_receive(reader)
            making.start()
            eventually(lambda: client.info().creations == 1)
            process.send_signal(signal.SIGTERM)
            eventually(lambda: status_of(client) == health_pb2.HealthCheckResponse.NOT_SERVING)
            report = session.drive_once({"jawOpen": 0.5}, pts_ns=5)
            assert report.ending == "the server stops"
            assert 0 < report.ends_in_s <= 10
            assert client.info().stopping
            for start in (
                lambda: client.start_session("ada"),
                lambda: client.create_avatar([PHOTO]),
            ):
                with pytest.raises(StoppingError, match="nothing new starts"):
                    start()
            making.join()
            assert "the server stops" in end_of(reader)
        assert process.wait(PATIENCE_S) == 0
    assert (tmp_path / "avatars" / "eve" / "record.json").is_file()


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with server_process(tmp_path) as (process, client):
        client.create_avatar([PHOTO], "ada")
        session = client.start_session("ada", 64, 64)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: session.drive_once({}).ending == "the server stops")
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - start < 5  # of the ten that it may take


def test_a_session_goes_on_after_a_restart(config: ServerConfig, engine: TinyEngine) -> None:
    """Under its id and token, which only its owner has; readers need no new topic."""
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        before = client.start_session("ada", 64, 48).info
    request = pb.StartSessionRequest(avatar="ada", width=64, height=48)
    request.resume.session_id, request.resume.owner_token = before.session_id, before.owner_token
    with server_and_client(config, engine) as (client, _):
        wrong = pb.StartSessionRequest()
        wrong.CopyFrom(request)
        wrong.resume.owner_token = "A" * 32
        with pytest.raises(OwnerError):
            client.call("StartSession", wrong)
        after = client.call("StartSession", request)
        assert (after.session_id, after.owner_token) == (before.session_id, before.owner_token)
        assert client.call("StartSession", request) == after  # it runs: handed back as it is
        assert client.info().sessions == 1
        ClientSession(client, after).close()
        with pytest.raises(SessionNotFoundError, match="its owner ended it"):
            client.call("StartSession", request)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [line.getsockname()[1] for line in lines]


def test_clients_come_back_by_themselves(tmp_path: Path) -> None:
    """The server is killed without a word and started anew: all live again within five seconds.

    One drives by a stream, one by calls, one only reads what somebody else's session shows.
    """
    ports = free_ports(4)
    with ExitStack() as stack:
        with server_process(tmp_path, *ports) as (process, first):
            first.create_avatar([PHOTO], "ada")
            client = stack.enter_context(FlexAvatarClient(f"127.0.0.1:{ports[0]}"))
            streamed = client.start_session("ada", 64, 48, name="stage")
            called = client.start_session("ada", 64, 48)
            readers = [
                stack.enter_context(closing(reader))
                for reader in (
                    streamed.reader(),
                    called.reader(),
                    FrameReader(client.get_session("stage"), latest=True),
                )
            ]
            streamed.drive({"jawOpen": 0.2}, pts_ns=1)
            called.drive_once({"jawOpen": 0.2}, pts_ns=1)
            for reader in readers:
                wait_for_pts(reader, 1)
            process.kill()
        with server_process(tmp_path, *ports):
            start = time.monotonic()
            while time.monotonic() - start < 5:
                streamed.drive({"jawOpen": 0.3}, pts_ns=2)
                time.sleep(0.05)
            with suppress(ServerUnavailableError):
                called.drive_once({"jawOpen": 0.3}, pts_ns=2)
            late = [reader.receive(0.7) for reader in readers]
            assert [frame is not None for frame in late] == [True] * 3
            assert streamed.problem == ""
            assert not any(reader.problem for reader in readers)


def test_a_reader_says_that_nothing_comes(config: ServerConfig, engine: TinyEngine) -> None:
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        info = client.start_session("ada", 64, 48).info
        reader = FrameReader(info, latest=True)
        must_receive(reader)
    with closing(reader):
        assert "the server stops" in end_of(reader)  # `latest` hears of the end, too
    with closing(FrameReader(info)) as reader:
        assert reader.receive(4.0) is None
        assert "the server or the link is lost" in reader.problem


def test_a_server_of_another_version(session: ClientSession) -> None:
    """Its frames would never come: their topics begin with the version."""
    newer = pb.Session()
    newer.CopyFrom(session.info)
    newer.topic = newer.topic.replace(b"FLXA\1\0", b"FLXA\2\0")
    with pytest.raises(WireError, match="expected version 1 of the wire, got b'FLXA"):
        FrameReader(newer)


def test_a_newer_stream_of_the_owner_takes_over(
    client: FlexAvatarClient, session: ClientSession
) -> None:
    """The older may be a program that hangs, and never notice."""
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=1)
        while must_receive(reader).header.pts_ns != 1:
            pass
        newer = ClientSession(client, session.info)
        newer.drive({"jawOpen": 0.2}, pts_ns=2)
        while must_receive(reader).header.pts_ns != 2:
            pass
    with pytest.raises(ConflictError, match="a newer stream has taken over"):
        drive_until_refused(session, {"jawOpen": 0.3})


def test_an_idle_session_is_warned(config: ServerConfig, engine: TinyEngine) -> None:
    config = replace(config, idle_timeout_s=2.0)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        assert client.info().limits.idle_timeout_s == 2.0
        session = client.start_session("ada", 64, 48)
        session.drive({"jawOpen": 0.1})
        eventually(lambda: session.report.ending == "it is not driven")
        assert session.report.ends_in_s <= 1.0


class CountingEngine(TinyEngine):
    """Takes its time to load, and counts how often."""

    loaded = 0

    def load(self, folder: Path) -> TinyAvatar:
        self.loaded += 1
        time.sleep(0.2)
        return super().load(folder)


def test_room_is_held_before_an_avatar_is_loaded(config: ServerConfig) -> None:
    """Of many that come at once as many are let in as there is room, and the avatar is one."""
    engine, outcomes = CountingEngine(), []
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")

        def start() -> None:
            try:
                client.start_session("ada", 64, 48)
                outcomes.append("started")
            except BusyError:
                outcomes.append("refused")

        threads = [threading.Thread(target=start) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (outcomes.count("started"), outcomes.count("refused")) == (3, 17)
    assert engine.loaded == 1
