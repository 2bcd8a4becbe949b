"""What goes on without anybody waiting for it: it is finished, or its failure is told."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.asyncio import Socket

from flexavatar.drive.mixer import Mixer
from plugin_server import background, drive_stream
from plugin_server.background import STEADY_S, Watch, start, to_its_end
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.drive_sender import DriveSender
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from plugin_server.errors import ServerUnavailableError
from plugin_server.frameloop import FrameLoop
from plugin_server.gateways.config import guard_of
from plugin_server.gateways.hub import Hub
from plugin_server.gateways.udp import VmcGateway
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from plugin_server.publisher import Publisher
from plugin_server.server import running_server
from plugin_server.store import Store
from tests.conftest import ROOT
from tests.live import live_server
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyEngine,
    drive_until_refused,
    end_of,
    eventually,
    must_receive,
    server_and_client,
)

# ---- to its end


def test_work_goes_on_when_its_caller_is_cancelled() -> None:
    lock, inside, most = asyncio.Lock(), 0, 0

    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.05)
        inside -= 1

    async def locked() -> str:
        async with lock:
            await asyncio.to_thread(work)
        return "done"

    async def run() -> None:
        first = asyncio.create_task(to_its_end("work", locked()))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await to_its_end("work", locked()) == "done"

    asyncio.run(run())
    assert most == 1


async def fail() -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError("a bug")


def test_a_failure_that_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        cancelled = asyncio.create_task(to_its_end("the first", fail()))
        await asyncio.sleep(0)
        cancelled.cancel()
        kept = start("the second", fail())  # whoever holds it, and does not await it
        with pytest.raises(ZeroDivisionError):
            await to_its_end("the third", fail())
        await asyncio.sleep(0.01)
        assert kept.done()

    asyncio.run(run())
    assert [record.message for record in caplog.records] == [
        "the first failed",
        "the second failed",
    ]


def test_a_watch_starts_anew_and_tells(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "RESTART_S", 0.0)
    now_s, runs = 0.0, 0
    watch = Watch(lambda: now_s)

    async def flaky() -> None:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise OSError("no network")

    async def run() -> None:
        await watch.keep_running("asking", flaky)

    asyncio.run(run())
    assert runs == 4
    assert watch.problems == ["asking failed: OSError: no network"]
    assert len(caplog.records) == 1  # not every time
    now_s = STEADY_S + 1
    assert watch.problems == []


# ---- threads do not outlive what they work on


class SlowStore:
    """Holds up `delete`, and knows whether the store was let go of meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.deleting = threading.Event(), threading.Event()
        self.closed_while_deleting: bool | None = None
        delete, close = Store.delete, Store.close

        def slowly(store: Store, name: str) -> None:
            self.deleting.set()
            assert self.gate.wait(PATIENCE_S)
            delete(store, name)
            self.deleting.clear()

        def closing(store: Store) -> None:
            threading.Timer(0.2, self.gate.set).start()
            close(store)
            self.closed_while_deleting = self.deleting.is_set()

        monkeypatch.setattr(Store, "delete", slowly)
        monkeypatch.setattr(Store, "close", closing)


def cancel_delete(client: FlexAvatarClient, slow: SlowStore) -> None:
    request = pb.DeleteAvatarRequest(name="ada")
    call = FlexAvatarStub(client.channel).DeleteAvatar.future(request)
    assert slow.deleting.wait(PATIENCE_S)
    call.cancel()
    client.info()  # by then the server has seen it


