"""Which packets are newer than those before: networks repeat, swap and lose them."""

from __future__ import annotations

from flexavatar.types import NS_PER_S

LATE_S = 0.5
"""What is further behind did not lose its way: its sender has started anew."""


class Order:
    """Of one sender's packets, by the sender's own clock where there is one."""

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._taken_at_s = 0.0

    def is_new(self, time_ns: int | None, now_s: float) -> bool:
        """Whether a packet that comes now is to be used."""
        if time_ns is None:
            return True
        if self._newest_ns is not None and now_s - self._taken_at_s < LATE_S:
            if 0 < self._newest_ns - time_ns < LATE_S * NS_PER_S:
                return False
        self._newest_ns, self._taken_at_s = time_ns, now_s
        return True
