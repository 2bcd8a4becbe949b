"""`flexavatar route`: three servers behind one address, on loopback; what passes through, and what
happens when one of them is killed or drained."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest

from flexavatar.errors import (
    AvatarNotFoundError,
    BusyError,
    ConflictError,
    InputError,
    SessionNotFoundError,
)
from plugin_server.avatar_copy import read_copy, write_copy
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.errors import ServerUnavailableError, translate_errors
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.router.config import RouterConfig, check_router
from plugin_server.router.server import routing
from plugin_server.router.service import RouterService
from plugin_server.server import running_server
from plugin_server.store import Store
from tests.conftest import ROOT
from tests.service import (
    PHOTO,
    TinyEngine,
    drive_until_refused,
    eventually,
    local_config,
    must_receive,
)

TOLD_S = 2.0
SESSIONS = 3
"""Of each server."""


@contextmanager
def running_router(config: RouterConfig) -> Iterator[str]:
    """A router on a thread of its own; host:port."""
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    found: list[str] = []

    async def route() -> None:
        async with routing(config) as address:
            found.append(address)
            await stopping.wait()

    with ExitStack() as stack:
        thread = Thread(target=loop.run_until_complete, args=(route(),), name="router")
        thread.start()
        stack.callback(loop.close)
        stack.callback(thread.join)
        stack.callback(loop.call_soon_threadsafe, stopping.set)
        eventually(lambda: bool(found) or not thread.is_alive())
        yield found[0]


@contextmanager
def routed(*workers: str) -> Iterator[FlexAvatarClient]:
    """A client of a router of these servers."""
    with running_router(RouterConfig(workers, port=0)) as address:
        with FlexAvatarClient(address) as client:
            yield client


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Sequence[str]]:
    """Three servers, each with a store of its own."""
    with ExitStack() as stack:
        found = []
        for number in (1, 2, 3):
            config = local_config(tmp_path / str(number), worker=number, max_sessions=SESSIONS)
            found.append(stack.enter_context(running_server(config, TinyEngine())).address)
        yield found


@pytest.fixture
def client(workers: Sequence[str]) -> Iterator[FlexAvatarClient]:
    """Of their router, with an avatar on one of them."""
    with routed(*workers) as client:
        client.create_avatar([PHOTO], "ada")
        yield client


def start(client: FlexAvatarClient, count: int) -> list[ClientSession]:
    return [client.start_session("ada", 64, 48) for _ in range(count)]


def shows(session: ClientSession, pts_ns: int) -> None:
    """A signal over the session's stream comes back as a frame."""
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.5}, pts_ns=pts_ns)
        while must_receive(reader).header.pts_ns != pts_ns:
            pass


def test_sessions_start_where_there_is_room(
    client: FlexAvatarClient, workers: Sequence[str]
) -> None:
    """The avatar is on one of the three, and copied to the others as they are needed."""
    sessions = start(client, 3 * SESSIONS)
    assert Counter(s.info.address for s in sessions) == dict.fromkeys(workers, SESSIONS)
    for number, session in enumerate(sessions, start=1):
        assert workers[int(session.info.session_id[:2], 16) - 1] == session.info.address
        shows(session, number)
    assert [avatar.name for avatar in client.list_avatars()] == ["ada"]
    with pytest.raises(BusyError, match="none of 3 servers takes new work"):
        start(client, 1)
    for session in sessions:
        session.close()
    eventually(lambda: client.info().sessions == 0)
    assert client.info().limits.sessions == 3 * SESSIONS


def test_any_router_knows_where_a_session_is(
    client: FlexAvatarClient, workers: Sequence[str]
) -> None:
    """Routers remember nothing: a second one finds sessions of the first, by id and by name."""
    session = client.start_session("ada", 64, 48, name="stage")
    request = pb.DriveRequest(
        session_id=session.info.session_id, owner_token=session.info.owner_token
    )
    with routed(*workers) as other:
        assert other.call("DriveOnce", request).seq >= 0
        assert other.get_session("stage").address == session.info.address
        with pytest.raises(ConflictError, match="'stage' is running already"):
            other.start_session("ada", name="stage")
        assert [s.session_id for s in other.list_sessions()] == [session.info.session_id]
        with pytest.raises(InputError, match=f"call {session.info.address}"), translate_errors():
            list(other.drive_stream(iter([request])))
        other.terminate_session(session.info.session_id, "enough")
    with pytest.raises(SessionNotFoundError, match="enough"):
        session.drive_once({})
    with pytest.raises(SessionNotFoundError, match="no session is named"):
        client.get_session("stage")


