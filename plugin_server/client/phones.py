"""Stand-ins for capture apps on phones: send a performance as an app would, to test and to try."""

from __future__ import annotations

import random
import socket
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from flexavatar.drive.performance import at_rate
from flexavatar.drive.protocols import (
    fmv3,
    ifacialmocap,
    live_link_face,
    openseeface,
    vmc,
    vtube_studio,
)
from flexavatar.drive.signal import Signal
from flexavatar.errors import InputError
from flexavatar.types import NS_PER_S
from plugin_server.gateways.config import PORT_OPTIONS, ProtocolName

SWAPPED = 0.05
"""Share of datagrams that come after the next one, where they may."""
SCHEMA_FRAMES = 30
"""Frames after which v3's schema is sent again while nobody has acknowledged it."""
ANSWER_BYTES = 2048
NEAR_NS = 2_000_000
"""Clocks are rounded on the wire, to milliseconds at worst."""
AFTER_NS = 100_000_000
REFUSED_SHARE = 0.25
"""Of datagrams: a server that starts or stops in between refuses fewer."""


class Phone(Protocol):
    """One capture app."""

    def packets(self, signal: Signal) -> Sequence[bytes]:
        """The packets of one frame."""
        ...

    def receive(self, answer: bytes) -> None:
        """Take a packet that the server sent back."""
        ...


class OneWayPhone:
    """An app that sends and takes no answers."""

    def __init__(self, write: Callable[[Signal], Sequence[bytes]]) -> None:
        self._write = write

    def packets(self, signal: Signal) -> Sequence[bytes]:
        """The packets of one frame."""
        return self._write(signal)

    def receive(self, answer: bytes) -> None:
        """Ignore it."""


class Fmv3Phone:
    """An app that sends v3 by itself: its schema until that is acknowledged, then frames."""

    def __init__(self, session: int = 1, schema: int = 1) -> None:
        self._ids = session, schema
        self._sequence = 0
        self._acknowledged = False

    def packets(self, signal: Signal) -> Sequence[bytes]:
        """A frame once the schema is acknowledged, before that the schema now and then."""
        self._sequence += 1
        if self._acknowledged:
            return fmv3.write_frame(signal, *self._ids, self._sequence)
        again = self._sequence % SCHEMA_FRAMES == 1
        return fmv3.write_schema(*self._ids) if again else ()

    def receive(self, answer: bytes) -> None:
        """Start the frames once the schema is acknowledged."""
        self._acknowledged |= fmv3.read_header(answer).kind in fmv3.ACK_KINDS.values()


PHONES: dict[ProtocolName, Callable[[], Phone]] = {
    "live-link-face": lambda: OneWayPhone(lambda signal: [live_link_face.write(signal)]),
    "ifacialmocap": lambda: OneWayPhone(lambda signal: [ifacialmocap.write(signal, 2)]),
    "ifacialmocap-v1": lambda: OneWayPhone(lambda signal: [ifacialmocap.write(signal, 1)]),
    "ifacialmocap-v3": Fmv3Phone,
    "ifacialmocap-tcp": lambda: OneWayPhone(lambda signal: [ifacialmocap.write(signal, 2)]),
    "vmc": lambda: OneWayPhone(vmc.write),
    "vtube-studio": lambda: OneWayPhone(lambda signal: [vtube_studio.write(signal)]),
    "openseeface": lambda: OneWayPhone(lambda signal: [openseeface.write(signal)]),
}


@dataclass(frozen=True)
class Network:
    """A network that loses and swaps datagrams."""

    lose: float = 0.0
    """Share of datagrams that are lost."""
    reorder: bool = False
    """Swap some with the next one."""
    seed: int = 0

    def deliver(self, packets: Iterator[bytes]) -> Iterator[bytes]:
        """The packets that arrive, in that order."""
        chance = random.Random(self.seed)
        held: bytes | None = None
        for packet in packets:
            if chance.random() < self.lose:
                continue
            if self.reorder and held is None and chance.random() < SWAPPED:
                held = packet
                continue
            yield packet
            if held is not None:
                yield held
                held = None


