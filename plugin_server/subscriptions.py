"""Who has subscribed to what: as told by every connection, for as long as it lasts."""

from __future__ import annotations

import os
from collections import Counter
from typing import NamedTuple

import zmq

MAX_TOPIC_BYTES = 64
MAX_TOPICS = 4096
TOPICS_EACH = 64
"""Topics of one connection; readers of ours have one for each kind of frame."""


class Connection(NamedTuple):
    """A reader's connection. Descriptors are used again, sockets behind them are not."""

    descriptor: int
    inode: int

    @property
    def alive(self) -> bool:
        """Whether it is still open."""
        return _open_connection(self.descriptor) == self


def _open_connection(descriptor: int) -> Connection | None:
    try:
        return Connection(descriptor, os.fstat(descriptor).st_ino)
    except OSError:
        return None


def connection_of(event: zmq.Frame) -> Connection | None:
    """Where an (un)subscription came from; None once that is closed."""
    try:
        return _open_connection(int(event.get(zmq.SRCFD)))
    except zmq.ZMQError:  # libzmq's own word, after the connection's end
        return None


class Subscriptions:
    """The topics of every connection.

    A count of what is told would be wrong: a stranger may subscribe twice, or take back what
    it never had, and of a connection's end libzmq also tells the topics that were refused.
    """

    def __init__(self) -> None:
        self._of: dict[Connection, set[bytes]] = {}
        self._topics: Counter[bytes] = Counter()

    def has_room(self, connection: Connection, name: bytes) -> bool:
        """Whether this connection may have one more topic."""
        own = self._of.get(connection, ())
        if name in own:
            return True
        fits = len(name) <= MAX_TOPIC_BYTES and len(own) < TOPICS_EACH
        return fits and len(self._topics) < MAX_TOPICS

    def add(self, connection: Connection, name: bytes) -> None:
        """Note a topic of a connection."""
        names = self._of.setdefault(connection, set())
        if name not in names:
            names.add(name)
            self._topics[name] += 1

    def remove(self, connection: Connection, name: bytes) -> None:
        """Forget a topic of a connection, if it has it."""
        if name in self._of.get(connection, ()):
            self._of[connection].remove(name)
            self._topics -= Counter((name,))

    def forget_closed(self) -> None:
        """Forget all that connections had which are no more."""
        for connection in [c for c in self._of if not c.alive]:
            self._topics -= Counter(self._of.pop(connection))

    def covers(self, topic: bytes) -> bool:
        """Whether somebody has subscribed to messages that start like this."""
        return any(map(topic.startswith, self._topics))
