"""ZeroMQ's protocol without its library: strangers who say what no library would."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.service import PATIENCE_S

GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0")
READY = b"\4\x19\5READY\x0bSocket-Type\0\0\0\3SUB"


@contextmanager
def subscriber(address: str) -> Iterator[socket.socket]:
    """A stranger who has been let in.

    It waits until the server is ready: what it says before would end the connection.
    """
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), PATIENCE_S) as line:
        line.sendall(GREETING + READY)
        with line.makefile("rb") as answer:
            assert answer.read(len(GREETING) + len(READY) + len("X")).endswith(b"XPUB")
        yield line


def subscribe(line: socket.socket, name: bytes, joins: bool = True) -> None:
    """Subscribe to what starts so, or take it back."""
    line.sendall(bytes((0, 1 + len(name), joins)) + name)
