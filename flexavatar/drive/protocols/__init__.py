"""Packets of capture apps -> Signal, and back for tests and senders. Nothing here waits.

Each module reads one protocol. A reader belongs to one sender, keeps a bounded amount, and raises
DriveError, and nothing else, for a packet that it cannot read.
"""

from __future__ import annotations

from typing import Protocol

from flexavatar.drive.signal import Signal


class Reader(Protocol):
    """What one sender's packets say, one after the other."""

    def read(self, packet: bytes) -> Signal | None:
        """The face in a packet; None if it has none (yet). Raises DriveError."""
        ...

    @property
    def missing(self) -> str:
        """Why packets came and no face, in words; empty if nothing is amiss."""
        ...