@dataclass(frozen=True)
class SentFrame:
    """One frame that was sent, whether or not it arrived."""

    signal: Signal
    sent_ns: int
    """Monotonic clock."""


def find_sent(sent: Sequence[SentFrame], pts_ns: int) -> SentFrame | None:
    """The sent frame that a drawn frame with this `pts_ns` shows, or None.

    Times are the sender's, or for protocols without a clock when the packet came in.
    """
    clocks = [one.signal.pts_ns for one in sent]
    if 0 <= pts_ns <= clocks[-1] + NEAR_NS:
        nearest = min(bisect(clocks, pts_ns + NEAR_NS), len(sent)) - 1
        return sent[nearest] if abs(clocks[nearest] - pts_ns) <= NEAR_NS else None
    before = bisect([one.sent_ns for one in sent], pts_ns)
    return sent[before - 1] if before and pts_ns - sent[-1].sent_ns <= AFTER_NS else None


def send_performance(
    frames: Sequence[Signal],
    protocol: ProtocolName,
    to: str,
    fps: float = 60.0,
    network: Network = Network(),  # it is frozen
    subject: str = "",
) -> list[SentFrame]:
    """Send a performance at its own pace to host:port; what was sent when.

    Raises InputError for an address that is none, and where nobody listens.
    """
    phone, sent, refused, datagrams = PHONES[protocol](), list[SentFrame](), 0, 0
    with closing(_connect(to, protocol)) as line:

        def packets() -> Iterator[bytes]:
            nonlocal refused
            start_ns = time.monotonic_ns()
            for frame in at_rate(frames, fps):
                time.sleep(max(0, start_ns + frame.pts_ns - time.monotonic_ns()) / NS_PER_S)
                answers = _answers(line)
                refused += answers is None
                for answer in answers or ():
                    phone.receive(answer)
                signal = replace(frame, subject=subject)
                sent.append(SentFrame(signal, time.monotonic_ns()))
                yield from phone.packets(signal)

        if line.type is socket.SOCK_STREAM:
            for packet in packets():
                line.sendall(packet + ifacialmocap.END)
        else:
            for packet in network.deliver(packets()):
                datagrams += 1
                refused += _is_refused(line, packet)
            if refused > REFUSED_SHARE * datagrams:
                raise InputError(_nobody_listens(to, protocol))
    return sent


def _is_refused(line: socket.socket, packet: bytes) -> bool:
    """Send a datagram; whether the machine there has said that nobody takes the one before."""
    try:
        line.send(packet)
    except ConnectionError:
        return True
    return False


def _nobody_listens(to: str, protocol: ProtocolName) -> str:
    option = PORT_OPTIONS[protocol]
    return f"to: nobody listens on {to}: start flexavatar serve --show NAME {option} PORT"


def _connect(to: str, protocol: ProtocolName) -> socket.socket:
    host, _, port = to.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"to: expected host:port, got {to!r}")
    kind = socket.SOCK_STREAM if protocol == "ifacialmocap-tcp" else socket.SOCK_DGRAM
    try:
        family, *_, address = socket.getaddrinfo(host.strip("[]"), int(port), type=kind)[0]
    except OSError as error:
        raise InputError(f"to: {host}: {error}") from error
    line = socket.socket(family, kind)
    try:
        line.connect(address)
    except OSError as error:
        line.close()
        raise InputError(f"{_nobody_listens(to, protocol)} ({error.strerror})") from error
    return line


def _answers(line: socket.socket) -> list[bytes] | None:
    """Datagrams that have come back, without waiting; None if nobody takes ours there."""
    answers = []
    try:
        while line.type is socket.SOCK_DGRAM:
            answers.append(line.recv(ANSWER_BYTES, socket.MSG_DONTWAIT))
    except ConnectionError:
        return None
    except OSError:  # nothing there
        pass
    return answers


def repeat(frames: Sequence[Signal], times: int) -> list[Signal]:
    """A performance played several times, one frame apart."""
    period_ns = frames[-1].pts_ns + NS_PER_S // 60
    return [replace(f, pts_ns=f.pts_ns + i * period_ns) for i in range(times) for f in frames]