def test_sessions_of_a_deleted_avatar_end_whoever_waits(
    client: FlexAvatarClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowStore(monkeypatch)
    client.start_session("ada", 64, 48)
    cancel_delete(client, slow)
    slow.gate.set()
    eventually(lambda: not client.list_avatars())
    eventually(lambda: client.info().sessions == 0)


def test_a_store_is_let_go_of_when_no_thread_is_in_it(
    config: ServerConfig, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowStore(monkeypatch)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        cancel_delete(client, slow)
    assert slow.closed_while_deleting is False
    assert not (config.store / "ada").exists()


# ---- what must never end


def fails_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception) -> None:
    """A method's first call from now on."""
    real: Callable[..., Any] = getattr(owner, name)
    failed = threading.Event()

    def flaky(*arguments: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise error
        return real(*arguments)

    monkeypatch.setattr(owner, name, flaky)


def test_drive_packets_come_in_after_a_failure(
    client: FlexAvatarClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        client.start_session("ada", 64, 48) as session,
        closing(DriveSender(session.info)) as sender,
    ):
        poll = Socket.poll
        failures = iter([zmq.ZMQError(11, "too many files")])

        def flaky(*arguments: Any, **options: Any) -> Any:
            for error in failures:
                raise error
            return poll(*arguments, **options)

        monkeypatch.setattr(Socket, "poll", flaky)
        sender.drive({"jawOpen": 0.1})
        eventually(lambda: any("too many files" in problem for problem in client.info().problems))
        assert "drive packets failed, and starts anew" in caplog.text

        def driven() -> bool:
            sender.drive({"jawOpen": 0.1})
            return client.info().drive.frames > 0

        eventually(driven)


def test_the_render_thread_goes_on_after_a_failure(
    client: FlexAvatarClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_once(monkeypatch, FrameLoop, "_nap", ZeroDivisionError("a bug"))
    eventually(lambda: [*client.info().problems] == ["drawing failed: ZeroDivisionError: a bug"])
    with client.start_session("ada", 64, 48) as session, closing(session.reader()) as reader:
        must_receive(reader)


def test_a_network_that_is_down_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The phone is asked again, and why it could not be asked is told at once."""
    down = threading.Event()
    down.set()
    sendto = socket.socket.sendto

    class Socket(socket.socket):
        def sendto(self, *arguments: Any) -> int:
            if down.is_set():
                raise OSError(101, "Network is unreachable")
            return sendto(self, *arguments)

    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.settimeout(PATIENCE_S)
        monkeypatch.setattr(socket, "socket", Socket)
        where = f"127.0.0.1:{phone.getsockname()[1]}"
        with live_server(tmp_path, ifacialmocap_tcp=0, phone=where) as (client, _):
            eventually(lambda: "unreachable" in client.info().gateways[0].problem)
            assert "cannot ask 127.0.0.1" in caplog.text
            down.clear()
            assert phone.recv(1024)


def test_a_face_that_cannot_be_moved_ends_its_session(
    client: FlexAvatarClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with client.start_session("ada", 64, 48, sources=["drive"]) as session:
        with closing(session.reader()) as reader:
            must_receive(reader)
            fails_once(monkeypatch, Mixer, "face", ZeroDivisionError("a bug"))
            assert "failed to move its face" in end_of(reader)
    assert f"the face of session {session.info.session_id} failed" in caplog.text


def test_a_server_that_fails_says_so_to_who_runs_it(
    config: ServerConfig, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Publisher.close

    def buggy(publisher: Publisher) -> None:
        close(publisher)
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Publisher, "close", buggy)
    with pytest.raises(ZeroDivisionError), running_server(config, engine):
        pass


def test_reports_that_fail_end_their_stream_with_an_error(
    session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: object) -> pb.DriveResponse:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(drive_stream, "drive_report", broken)
    with pytest.raises(ServerUnavailableError, match="unknown"):
        drive_until_refused(session, {"jawOpen": 0.1})


def test_a_gateway_whose_socket_is_lost_says_so() -> None:
    hub = Hub()
    gateway = VmcGateway(guard_of(""), hub)
    gateway.connection_lost(None)  # closed by the server itself
    assert gateway.status.problem == ""
    gateway.connection_lost(OSError("a bad socket"))
    assert gateway.status.problem == "listens no more: a bad socket"


# ---- so that it stays so


TASKS = {
    "background.py": "keeps and watches them",
    "connect_http.py": "awaits its own",
    "drive_stream.py": "awaits its own",
    "frame_websocket.py": "awaits its own",
    "picture_drive.py": "awaits its own",
    "service.py": "awaits its own",
    "speech.py": "threads in work that goes on to its end",
    "store.py": "closes when they have ended",
}
"""Where tasks and threads of the event loop are started, and why nothing is lost there."""
STARTING = re.compile(r"create_task\(|ensure_future\(|to_thread\(|to_thread,|run_in_executor\(")


def test_tasks_are_started_where_somebody_looks_after_them() -> None:
    files = (ROOT / "plugin_server").rglob("*.py")
    assert {path.name for path in files if STARTING.search(path.read_text())} == {*TASKS}