def test_the_newest_version_of_an_avatar_is_shown(client: FlexAvatarClient) -> None:
    for session in start(client, 2 * SESSIONS + 1):  # all three have it now
        session.close()
    newer = client.create_avatar([PHOTO, PHOTO], "ada", replace=True)
    eventually(lambda: client.info().sessions == 0)
    assert client.list_avatars()[0].created_unix_ms == newer.created_unix_ms
    addresses = {session.info.address for session in start(client, 2 * SESSIONS + 1)}
    assert len(addresses) == 3
    for address in addresses:
        assert client.at(address).get_avatar("ada").created_unix_ms == newer.created_unix_ms
    with pytest.raises(ConflictError, match="exists already"):
        client.create_avatar([PHOTO], "ada")
    client.delete_avatar("ada")
    assert not client.list_avatars()
    eventually(lambda: client.info().sessions == 0)
    with pytest.raises(AvatarNotFoundError, match="no avatar 'ada'"):
        start(client, 1)


def test_every_call_has_its_way() -> None:
    """None that a router should pass on is forgotten; two are between servers."""
    calls = {method.name for method in pb.DESCRIPTOR.services_by_name["FlexAvatar"].methods}
    passed = {name for name in calls if name in vars(RouterService)}
    assert calls - passed == {"FetchAvatar", "StoreAvatar"}


def test_a_creation_that_is_cancelled(client: FlexAvatarClient) -> None:
    listed = client.call("ListCreations", pb.ListCreationsRequest())
    assert not listed.creations
    with pytest.raises(AvatarNotFoundError, match="no avatar 'eve' is being made"):
        client.call("CancelCreation", pb.CancelCreationRequest(name="eve"))


def test_avatars_of_two_servers_meet(client: FlexAvatarClient) -> None:
    client.create_avatar([PHOTO, PHOTO], "bob")
    made = client.interpolate_avatars("ada", "bob", 0.5, "eve")
    assert client.get_avatar("eve").gaussians == made.gaussians
    with client.start_session("eve", 64, 48, morph_to="bob") as session:
        shows(session, 1)


WORKER = """
import sys
from dataclasses import replace
from pathlib import Path
from plugin_server import server
from tests.service import TinyEngine, local_config
server._model_engine = lambda config: TinyEngine()
server.run(local_config(Path(sys.argv[1]), worker=3, drain_s=20.0))
"""


