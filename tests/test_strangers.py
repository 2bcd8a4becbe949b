"""What somebody without a token, or with the worst of intentions, cannot do to the others."""

from __future__ import annotations

import http.client
import json
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from grpc import RpcError, StatusCode

from plugin_server import http_server, publisher
from plugin_server.bodies import LARGE_BODIES
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from plugin_server.server import running_server
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyEngine,
    eventually,
    local_config,
    must_receive,
    server_and_client,
)
from tests.zmtp import subscribe, subscriber

MEBIBYTE = 1 << 20
LONGEST_GAP_S = 1.0
"""A session at rest repeats itself every half second; twice that on a busy machine."""


def resident_mib() -> float:
    """Memory of this process, which is the server's too."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MEBIBYTE


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def longest_gap_s(reader: FrameReader, seconds: float) -> float:
    """Of the frames that come in the next seconds."""
    start = last = time.monotonic()
    longest = 0.0
    while last - start < seconds:
        must_receive(reader)
        last, before = time.monotonic(), last
        longest = max(longest, last - before)
    return longest


def test_a_huge_topic_stops_nobody(session: ClientSession) -> None:
    with closing(session.reader()) as reader, subscriber(session.info.frame_address) as stranger:
        must_receive(reader)
        before, topic = resident_mib(), bytes(32 * MEBIBYTE)
        with suppress(OSError):  # it is hung up on
            stranger.sendall(b"\2" + struct.pack(">Q", 1 + len(topic)) + b"\1" + topic)
        assert longest_gap_s(reader, 2.0) < LONGEST_GAP_S
        assert resident_mib() - before < 96  # of which 32 are the stranger's


def test_many_topics_stop_nobody(session: ClientSession) -> None:
    with closing(session.reader()) as reader, subscriber(session.info.frame_address) as stranger:
        must_receive(reader)
        for number in range(20_000):
            subscribe(stranger, b"%032d" % number)
        assert longest_gap_s(reader, 2.0) < LONGEST_GAP_S
        with closing(session.reader()) as newcomer:
            must_receive(newcomer)


def silent_connections(address: str, count: int, words: bytes = b"") -> list[socket.socket]:
    """Connections that say no more than this."""
    host, port = address.rsplit(":", 1)
    lines = [socket.create_connection((host, int(port))) for _ in range(count)]
    for line in lines:
        line.sendall(words)
    return lines


def http_status(address: str, **headers: str) -> int:
    """Of one call that is new to the server."""
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as line:
        kind = {"Content-Type": "application/json", **headers}
        line.request("POST", "/flexavatar.v1.FlexAvatar/ListAvatars", b"{}", kind)
        return line.getresponse().status


@pytest.mark.parametrize("words", [b"", b"POST / HTTP/1.1\r\nHost: loc"])
def test_silent_connections_give_way(
    config: ServerConfig, engine: TinyEngine, words: bytes
) -> None:
    with running_server(config, engine) as listening, ExitStack() as stack:
        address = listening.http_address.removeprefix("http://")
        for line in silent_connections(address, http_server.CONNECTIONS + 4, words):
            stack.enter_context(line)
        assert http_status(address) == 200


@pytest.mark.parametrize("words", [b"", b"POST / HTTP/1.1\r\nHost: loc"])
def test_a_silent_connection_is_closed(
    config: ServerConfig, engine: TinyEngine, words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_S", 0.2)
    with running_server(config, engine) as listening:
        address = listening.http_address.removeprefix("http://")
        (line,) = silent_connections(address, 1, words)
        with line:
            line.settimeout(PATIENCE_S)
            with suppress(ConnectionResetError):
                assert line.recv(1) == b""


STRANGERS_UPLOADS = """
import sys, grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    upload = channel.unary_unary("/flexavatar.v1.FlexAvatar/CreateAvatarOnce")
    for call in [upload.future(bytes(64 << 20)) for _ in range(4)]:
        print(call.exception(20).code().name)
"""
"""In a process of their own: gRPC's client copies what it sends."""


def test_bodies_are_not_read_before_the_token(config: ServerConfig, engine: TinyEngine) -> None:
    token = config.store.parent / "token"
    token.write_text("a-token-of-tests\n")
    with running_server(replace(config, token_file=token), engine) as listening:
        command = [sys.executable, "-c", STRANGERS_UPLOADS, listening.address]
        before = peak_mib()
        answers = subprocess.check_output(command, text=True, timeout=PATIENCE_S)
        assert answers.split() == [StatusCode.UNAUTHENTICATED.name] * 4
        assert peak_mib() - before < 64  # not even one of them
        with FlexAvatarClient(listening.address, "a-token-of-tests") as client:
            assert client.info().avatars == 0


