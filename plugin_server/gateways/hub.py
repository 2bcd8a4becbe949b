"""Between gateways and sessions: what was heard of whom, in order, to all who listen."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from flexavatar.drive.packet_order import Order
from flexavatar.drive.tracked import TrackedFace

logger = logging.getLogger(__name__)

MOST_VOICES = 64
COMPLAIN_S = 10.0
"""A gateway logs what is wrong with packets this often."""


@dataclass(frozen=True)
class Voice:
    """Who says something."""

    source: str
    """The gateway's name."""
    sender: str
    """Address, without the port, which changes when an app starts anew."""
    subject: str
    """Whom the app says it tracks, empty if it does not."""

    def __str__(self) -> str:
        return f"{self.source}: {self.subject or 'a face'} ({self.sender})"


@dataclass
class Status:
    """What has come in through one gateway."""

    source: str
    address: str = ""
    """host:port that it listens on."""
    voice: Voice | None = None
    """Who was heard last."""
    heard_at_s: float = float("-inf")
    frames: int = 0
    refused: int = 0
    problem: str = ""
    """Why a packet was refused last, empty once one was understood."""
    complained_at_s: float = field(default=float("-inf"), repr=False)


Listener = Callable[[Voice, TrackedFace, float], None]


class Hub:
    """For the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.statuses: list[Status] = []
        self._listeners: list[Listener] = []
        self._orders: OrderedDict[Voice, Order] = OrderedDict()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call this with every face that comes in, and when; returns how to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def open(self, source: str) -> Status:
        """A new gateway's status."""
        status = Status(source)
        self.statuses.append(status)
        return status

    def heard(self, status: Status, sender: str, face: TrackedFace) -> None:
        """Hand on a face that was read, unless it comes too late."""
        now_s, voice = self.clock(), Voice(status.source, sender, face.subject)
        if not self._order_of(voice).is_new(face.time_ns, now_s):
            return
        status.voice, status.heard_at_s, status.problem = voice, now_s, ""
        status.frames += 1
        for listener in [*self._listeners]:
            listener(voice, face, now_s)

    def refused(self, status: Status, sender: str, reason: str) -> None:
        """Note a packet that could not be read; say so now and then."""
        status.refused += 1
        status.problem = reason
        if self.clock() - status.complained_at_s > COMPLAIN_S:
            status.complained_at_s = self.clock()
            logger.warning("%s: a packet of %s was refused: %s", status.source, sender, reason)

    def _order_of(self, voice: Voice) -> Order:
        if (order := self._orders.pop(voice, None)) is None:
            order = Order()
            logger.info("%s", voice)
        self._orders[voice] = order
        if len(self._orders) > MOST_VOICES:
            self._orders.popitem(last=False)
        return order
