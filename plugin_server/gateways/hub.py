"""Between gateways and sessions: signals of every sender, in order, to all who subscribe."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from flexavatar.drive.signal import NO_PTS, Signal
from flexavatar.types import NS_PER_S

logger = logging.getLogger(__name__)

MAX_SENDERS = 64
LATE_S = 0.5
"""What is further behind did not lose its way: its sender has started anew."""
RUN_BACK, RUN_ON, NO_CLOCK = 1.0, 0.25, 3.0
"""What a packet that runs back, and one that does not, adds to the doubt in a clock; and the doubt
from which on it is none. A network that swaps a packet in ten never comes there."""
FROZEN_S = 0.8
"""A face that stays the same for so long is none: live ones tremble."""
FROZEN = "the same face over and over, as from an app that has lost it: it counts as none"
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
    late: int = 0
    """Frames that came after newer ones."""
    skipped: int = 0
    """Values that could not be read; the rest of their packets was taken."""
    problem: str = ""
    """Why the last packet was refused, or gave no face, or the phone cannot be asked; empty once a
    packet was understood."""
    logged_at_s: float = field(default=float("-inf"), repr=False)


Subscriber = Callable[[Sender, Signal, float], None]
"""Called with every signal, its sender and when it came in, on the hub's clock."""


class Repetition:
    """Whether a sender says the same face over and over, as apps do whose camera has lost it."""

    def __init__(self) -> None:
        self._face = b""
        self._since_s = self._heard_at_s = 0.0

    def is_frozen(self, signal: Signal, now_s: float) -> bool:
        """Whether this face has been the same, bit for bit, for FROZEN_S."""
        face = signal.weights.tobytes() + signal.sent.tobytes() + repr(signal.head).encode()
        if face != self._face or now_s - self._heard_at_s > LATE_S:
            self._face, self._since_s = face, now_s
        self._heard_at_s = now_s
        return now_s - self._since_s >= FROZEN_S


class PacketOrder:
    """Of one sender's packets, by the sender's own clock where there is one.

    A network swaps a packet now and then. A clock that runs back again and again is no clock: then
    the order of arrival counts, and the time goes on as they arrive.
    """

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._taken_at_s = 0.0
        self._distrust = 0.0
        self.pts_ns = NO_PTS
        """Of the packet that was taken last."""
        self.repetition = Repetition()

    def is_new(self, pts_ns: int, now_s: float) -> bool:
        """Whether a packet that comes now is to be used."""
        if pts_ns == NO_PTS:
            self.pts_ns = NO_PTS
            return True
        since_s = now_s - self._taken_at_s
        behind = self._newest_ns is not None and 0 < self._newest_ns - pts_ns < LATE_S * NS_PER_S
        if self._newest_ns is None or since_s >= LATE_S:
            self._distrust = 0.0
        else:
            change = RUN_BACK if behind else -RUN_ON
            self._distrust = min(max(self._distrust + change, 0.0), 2 * NO_CLOCK)
            if behind and self._distrust < NO_CLOCK:
                return False
        arrival = self.pts_ns + round(since_s * NS_PER_S)
        self.pts_ns = pts_ns if self._distrust < NO_CLOCK else arrival
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
        """Hand on a signal from an address, unless it comes too late or is said over and over."""
        now_s, sender = self.clock(), Sender(status.source, address, signal.subject)
        order = self._order_of(sender)
        if not order.is_new(signal.pts_ns, now_s):
            status.late += 1
            return
        status.sender, status.received_at_s = sender, now_s
        status.frames += 1
        status.skipped += len(signal.faults)
        if order.repetition.is_frozen(signal, now_s):
            self.warn(status, FROZEN)
            return
        self._note_faults(status, address, signal.faults)
        signal = replace(signal, pts_ns=order.pts_ns)
        for subscriber in [*self._subscribers]:
            subscriber(sender, signal, now_s)

    def _note_faults(self, status: GatewayStatus, address: str, faults: Sequence[str]) -> None:
        """Say what of a packet was left out, or that all is well."""
        status.problem = faults[0] if faults else ""
        if faults:
            self._log_fault(status, f"of a packet of {address} was left out: {faults[0]}")

    def refuse(self, status: GatewayStatus, address: str, reason: str) -> None:
        """Count a packet that could not be read; log it now and then."""
        status.refused += 1
        status.problem = reason
        self._log_fault(status, f"a packet of {address} was refused: {reason}")

    def _log_fault(self, status: GatewayStatus, fault: str) -> None:
        if self.clock() - status.logged_at_s > LOG_EVERY_S:
            status.logged_at_s = self.clock()
            logger.warning("%s: %s", status.source, fault)

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
