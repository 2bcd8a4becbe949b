"""Frames over a WebSocket: the same messages, who may read, who is slow, how it ends."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from plugin_server import frame_websocket, wire
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.frame_mailbox import FrameMailbox
from plugin_server.messages.drive_packet import DrivePacket, Parts, pack_drive, packet_weights
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.server import ServerAddresses, running_server
from plugin_server.wire import Header, Kind
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyEngine,
    eventually,
    local_config,
    server_and_client,
)
from tests.test_security import token_file  # noqa: F401 - a fixture

PICTURES_AND_SPLATS = (pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_SPLATS)
Served = tuple[FlexAvatarClient, ServerAddresses]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with server_and_client(local_config(tmp_path), TinyEngine()) as (client, addresses):
        client.create_avatar([PHOTO], name="ada")
        yield client, addresses


def start(served: Served, side: int = 32, **options: Any) -> ClientSession:
    return served[0].start_session("ada", name="show", width=side, height=side, **options)


def open_frames(served: Served, path: str = "/frames/show", **options: Any) -> ClientConnection:
    url = served[1].http_address.replace("http", "ws", 1)
    return connect(url + path, compression=None, max_size=None, proxy=None, **options)


def receive(socket: ClientConnection) -> tuple[Header, bytes]:
    message = socket.recv(PATIENCE_S)
    assert isinstance(message, bytes)
    return wire.read_header(message), message


def farewell(socket: ClientConnection) -> tuple[int, str, list[bytes]]:
    """Read until it closes: with which code and reason, and what came before."""
    messages: list[bytes] = []
    with suppress(ConnectionClosed):
        while True:
            messages.append(bytes(socket.recv(PATIENCE_S, decode=False)))
    assert socket.close_code is not None, "it closed without a word"
    return socket.close_code, socket.close_reason or "", messages


def status_of(served: Served, path: str = "/frames/show", **options: Any) -> int:
    """Of the handshake: 101 if it is let in."""
    try:
        with open_frames(served, path, **options):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def test_messages_and_packets(served: Served) -> None:
    """A packet goes in, its frame comes out, as over ZeroMQ; then the end, in words."""
    with start(served) as session, open_frames(served) as socket:
        packet = DrivePacket(
            session.info.session_id, session.info.owner_token, 1, 77, Parts.ARKIT,
            packet_weights({"jawOpen": 0.5}),
        )  # fmt: skip
        header, message = receive(socket)
        rest = wire.rgba8(header, message)[0, 0, 0]
        socket.send(pack_drive(packet))
        while header.pts_ns != 77:
            header, message = receive(socket)
        assert header.session == session.info.session_id
        assert (header.width, header.height) == (32, 32)
        assert wire.rgba8(header, message)[0, 0, 0] != rest
        session.close()
        code, reason, messages = farewell(socket)
        assert wire.read_header(messages[-1]).kind is Kind.END
        assert (code, reason) == (1000, wire.end_reason(messages[-1]))


def test_found_by_its_id(served: Served) -> None:
    with (
        start(served) as session,
        open_frames(served, f"/frames/{session.info.session_id}") as socket,
    ):
        assert receive(socket)[0].kind is Kind.RGBA8


def test_kinds_that_are_asked_for(served: Served) -> None:
    with start(served, kinds=PICTURES_AND_SPLATS):
        with open_frames(served, "/frames/show?kinds=splats") as socket:
            assert {receive(socket)[0].kind for _ in range(3)} <= {*wire.SPLATS}
        with open_frames(served) as socket:
            assert {receive(socket)[0].kind for _ in range(6)} > {Kind.RGBA8}
        with open_frames(served, "/frames/show?kinds=depth") as socket:
            code, reason, _ = farewell(socket)
            assert code == 4400
            assert reason.startswith("kinds: expected some of ['rgba8', 'splats']")


@pytest.mark.parametrize("name", ["nobody", "0123456789abcdef", "", "%C3%A4/.."])
def test_no_such_session(served: Served, name: str) -> None:
    with open_frames(served, f"/frames/{name}") as socket:
        assert farewell(socket)[0] == 4404


def test_what_is_no_packet(served: Served) -> None:
    """Bytes are counted, as over ZeroMQ; text, and what is too long, closes."""
    with start(served):
        with open_frames(served) as socket:
            socket.send(b"FLXD, but short")
            eventually(lambda: served[0].info().drive.refused == 1)
            receive(socket)
            socket.send("text")
            assert farewell(socket)[0] == 1003
        with open_frames(served) as socket:
            socket.send(bytes(4097))
            assert farewell(socket)[0] == 1009


def handshake_status(served: Served, host: str, origin: str) -> int:
    """As a browser asks that somebody has led astray by a name."""
    with closing(HTTPConnection(urlsplit(served[1].http_address).netloc)) as line:
        line.putrequest("GET", "/frames/show", skip_host=True)
        for name, value in {
            "Host": host, "Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }.items():  # fmt: skip
            line.putheader(name, value)
        line.endheaders()
        return line.getresponse().status


def test_pages_of_others(served: Served) -> None:
    """Without a token only pages of the server itself may read, under a name of this machine."""
    own = served[1].http_address
    with start(served):
        assert status_of(served, origin="https://example.com") == 403
        assert status_of(served, origin="http://127.0.0.1:1") == 403
        assert status_of(served, origin="http://[") == 403
        assert handshake_status(served, "example.com", "http://example.com") == 403
        assert handshake_status(served, "localhost", "http://localhost") == 101
        with open_frames(served, origin=own) as socket:
            receive(socket)
    assert status_of(served, "/elsewhere") == 404


def test_the_token(tmp_path: Path, token_file: Path) -> None:  # noqa: F811
    config = local_config(tmp_path, token_file=token_file)
    with ExitStack() as stack:
        addresses = stack.enter_context(running_server(config, TinyEngine()))
        token = token_file.read_text().strip()
        client = stack.enter_context(FlexAvatarClient(addresses.address, token=token))
        client.create_avatar([PHOTO], name="ada")
        served = client, addresses
        stack.enter_context(start(served))
        letters = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        for protocols in (["flexavatar"], ["flexavatar", "bearer.AAAA"], ["bearer.A"]):
            assert status_of(served, subprotocols=protocols) == 401
        header = {"Authorization": f"Bearer {token}"}
        with open_frames(served, additional_headers=header) as socket:
            receive(socket)
        protocols = ["flexavatar", f"bearer.{letters}"]
        with open_frames(served, subprotocols=protocols, origin="https://example.com") as socket:
            assert socket.subprotocol == "flexavatar"
            receive(socket)


def test_more_readers_than_there_is_room_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_websocket, "READERS", 2)
    with start(served):
        with open_frames(served), open_frames(served):
            assert status_of(served) == 503
        eventually(lambda: status_of(served) == 101)


def test_a_slow_reader_gets_the_newest(served: Served) -> None:
    """It holds up nobody, and what it gets after a pause is not what it missed."""
    line = socket.create_connection(("127.0.0.1", int(served[1].http_address.rpartition(":")[2])))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    with (
        start(served, side=512) as session,
        open_frames(served) as quick,
        open_frames(served, sock=line, max_queue=1) as slow,
    ):
        receive(slow)
        for pts_ns in range(1, 61):
            session.drive({"jawOpen": pts_ns / 60}, pts_ns=pts_ns)
            while receive(quick)[0].pts_ns < pts_ns:
                pass
        seen = [0]
        while seen[-1] < 60:
            seen.append(receive(slow)[0].pts_ns)
        assert len(seen) < 40  # a few messages lie in the kernels' buffers, the rest is left out


def test_a_reader_that_takes_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_websocket, "STALLED_MS", 200)
    monkeypatch.setattr(frame_websocket, "READERS", 1)
    with (
        start(served, side=512, max_fps=120) as session,
        open_frames(served, max_queue=1, close_timeout=0.1),
    ):

        def has_room() -> bool:
            session.drive({"jawOpen": 0.5})
            return status_of(served) == 101

        eventually(has_room)


def message_of(kind: Kind, seq: int) -> bytes:
    return bytes(wire.pack(Header("0" * 16, kind, seq, 0, 0)))


def test_what_waits_is_replaced_by_its_kind() -> None:
    """A keyframe also makes the older change of an older one worthless."""
    woken: list[None] = []
    mailbox = FrameMailbox("0" * 16, Kind, lambda: woken.append(None))
    key, delta, picture = Kind.SPLATS_KEY, Kind.SPLATS_DELTA, Kind.RGBA8
    sent = [(key, 1), (delta, 2), (picture, 2), (delta, 3), (picture, 3), (key, 4), (delta, 5)]
    for kind, seq in sent:
        mailbox.put(message_of(kind, seq))
    taken = [wire.HEADER.unpack(message) for message in iter(mailbox.take, None)]
    assert [(kind, seq) for _, _, _, _, kind, _, seq, *_ in taken] == [
        (picture, 3),
        (key, 4),
        (delta, 5),
    ]
    assert len(woken) == len(sent)
    assert not mailbox.wants(message_of(picture, 1).replace(b"0" * 16, b"1" * 16))
