"""`flexavatar send`: a recorded performance over the network, as a capture app sends it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from flexavatar.errors import InputError
from plugin_server.gateways.config import ProtocolName


@dataclass(frozen=True)
class Send:
    """Send a performance as a capture app would: to try things out without a phone."""

    protocol: ProtocolName
    """What to speak."""
    to: str
    """host:port of the gateway."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A recording of Live Link Face, .csv; the performance that ships if not given."""
    fps: float = 60.0
    """Frames a second."""
    repeat: int = 1
    """How often."""
    lose: float = 0.0
    """Share of datagrams that get lost, 0..1."""
    reorder: bool = False
    """Some datagrams come after the next one."""
    seed: int = 0
    """Of what is lost and swapped."""
    subject: str = "flexavatar send"
    """Whom it says it tracks, where the protocol has that."""

    def run(self) -> None:
        """Read, and send every frame at its time."""
        if not (1 <= self.fps <= 240 and 0 <= self.lose < 1 and self.repeat >= 1):
            raise InputError(
                "expected fps 1..240, lose 0..1 and repeat 1 or more,"
                f" got {self.fps:g}, {self.lose:g} and {self.repeat}"
            )
        from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
        from plugin_server.client.phones import Network, repeat, send_performance

        frames = repeat(read_performance(self.source or SHIPPED_PERFORMANCE), self.repeat)
        network = Network(self.lose, self.reorder, self.seed)
        sent = send_performance(frames, self.protocol, self.to, self.fps, network, self.subject)
        print(f"sent {len(sent)} frames to {self.to}")
