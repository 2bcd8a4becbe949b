"""Every way in which a session ends is told to its driver and its readers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flexavatar.errors import (
    SessionNotFoundError,
)
from plugin_server.client import ClientSession, FlexAvatarClient
from plugin_server.config import ServerConfig
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.reader import FrameReader
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyEngine,
    drive_until_refused,
    eventually,
    local_config,
    must_receive,
    server_and_client,
    wait_for_pts,
)

RGBA8, JPEG = pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_JPEG
DEPTH, SPLATS = pb.STREAM_KIND_DEPTH, pb.STREAM_KIND_SPLATS


@pytest.fixture
def engine() -> TinyEngine:
    return TinyEngine()


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    return local_config(tmp_path, max_sessions=3, max_width=2048, max_height=1024)


@pytest.fixture
def client(config: ServerConfig, engine: TinyEngine) -> Iterator[FlexAvatarClient]:
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        yield client


@pytest.fixture
def session(client: FlexAvatarClient) -> Iterator[ClientSession]:
    with client.start_session("ada", 64, 48) as session:
        yield session


# ---- how it ends


def end_of(reader: FrameReader) -> str:
    """Read until the server says that it is over."""
    try:
        while True:
            must_receive(reader)
    except SessionNotFoundError as error:
        return str(error)


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
