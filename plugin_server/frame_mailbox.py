"""A reader inside the server: the newest message of every kind, for who may be slow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from plugin_server.wire import TOPIC, Kind, topic


class FrameMailbox:
    """Messages of one session that wait for one reader; newer ones take the older ones' places.

    Any thread may put and take.
    """

    def __init__(self, session: str, kinds: Iterable[Kind], wake: Callable[[], object]) -> None:
        """`wake` is called after every message, on the thread that put it in."""
        self.topics = {topic(session, kind)[0]: kind for kind in kinds}
        self._wake, self._lock = wake, threading.Lock()
        self._waiting: dict[Kind, bytes] = {}  # in the order in which they are to be read

    def wants(self, start: bytes) -> bool:
        """Whether messages that start like this are read."""
        return start[: TOPIC.size] in self.topics

    def put(self, message: bytes) -> None:
        """Leave a message that is wanted."""
        kind = self.topics[message[: TOPIC.size]]
        with self._lock:
            if kind is Kind.SPLATS_KEY:  # what changes an older one is of no use any more
                self._waiting.pop(Kind.SPLATS_DELTA, None)
            self._waiting.pop(kind, None)
            self._waiting[kind] = message
        self._wake()

    def take(self) -> bytes | None:
        """The message that has waited longest, or None."""
        with self._lock:
            kind = next(iter(self._waiting), None)
            return None if kind is None else self._waiting.pop(kind)
