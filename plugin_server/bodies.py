"""How much of a call may be on its way in: how fast it must come, and how many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from flexavatar.errors import BusyError
from plugin_server.errors import UploadTimeoutError

SLOWEST_BYTES = 128 << 10
"""A second, on average: an upload that comes slower holds its place from others."""
LARGE_BODIES = 2
"""Bodies of a whole upload that may come in at once."""
SMALL_BODY_BYTES = 2 << 20
"""No other call is longer: a chunk of sound is 1 MiB, a third more in JSON."""

T = TypeVar("T")


class UploadPace:
    """The time that an upload has: to send something, and to send it all."""

    def __init__(self, timeout_s: float) -> None:
        """It may be silent for so long, and take twice that longer than its size allows."""
        self._timeout_s = timeout_s
        self._start_s, self._received = time.monotonic(), 0

    def count(self, size: int) -> None:
        """Note that so many bytes came in."""
        self._received += size

    async def wait(self, coming: Awaitable[T]) -> T:
        """What comes next. Raises UploadTimeoutError."""
        due_s = self._start_s + 2 * self._timeout_s + self._received / SLOWEST_BYTES
        left_s = due_s - time.monotonic()
        try:
            return await asyncio.wait_for(coming, min(left_s, self._timeout_s))
        except TimeoutError:
            raise UploadTimeoutError(self._complaint(left_s)) from None

    def _complaint(self, left_s: float) -> str:
        if left_s >= self._timeout_s:
            return f"upload: nothing came for {self._timeout_s:g} s"
        return f"upload: expected {SLOWEST_BYTES >> 10} KiB a second or more, got less"


class BodyPlaces:
    """Whole uploads in one message that are on their way in. For the event loop."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of them. Raises BusyError."""
        if self._taken >= LARGE_BODIES:
            raise BusyError(f"uploads: {LARGE_BODIES} come in already, try again later")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
