"""Every way in which a session ends is told to its driver and its readers."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from contextlib import closing
from pathlib import Path

import pytest

from flexavatar.errors import (
    SessionNotFoundError,
)
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from plugin_server.frames import FrameWriter, StreamPlan
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.publisher import Publisher
from plugin_server.session import Session
from plugin_server.wire import Kind
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyAvatar,
    TinyEngine,
    TinyPuppet,
    drive_until_refused,
    end_of,
    eventually,
    local_config,
    must_receive,
    server_and_client,
    wait_for_pts,
)

RGBA8, JPEG = pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_JPEG
DEPTH, SPLATS = pb.STREAM_KIND_DEPTH, pb.STREAM_KIND_SPLATS


# ---- how it ends


def test_its_owner_ends_it(client: FlexAvatarClient) -> None:
    session = client.start_session("ada")
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=1)
        wait_for_pts(reader, 1)
        session.close()
        assert "its owner ended it" in end_of(reader)
    with pytest.raises(SessionNotFoundError, match="its owner ended it"):
        session.drive_once({})
    session.close()  # once more does no harm
    eventually(lambda: client.info().sessions == 0)


def test_frames_stop_with_the_session(client: FlexAvatarClient) -> None:
    session = client.start_session("ada", 64, 64)
    count = 0
    for received in session.frames(PATIENCE_S):
        count += received.rgba is not None
        session.close()
    assert count >= 1


def test_its_avatar_is_deleted(client: FlexAvatarClient) -> None:
    session, other = client.start_session("ada"), client.start_session("ada")
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=1)
        wait_for_pts(reader, 1)
        client.delete_avatar("ada")
        assert "avatar 'ada' was deleted" in end_of(reader)
    with pytest.raises(SessionNotFoundError, match="was deleted"):
        drive_until_refused(session, {"jawOpen": 0.1})
    with pytest.raises(SessionNotFoundError, match="was deleted"):
        other.drive_once({})
    assert client.info().sessions == 0


def test_a_replaced_avatar_stays_in_its_sessions(
    client: FlexAvatarClient, session: ClientSession
) -> None:
    client.create_avatar([PHOTO, PHOTO], "ada", replace=True)
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=1)
        assert wait_for_pts(reader, 1).rgba is not None


def test_nobody_drives_it(tmp_path: Path, engine: TinyEngine) -> None:
    config = local_config(tmp_path, idle_timeout_s=0.6)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        session = client.start_session("ada", 64, 64)
        with closing(session.reader()) as reader:
            for number in range(1, 11):  # driven for longer than the time-out: it lives
                session.drive_once({"jawOpen": 0.1}, pts_ns=number)
                wait_for_pts(reader, number)
                threading.Event().wait(0.1)
            assert "not driven for 0.6 s" in end_of(reader)
        with pytest.raises(SessionNotFoundError, match="not driven"):
            session.drive_once({})


def test_the_server_stops(config: ServerConfig, engine: TinyEngine) -> None:
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        session = client.start_session("ada", 64, 64)
        reader = session.reader()
        must_receive(reader)
    assert "the server stops" in end_of(reader)
    reader.close()


def test_a_bug_ends_its_session_alone(
    client: FlexAvatarClient,
    session: ClientSession,
    engine: TinyEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(session.reader()) as reader:
        must_receive(reader)
        engine.draw_error = ZeroDivisionError("a bug")
        session.drive_once({"jawOpen": 0.1})
        assert "failed to draw it" in end_of(reader)
    assert "ZeroDivisionError: a bug" in caplog.text
    engine.draw_error = None
    with client.start_session("ada", 64, 64) as other, closing(other.reader()) as reader:
        must_receive(reader)


def other_goes_on(client: FlexAvatarClient) -> None:
    """Another session is drawn and ended as ever."""
    with client.start_session("ada", 64, 64) as other, closing(other.reader()) as reader:
        other.drive_once({"jawOpen": 0.1}, pts_ns=5)
        assert wait_for_pts(reader, 5).rgba is not None


@pytest.mark.parametrize("call", [1, 2])  # the first is of its turn, the second of the nap after
def test_a_bug_in_its_timing_ends_its_session_alone(
    client: FlexAvatarClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: int,
) -> None:
    calls = iter(range(1, 10**9))

    def broken(self: Session, now: float) -> float:
        if next(calls) >= call:
            raise ZeroDivisionError("a bug")
        return now + 60

    with monkeypatch.context() as patch:
        patch.setattr(Session, "wakes_at", broken)
        session = client.start_session("ada", 64, 64)
        eventually(lambda: client.info().sessions == 0)
    with pytest.raises(SessionNotFoundError, match="failed to draw it"):
        session.drive_once({})
    assert "ZeroDivisionError: a bug" in caplog.text
    other_goes_on(client)


def test_a_bug_in_its_end_is_logged(
    client: FlexAvatarClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its driver is told all the same."""

    def broken(self: FrameWriter, reason: str) -> None:
        raise ZeroDivisionError("a bug")

    session = client.start_session("ada", 64, 64)
    session.drive({"jawOpen": 0.1}, pts_ns=1)
    eventually(lambda: session.report.pts_ns == 1)
    with monkeypatch.context() as patch:
        patch.setattr(FrameWriter, "send_end", broken)
        client.delete_avatar("ada")
        with pytest.raises(SessionNotFoundError, match="was deleted"):
            drive_until_refused(session, {"jawOpen": 0.1})
    assert "ZeroDivisionError: a bug" in caplog.text
    client.create_avatar([PHOTO], "ada")
    other_goes_on(client)


def test_a_bug_with_newcomers_is_logged(
    client: FlexAvatarClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Publisher) -> list[bytes]:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "new_subscriptions", broken)
        eventually(lambda: "ZeroDivisionError: a bug" in caplog.text)
    other_goes_on(client)


def test_its_puppet_goes_with_it(client: FlexAvatarClient, engine: TinyEngine) -> None:
    """An avatar takes much memory: it must not wait for the next call to be let go of."""
    puppets: list[weakref.ref[TinyPuppet]] = []
    make = engine.puppet

    def kept(avatar: TinyAvatar, other: TinyAvatar | None = None) -> TinyPuppet:
        puppet = make(avatar, other)
        puppets.append(weakref.ref(puppet))
        return puppet

    engine.puppet = kept
    session = client.start_session("ada", 64, 64)
    session.drive_once({"jawOpen": 0.1})
    assert puppets[0]() is not None
    session.close()
    eventually(lambda: gc.collect() >= 0 and puppets[0]() is None)


def test_buffers_of_jpeg_are_made_for_jpeg(tmp_path: Path, engine: TinyEngine) -> None:
    plan = StreamPlan(frozenset({Kind.RGBA8}), 4096, 4096, 60.0, 90, 1.0)
    publisher = Publisher(local_config(tmp_path))
    tracemalloc.start()
    FrameWriter("0" * 16, plan, engine, publisher, 600)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    publisher.close()
    assert peak < 1 << 20  # two pictures of this size are 112 MiB
