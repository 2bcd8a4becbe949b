"""Where frames go: ZeroMQ's socket and mailboxes in here; reused buffers, no send blocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import zmq

from flexavatar.errors import InputError
from plugin_server.config import ServerConfig
from plugin_server.frame_mailbox import FrameMailbox
from plugin_server.security import FrameKeys
from plugin_server.subscriptions import Subscriptions, connection_of
from plugin_server.wire import TOPIC, Buffer, topic

SEND_QUEUE = 8
"""Messages kept for a slow reader, two frames of all kinds; more are dropped for it alone."""
LARGEST_MESSAGE = 4096
"""Bytes of anything that comes in, handshakes and topics included; who sends more is hung up on."""
HANDSHAKE_MS = 5000
"""Who has not introduced itself by then is hung up on."""
STALLED_MS = 10_000
"""Who takes none of its bytes for so long is hung up on, and the frames kept for it are freed."""
KEEPALIVE_S = 30
TOPICS_AT_ONCE = 256
"""Subscriptions that are looked at between two frames."""
LEAST_BUFFERS, BUFFERS_PER_SESSION = 24, 3
"""One is written while others are sent."""
UNUSED_S = 2.0
"""A buffer that was not needed for so long is given back."""
LINGER_MS = 200


def guard(socket: zmq.Socket[Any]) -> None:
    """Bound what a stranger can make a socket, not bound yet, hold and wait for."""
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.TCP_MAXRT, STALLED_MS)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_S)


MakeRoom: TypeAlias = Callable[[int], np.ndarray]
"""So many bytes -> uint8 of that size."""


def _plain_room(size: int) -> np.ndarray:
    return np.empty(size, np.uint8)


class MessageBuffer:
    """One message buffer, free again once ZeroMQ has sent it."""

    def __init__(self, room: np.ndarray) -> None:
        self.bytes = room  # [capacity] uint8
        self.tracker: zmq.MessageTracker | None = None
        self.held = False
        """Whether it is written or read here."""
        self.taken_s = 0.0

    @property
    def free(self) -> bool:
        """Whether nobody reads it any more."""
        return not self.held and (self.tracker is None or self.tracker.done)


class BufferPool:
    """Buffers by size, reused; more are made only while readers hold on to the others."""

    def __init__(self, room: MakeRoom = _plain_room, most: int = LEAST_BUFFERS) -> None:
        """At most so many are kept, in memory that `room` gives."""
        self._room, self._most = room, most
        self._buffers: list[MessageBuffer] = []

    @contextmanager
    def take(self, size: int) -> Iterator[MessageBuffer]:
        """A buffer of at least `size` bytes, the tightest that is free, kept for this context."""
        fits = [b for b in self._buffers if size <= len(b.bytes) <= 2 * size + 65536 and b.free]
        tightest = min(fits, key=lambda b: len(b.bytes), default=None)
        buffer = tightest or MessageBuffer(self._room(size + size // 8))
        buffer.held, buffer.taken_s = True, time.monotonic()
        others = [b for b in self._buffers if b is not buffer]
        self._buffers = [buffer, *others][: self._most]  # ZeroMQ keeps what it still reads alive
        try:
            yield buffer
        finally:
            buffer.held = False

    def forget_unused(self) -> None:
        """Let go of buffers that nobody has needed lately."""
        oldest_s = time.monotonic() - UNUSED_S
        self._buffers = [b for b in self._buffers if b.taken_s >= oldest_s]


class Publisher:
    """One XPUB socket for all sessions. Any thread may send; a send never blocks."""

    def __init__(self, config: ServerConfig, room: MakeRoom = _plain_room) -> None:
        """`room` gives the memory that frames are drawn into. Raises InputError."""
        self.context: zmq.Context[Any] = zmq.Context()
        self._config, self._lock = config, threading.Lock()
        self._subscriptions = Subscriptions()
        self._mailboxes: tuple[FrameMailbox, ...] = ()  # replaced whole
        self._new_mailboxes: list[FrameMailbox] = []
        self.encoder = ThreadPoolExecutor(1, "encode")
        """For JPEG: other sessions are drawn meanwhile."""
        self.keys = None if config.frames_are_local else FrameKeys(self.context)
        self._socket = self.context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_MANUAL, 1)  # every newcomer is told of, and let in here
        self._socket.setsockopt(zmq.SNDHWM, SEND_QUEUE)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        try:
            self.address = self.bind(self._socket, config.frame_port)
        except InputError:
            self.close()
            raise
        most = max(LEAST_BUFFERS, BUFFERS_PER_SESSION * config.max_sessions)
        self.pool = BufferPool(room, most)

    def bind(self, socket: zmq.Socket[Any], port: int) -> str:
        """Bind a socket of this context, encrypted if it must be; where clients connect.

        Raises InputError.
        """
        name = self._config.frame_host
        host = f"[{name}]" if ":" in name else name
        socket.setsockopt(zmq.IPV6, int(":" in name))
        guard(socket)
        if self.keys:
            self.keys.protect(socket)
        try:
            socket.bind(f"tcp://{host}:{port or '*'}")
        except zmq.ZMQError as error:
            raise InputError(f"cannot open ZeroMQ's {host}:{port}: {error}") from error
        bound = socket.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1]
        return f"tcp://{self._config.public_host or host}:{bound}"

    def send(self, buffer: MessageBuffer, size: int) -> None:
        """Hand the first `size` bytes of a buffer of the pool to every reader that keeps up."""
        message = buffer.bytes.data[:size]
        with self._lock:
            tracker = self._socket.send(message, zmq.DONTWAIT, copy=False, track=True)
        buffer.tracker = tracker
        self._deliver(message)

    def send_copy(self, message: bytes | bytearray) -> None:
        """Send a small message."""
        with self._lock:
            self._socket.send(message, zmq.DONTWAIT)
        self._deliver(message)

    def _deliver(self, message: Buffer) -> None:
        """Copy a message, once, for the mailboxes that want it."""
        start = bytes(message[: TOPIC.size])
        if readers := [mailbox for mailbox in self._mailboxes if mailbox.wants(start)]:
            copied = bytes(message)
            for mailbox in readers:
                mailbox.put(copied)

    @contextmanager
    def delivering(self, mailbox: FrameMailbox) -> Iterator[None]:
        """Put what is sent into a mailbox as well, for as long as the context lasts."""
        with self._lock:
            self._mailboxes = (*self._mailboxes, mailbox)
            self._new_mailboxes.append(mailbox)
        try:
            yield
        finally:
            with self._lock:
                self._mailboxes = tuple(m for m in self._mailboxes if m is not mailbox)

    def has_subscriber(self, topic: bytes) -> bool:
        """Whether somebody reads messages that start like this."""
        return self._subscriptions.covers(topic) or any(m.wants(topic) for m in self._mailboxes)

    def new_subscriptions(self) -> list[bytes]:
        """The topics subscribed to since the last call; they are waiting for a first message."""
        found: list[bytes] = []
        some_closed = False
        with self._lock:
            found += [name for mailbox in self._new_mailboxes for name in mailbox.topics]
            self._new_mailboxes.clear()
            for _ in range(TOPICS_AT_ONCE):
                if (event := self._receive()) is None:
                    break
                connection, name = connection_of(event), event.bytes[1:]
                if connection is None:
                    some_closed = True
                elif event.bytes[:1] != b"\x01":
                    self._socket.setsockopt(zmq.UNSUBSCRIBE, name)
                    self._subscriptions.remove(connection, name)
                elif self._may_read(event, name) and self._subscriptions.has_room(connection, name):
                    self._socket.setsockopt(zmq.SUBSCRIBE, name)
                    self._subscriptions.add(connection, name)
                    found.append(name)
            if some_closed:
                self._subscriptions.forget_closed()
        return found

    def _may_read(self, event: zmq.Frame, name: bytes) -> bool:
        """Whether the reader who sent this may hear what starts so: its own session, with keys."""
        if self.keys is None:
            return True
        session = self.keys.session_of(event)
        return session is not None and name.startswith(topic(session)[0])

    def _receive(self) -> zmq.Frame | None:
        """The next (un)subscription, if there is one."""
        try:
            return self._socket.recv(zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return None

    @property
    def problems(self) -> list[str]:
        """What keeps new readers from being let in."""
        if self.keys is None or self.keys.alive:
            return []
        return ["the thread that checks the readers' keys has ended: nobody new is let in"]

    def close(self) -> None:
        """Send what is on its way, for a moment, then close."""
        self.encoder.shutdown()
        with self._lock:
            self._socket.close()
            if self.keys:
                self.keys.close()
            self.context.term()
