"""Between gateways and sessions: signals of every sender, in order, to all who subscribe."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from flexavatar.drive.signal import NO_PTS, Signal
from flexavatar.types import NS_PER_S

logger = logging.getLogger(__name__)

MAX_SENDERS = 64
LATE_S = 0.5
"""What is further behind did not lose its way: its sender has started anew."""
LOG_EVERY_S = 10.0
"""A gateway logs what is wrong with packets this often."""


@dataclass(frozen=True)
class Sender:
    """Who sends packets: an app, and whom it tracks."""

    source: str
    """The gateway's name."""
    address: str
    """Without the port, which changes when an app starts anew."""
    subject: str
    """The app's name for the tracked person, empty if it sends none."""

    def __str__(self) -> str:
        return f"{self.source}: {self.subject or 'a face'} ({self.address})"


@dataclass
class GatewayStatus:
    """What has come in through one gateway."""

    source: str
    address: str = ""
    """host:port that it listens on."""
    sender: Sender | None = None
    """Of the last frame."""
    received_at_s: float = float("-inf")
    """Of the last frame, on the hub's clock."""
    frames: int = 0
    refused: int = 0
    problem: str = ""
    """Why the last packet was refused or the phone cannot be asked, empty once a packet was
    understood."""
    logged_at_s: float = field(default=float("-inf"), repr=False)


Subscriber = Callable[[Sender, Signal, float], None]
"""Called with every signal, its sender and when it came in, on the hub's clock."""


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


class Hub:
    """Numbers the senders' signals and hands them on. For the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.statuses: list[GatewayStatus] = []
        self._subscribers: list[Subscriber] = []
        self._orders: OrderedDict[Sender, PacketOrder] = OrderedDict()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call this with every signal from now on; returns how to stop it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def add_gateway(self, source: str) -> GatewayStatus:
        """A new gateway's status."""
        status = GatewayStatus(source)
        self.statuses.append(status)
        return status

    def deliver(self, status: GatewayStatus, address: str, signal: Signal) -> None:
        """Hand on a signal from an address, unless it comes too late."""
        now_s, sender = self.clock(), Sender(status.source, address, signal.subject)
        if not self._order_of(sender).is_new(signal.pts_ns, now_s):
            return
        status.sender, status.received_at_s, status.problem = sender, now_s, ""
        status.frames += 1
        for subscriber in [*self._subscribers]:
            subscriber(sender, signal, now_s)

    def refuse(self, status: GatewayStatus, address: str, reason: str) -> None:
        """Count a packet that could not be read; log it now and then."""
        status.refused += 1
        status.problem = reason
        if self.clock() - status.logged_at_s > LOG_EVERY_S:
            status.logged_at_s = self.clock()
            logger.warning("%s: a packet of %s was refused: %s", status.source, address, reason)

    def warn(self, status: GatewayStatus, problem: str) -> None:
        """Say what is wrong beside packets: why a phone cannot be asked. Logged when it is new."""
        if problem != status.problem:
            logger.warning("%s: %s", status.source, problem)
        status.problem = problem

    def _order_of(self, sender: Sender) -> PacketOrder:
        if (order := self._orders.pop(sender, None)) is None:
            order = PacketOrder()
            logger.info("%s", sender)
        self._orders[sender] = order
        if len(self._orders) > MAX_SENDERS:
            self._orders.popitem(last=False)
        return order
