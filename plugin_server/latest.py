"""Newest wins: the one-place mailbox between a fast writer and a slow reader."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """One-place mailbox: a slow reader skips, never lags.

    Several mailboxes may share one `changed`, so that one thread can wait for all of them.
    """

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self._changed = changed or threading.Condition()
        self._value: T | None = None
        self.received = 0
        self.replaced = 0

    def put(self, value: T) -> None:
        """Put a value in, in place of one that nobody took."""
        with self._changed:
            self.received += 1
            self.replaced += self._value is not None
            self._value = value
            self._changed.notify()

    def take(self, timeout: float = 0.0) -> T | None:
        """The newest value, or None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._value is not None, timeout)
            value, self._value = self._value, None
            return value

    @property
    def waiting(self) -> bool:
        """Whether there is a value."""
        return self._value is not None