def test_whole_uploads_come_in_a_few_at_once(config: ServerConfig, engine: TinyEngine) -> None:
    body = json.dumps({"photos": ["AAAA"]}).encode()
    head = (
        b"POST /flexavatar.v1.FlexAvatar/CreateAvatarOnce HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with running_server(config, engine) as listening, ExitStack() as stack:
        address = listening.http_address.removeprefix("http://")
        lines = silent_connections(address, LARGE_BODIES + 1, head + body[:4])
        for line in lines:
            stack.enter_context(line)
        refused = [line for line in lines if line in select.select(lines, [], [], 5.0)[0]]
        assert len(refused) == 1
        assert refused[0].recv(100).startswith(b"HTTP/1.1 429 ")
        for line in lines:
            if line not in refused:
                line.sendall(body[4:])
                assert line.recv(100).startswith(b"HTTP/1.1 200 ")


def test_what_is_no_message_is_the_clients_mistake(client: FlexAvatarClient) -> None:
    path = "/flexavatar.v1.FlexAvatar"
    once = client.channel.unary_unary(f"{path}/GetAvatar")
    stream = client.channel.stream_stream(f"{path}/Drive")
    for call in (
        lambda: once(b"\xff\xff", timeout=PATIENCE_S),
        lambda: next(stream(iter([b"\xff\xff"]), timeout=PATIENCE_S)),
    ):
        with pytest.raises(RpcError) as refusal:
            call()
        error: Any = refusal.value
        assert error.code() is StatusCode.INVALID_ARGUMENT


def test_an_upload_that_trickles_holds_no_place(config: ServerConfig, engine: TinyEngine) -> None:
    """Something comes all the time, but never enough."""
    header = pb.CreateAvatarHeader(name="ada")

    def trickle() -> Iterator[pb.CreateAvatarRequest]:
        yield pb.CreateAvatarRequest(header=header)
        while True:
            yield pb.CreateAvatarRequest(chunk=pb.PhotoChunk(data=b"x"))
            time.sleep(0.05)

    with running_server(replace(config, upload_timeout_s=0.3), engine) as listening:
        with FlexAvatarClient(listening.address) as client:
            start = time.monotonic()
            with pytest.raises(RpcError) as refusal:
                list(FlexAvatarStub(client.channel).CreateAvatar(trickle()))
            error: Any = refusal.value
            assert error.code() is StatusCode.DEADLINE_EXCEEDED
            assert "expected 128 KiB a second or more" in error.details()
            assert time.monotonic() - start < 3
            assert client.create_avatar([PHOTO], "ada").name == "ada"


def test_a_reader_that_stops_keeps_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept for it goes with its connection, and the buffers soon after."""
    monkeypatch.setattr(publisher, "STALLED_MS", 6000)  # in which three frames are drawn
    with server_and_client(local_config(tmp_path), TinyEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
        session = client.start_session("ada", 4096, 4096)
        before = resident_mib()
        with subscriber(session.info.frame_address) as stranger:
            subscribe(stranger, session.info.topic)
            eventually(lambda: bool(session.drive_once({})) and resident_mib() - before > 150)
            eventually(lambda: bool(session.drive_once({})) and resident_mib() - before < 80)


def test_headers_that_are_no_text(config: ServerConfig, engine: TinyEngine) -> None:
    with running_server(config, engine) as listening:
        address = listening.http_address.removeprefix("http://")
        (line,) = silent_connections(
            address,
            1,
            b"POST /flexavatar.v1.FlexAvatar/ListAvatars HTTP/1.1\r\n"
            b"Host: localhost\r\nX-Name: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
        )
        with line:
            assert line.recv(100).startswith(b"HTTP/1.1 400 ")


def test_pages_of_a_browser(config: ServerConfig, engine: TinyEngine) -> None:
    """A page that leads its name to this machine gets nothing; one that knows the token all."""
    token = config.store.parent / "token"
    token.write_text("a-token-of-tests\n")
    with running_server(config, engine) as listening:
        address = listening.http_address.removeprefix("http://")
        assert http_status(address, Host="a.page:50052") == 403
        assert http_status(address, Host="localhost:50052") == 200
    with running_server(replace(config, token_file=token), engine) as listening:
        address = listening.http_address.removeprefix("http://")
        with closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as line:
            line.request(
                "OPTIONS", "/flexavatar.v1.FlexAvatar/ListAvatars", headers={"Origin": "http://a"}
            )
            answer = line.getresponse()
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == "http://a"
            assert "authorization" in answer.headers["access-control-allow-headers"]


def test_a_flood_of_drive_packets_leaves_the_calls_alone(
    client: FlexAvatarClient, session: ClientSession
) -> None:
    stop = threading.Event()

    def flood() -> None:
        context: zmq.Context[Any] = zmq.Context()
        with closing(context.socket(zmq.PUSH)) as line:
            line.setsockopt(zmq.LINGER, 0)
            line.connect(session.info.drive_address)
            while not stop.is_set():
                with suppress(zmq.Again):
                    line.send(bytes(336), zmq.DONTWAIT)
        context.term()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        time.sleep(0.5)
        waits = []
        for _ in range(20):
            start = time.monotonic()
            client.list_avatars()
            waits.append(time.monotonic() - start)
    finally:
        stop.set()
        flooding.join()
    assert sorted(waits)[15] < 0.3