@contextmanager
def worker_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Worker 3 in a process of its own, and its host:port."""
    command = [sys.executable, "-c", WORKER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            yield process, said.removeprefix("gRPC on ").partition(",")[0]
        finally:
            process.kill()


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[Ending]:
    """Two servers, one of which is about to end, with two sessions each."""
    steady = local_config(tmp_path / "1", worker=1)
    with (
        running_server(steady, TinyEngine()) as listening,
        worker_process(tmp_path / "3") as (process, address),
        routed(listening.address, address) as client,
    ):
        client.create_avatar([PHOTO], "ada")
        sessions = start(client, 4)
        for number, session in enumerate(sessions, start=1):
            shows(session, number)
        ending = [s for s in sessions if s.info.address == address]
        staying = [s for s in sessions if s.info.address == listening.address]
        assert len(ending) == len(staying) == 2
        yield Ending(client, process, listening.address, ending, staying)


class Ending(NamedTuple):
    """What a test does that ends a server."""

    client: FlexAvatarClient
    process: subprocess.Popen[str]
    kept: str
    """host:port of the other."""
    ending: Sequence[ClientSession]
    staying: Sequence[ClientSession]


def test_a_server_that_is_killed(ending: Ending) -> None:
    """Its sessions' drivers are told within two seconds and start again elsewhere; the other
    sessions never notice."""
    ending.process.kill()
    killed_s = time.monotonic()
    for session in ending.ending:
        with pytest.raises(SessionNotFoundError, match=r"has ended: worker 3 .*does not answer"):
            drive_until_refused(session)
        again = ending.client.start_session("ada", 64, 48)
        assert again.info.address == ending.kept
        shows(again, 9)
    assert time.monotonic() - killed_s < TOLD_S
    for number, session in enumerate(ending.staying):
        shows(session, 20 + number)
    assert any("does not answer" in problem for problem in ending.client.info().problems)


def test_a_server_that_is_drained(ending: Ending) -> None:
    """It takes nothing new at once, and what runs there goes on."""
    ending.process.send_signal(signal.SIGTERM)
    asked_s = time.monotonic()
    eventually(lambda: ending.ending[0].drive_once({}).ending != "", TOLD_S)
    started = [ending.client.start_session("ada", 64, 48) for _ in range(4)]
    assert {session.info.address for session in started} == {ending.kept}
    assert time.monotonic() - asked_s < TOLD_S
    for number, session in enumerate((*ending.ending, *ending.staying), start=30):
        shows(session, number)
    for session in ending.ending:
        session.close()
    ending.process.wait(TOLD_S * 4)


def test_what_a_token_opens(tmp_path: Path) -> None:
    """The router lets nobody in whom the servers would not, and hands on who it is."""
    files = {name: tmp_path / name for name in ("token_file", "driver_token_file")}
    for name, file in files.items():
        file.write_text(f"{name}-0123456789abcdef")
    own = local_config(tmp_path / "1", worker=1, **files)
    with running_server(own, TinyEngine()) as listening:
        config = replace(RouterConfig((listening.address,), port=0), **files)
        with running_router(config) as address:
            maker, driver = (FlexAvatarClient(address, f.read_text()) for f in files.values())
            with closing(maker), closing(driver), closing(FlexAvatarClient(address)) as stranger:
                maker.create_avatar([PHOTO], "ada")
                with driver.start_session("ada", 64, 48) as session:
                    shows(session, 1)
                with pytest.raises(ServerUnavailableError, match="token is not enough"):
                    driver.delete_avatar("ada")
                with pytest.raises(ServerUnavailableError, match="expected metadata"):
                    stranger.info()


def test_servers_that_cannot_be_told_apart(tmp_path: Path) -> None:
    with ExitStack() as stack:
        configs = [local_config(tmp_path / str(i)) for i in range(2)]
        listening = [stack.enter_context(running_server(c, TinyEngine())) for c in configs]
        client = stack.enter_context(routed(*(x.address for x in listening)))
        assert client.info().problems == [
            "2 servers are worker 0: start each with a --worker of its own, 1 to 255"
        ]


@pytest.mark.parametrize(
    ("workers", "says"),
    [
        ((), "expected host:port of one server or more"),
        (("here",), "expected host:port, got 'here'"),
        (("a:1", "a:1"), "expected each once"),
    ],
)
def test_settings_that_cannot_be(workers: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_router(RouterConfig(workers))


def test_a_router_beyond_loopback_wants_tls() -> None:
    with pytest.raises(InputError, match="beyond loopback expected"):
        check_router(RouterConfig(("a:1",), host="0.0.0.0"))


def test_copies_that_are_refused(client: FlexAvatarClient, tmp_path: Path) -> None:
    """Files that leave the folder, or are not what the record says, never reach the store."""
    with closing(Store(tmp_path / "other")) as store:
        holder = client.at(client.start_session("ada", 64, 48).info.address)
        copy = holder.call("FetchAvatar", pb.GetAvatarRequest(name="ada"))
        write_copy(store, TinyEngine(), copy)
        assert read_copy(store, "ada").files == copy.files
        for name, content in (("../ada", b""), ("more", b""), (next(iter(copy.files)), b"{}")):
            wrong = pb.StoredAvatar(name="bad", record=copy.record, files=copy.files)
            wrong.files[name] = content
            with pytest.raises(InputError, match="files: "):
                write_copy(store, TinyEngine(), wrong)
        assert store.names() == ["ada"]
