"""A server's life: it drains, is taken up again by its clients, reloads, and can be looked at."""

from __future__ import annotations

import asyncio
import errno
import http.client
import json
import logging
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
import tyro
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flexavatar.cli.tools import Serve
from flexavatar.errors import BusyError, ConflictError, InputError, SessionNotFoundError
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig, environment_options
from plugin_server.errors import OwnerError, ServerUnavailableError, StoppingError
from plugin_server.logs import JsonLines, LoopErrors, TextLines
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.security import Access
from plugin_server.server import running_server
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
def create(photos, recipe, progress):
    for _ in range(int(sys.argv[2])):
        time.sleep(0.02)
        progress("waiting", 0.0)
    return make(photos, recipe, progress)
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


def get(address: str, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as line:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read().decode()


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


def test_an_administrator_sees_and_ends_sessions(client: FlexAvatarClient) -> None:
    session = client.start_session("ada", 64, 48, name="mine")
    (listed,) = client.list_sessions()
    assert (listed.name, listed.width, [*listed.avatars]) == ("mine", 64, ["ada"])
    client.terminate_session(listed.session_id, "lunch")
    with pytest.raises(SessionNotFoundError, match="lunch"):
        drive_until_refused(session, {"jawOpen": 0.1})
    with pytest.raises(SessionNotFoundError):
        client.terminate_session("0" * 16)


def test_who_drives_makes_nothing(config: ServerConfig, engine: TinyEngine) -> None:
    tokens = {name: config.store.parent / name for name in ("makers", "drivers")}
    for name, path in tokens.items():
        path.write_text(f"the-token-of-{name}\n")
    config = replace(config, token_file=tokens["makers"], driver_token_file=tokens["drivers"])
    with running_server(config, engine) as listening:
        with FlexAvatarClient(listening.address, "the-token-of-makers") as maker:
            maker.create_avatar([PHOTO], "ada")
        with FlexAvatarClient(listening.address, "the-token-of-drivers") as driver:
            with driver.start_session("ada", 64, 48) as session:
                session.drive_once({"jawOpen": 0.1})
            for refused in (
                lambda: driver.delete_avatar("ada"),
                lambda: driver.create_avatar([PHOTO]),
                driver.list_sessions,
            ):
                with pytest.raises(ServerUnavailableError, match="permission denied"):
                    refused()


def test_pages_for_operators(config: ServerConfig, engine: TinyEngine) -> None:
    with server_and_client(config, engine) as (client, listening):
        address = listening.http_address.removeprefix("http://")
        client.create_avatar([PHOTO], "ada")
        with client.start_session("ada", 64, 48) as session, closing(session.reader()) as reader:
            session.drive_once({"jawOpen": 0.5}, pts_ns=1)
            while must_receive(reader).header.pts_ns != 1:
                pass
            assert get(address, "/healthz") == (200, "alive\n")
            assert get(address, "/readyz") == (200, "ready\n")
            status, text = get(address, "/metrics")
    assert status == 200
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
    assert values["flexavatar_sessions"] == "1.0"
    assert values["flexavatar_session_limit"] == "3.0"
    assert float(values["flexavatar_frame_seconds_count"]) >= 1
    assert float(values["flexavatar_drive_to_frame_seconds_count"]) >= 1
    assert values["flexavatar_create_seconds_count"] == "1.0"
    for name in ("frames_dropped_total", "av_skew_seconds", "worker_load", "creations"):
        assert f"flexavatar_{name}" in values


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_render_thread_shows(config: ServerConfig, engine: TinyEngine) -> None:
    """What ends a thread is no Exception: those are caught."""
    engine.draw_error = SystemExit()  # type: ignore[assignment]
    with server_and_client(config, engine) as (client, listening):
        address = listening.http_address.removeprefix("http://")
        client.create_avatar([PHOTO], "ada")
        with closing(client.start_session("ada", 64, 48).reader()):
            eventually(lambda: get(address, "/readyz")[0] == 503)
            assert get(address, "/healthz") == (503, "the render thread has ended\n")


def test_the_token_is_read_anew(config: ServerConfig) -> None:
    token = config.store.parent / "token"
    token.write_text("a-token-of-tests\n")
    access = Access(replace(config, token_file=token))
    token.write_text("another-token-of-tests\n")
    access.reload()
    assert access.refusal("/x/ListAvatars", "Bearer a-token-of-tests") is not None
    assert access.refusal("/x/ListAvatars", "Bearer another-token-of-tests") is None


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


def test_options_from_the_environment() -> None:
    """Every option of `serve` can be a variable; what is given beside it wins."""
    variables = {
        "FLEXAVATAR_HTTP_PORT": "8080",
        "FLEXAVATAR_PORT": "1",
        "FLEXAVATAR_LOG_JSON": "true",
        "FLEXAVATAR_SHOW": "ada",
        "FLEXAVATAR_HEAD_GAIN": "1 -1 1",
        "FLEXAVATAR_SHARED": "of no option",
    }
    options = environment_options(variables, ["--port=5"])
    assert options == [
        *("--http-port", "8080", "--log-json", "--show", "ada", "--head-gain", "1", "-1", "1"),
    ]
    serve: Any = tyro.cli(Serve, args=[*options, "--port=5"])
    config: ServerConfig = serve.config
    assert (config.port, config.http_port, config.log_json) == (5, 8080, True)
    assert (config.gateways.show, config.gateways.head_gain) == ("ada", (1, -1, 1))
    with pytest.raises(InputError, match="FLEXAVATAR_LOG_JSON: expected 1 or 0, got 'maybe'"):
        environment_options({"FLEXAVATAR_LOG_JSON": "maybe"}, [])


def test_running_out_of_files_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio says it thousands of times a second."""
    loop = asyncio.new_event_loop()
    with closing(loop):
        handler = LoopErrors()
        for _ in range(1000):
            handler(loop, {"message": "accept", "exception": OSError(errno.EMFILE, "too many")})
        assert [r.message for r in caplog.records] == [
            "no connection is let in: too many (see `ulimit -n`)"
        ]
        handler(loop, {"message": "a bug", "exception": ValueError("other")})
    assert "a bug" in caplog.records[1].message


def test_lines_of_the_log() -> None:
    record = logging.LogRecord("plugin_server", logging.INFO, "", 0, "it %s", ("ended",), None)
    record.session = "0123456789abcdef"
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["message"]) == ("info", "it ended")
    assert line["session"] == "0123456789abcdef"
    assert TextLines("%(message)s").format(record) == "it ended session=0123456789abcdef"
