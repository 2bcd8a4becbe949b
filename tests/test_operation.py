"""What operators see and may do: roles, pages, options, logs."""

from __future__ import annotations

import asyncio
import errno
import http.client
import json
import logging
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import tyro

from flexavatar.cli.tools import Serve
from flexavatar.errors import InputError, SessionNotFoundError
from plugin_server.client.client import FlexAvatarClient
from plugin_server.config import ServerConfig, environment_options
from plugin_server.errors import ServerUnavailableError
from plugin_server.logs import JsonLines, LoopErrors, TextLines
from plugin_server.security import Access
from plugin_server.server import running_server
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyEngine,
    drive_until_refused,
    eventually,
    must_receive,
    server_and_client,
)


def get(address: str, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as line:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read().decode()


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
