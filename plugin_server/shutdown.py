"""The server's last seconds: what runs may finish, nothing new starts."""

from __future__ import annotations

import time

from plugin_server.errors import StoppingError

STOPS = "the server stops"
"""Why sessions end then."""


class Shutdown:
    """Whether the server is about to stop."""

    def __init__(self) -> None:
        self._ends_at_s: float | None = None

    def begin(self, limit_s: float) -> None:
        """From now on nothing new starts; what runs has so many seconds."""
        self._ends_at_s = time.monotonic() + limit_s

    @property
    def begun(self) -> bool:
        """Whether it is about to stop."""
        return self._ends_at_s is not None

    @property
    def left_s(self) -> float:
        """Seconds that what runs still has; none before it has begun."""
        return 0.0 if self._ends_at_s is None else max(0.0, self._ends_at_s - time.monotonic())

    def check(self) -> None:
        """Raise StoppingError once nothing new may start."""
        if self.begun:
            raise StoppingError(f"{STOPS}: nothing new starts here")
