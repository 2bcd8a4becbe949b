"""What somebody without a token, or with the worst of intentions, cannot do to the others."""

from __future__ import annotations

import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from plugin_server.client.client import ClientSession, FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from tests.service import must_receive

MEBIBYTE = 1 << 20
LONGEST_GAP_S = 1.0
"""A session at rest repeats itself every half second; twice that on a busy machine."""


def resident_mib() -> float:
    """Memory of this process, which is the server's too."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MEBIBYTE


def longest_gap_s(reader: FrameReader, seconds: float) -> float:
    """Of the frames that come in the next seconds."""
    start = last = time.monotonic()
    longest = 0.0
    while last - start < seconds:
        must_receive(reader)
        last, before = time.monotonic(), last
        longest = max(longest, last - before)
    return longest


GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0")
READY = b"\4\x19\5READY\x0bSocket-Type\0\0\0\3SUB"


@contextmanager
def subscriber(address: str) -> Iterator[socket.socket]:
    """A stranger who speaks ZeroMQ without its library, as far as to subscribe."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(port))) as line:
        line.sendall(GREETING + READY)
        yield line


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
            stranger.sendall(b"\0\x21\1%032d" % number)
        assert longest_gap_s(reader, 2.0) < LONGEST_GAP_S


@pytest.fixture(autouse=True)
def _somebody_there(client: FlexAvatarClient) -> None:
    """Every test has a server with one avatar."""
