"""Which packets are newer than those before: networks repeat, swap and lose them."""

from __future__ import annotations

from flexavatar.drive.signal import NO_PTS
from flexavatar.types import NS_PER_S

LATE_S = 0.5
"""What is further behind did not lose its way: its sender has started anew."""


class PacketOrder:
    """Of one sender's packets, by the sender's own clock where there is one."""

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._taken_at_s = 0.0

    def is_new(self, pts_ns: int, now_s: float) -> bool:
        """Whether a packet that comes now is to be used."""
        if pts_ns == NO_PTS:
            return True
        if self._newest_ns is not None and now_s - self._taken_at_s < LATE_S:
            if 0 < self._newest_ns - pts_ns < LATE_S * NS_PER_S:
                return False
        self._newest_ns, self._taken_at_s = pts_ns, now_s
        return True
