"""Gateways on UDP: one socket for each app, one reader for each sender."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flexavatar.drive.protocols import (
    Reader,
    fmv3,
    ifacialmocap,
    live_link_face,
    openseeface,
    vmc,
    vtube_studio,
)
from flexavatar.drive.protocols.fmv3 import Fmv3Reader
from flexavatar.drive.protocols.vmc import VmcReader
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError, InputError
from plugin_server.gateways.config import Guard
from plugin_server.gateways.hub import Hub

MOST_SENDERS = 16
ASK_S = 1.0
SILENT_S = 2.0
"""A phone that has sent nothing for this long is asked again."""
HOLD_S = 1.0
ANOTHER = "another program sends too and is not followed: stop one of them"
PING_EVERY = 3
"""Requests from one ping of v3 to the next."""
METAHUMAN_PORT = 14785
METAHUMAN_EVERY_S = 10.0
CONNECT_S = 2.0

Read = Callable[[bytes], Signal | None]


class StatelessReader:
    """A reader of packets that need no others to be understood."""

    def __init__(self, read: Read, missing: str) -> None:
        """`missing` is what it means that a packet has no face."""
        self._read, self.missing = read, missing

    def read(self, packet: bytes) -> Signal | None:
        """The signal of a packet. Raises DriveError."""
        return self._read(packet)


@dataclass
class _Heard:
    """A sender's reader, and when it was heard."""

    reader: Reader
    at_s: float = 0.0


class PortFollower:
    """Of programs on one machine that send the same thing, the one that is followed.

    The first, until it is silent for HOLD_S. A sender that takes a new port for every packet is one
    program all the same: a port that was heard once holds nothing.
    """

    def __init__(self) -> None:
        self._ports: OrderedDict[tuple[str, str, int], _Port] = OrderedDict()
        self._followed: OrderedDict[tuple[str, str], _Port] = OrderedDict()

    def follows(self, sender: tuple[str, str], port: int, now_s: float) -> bool:
        """Whether a signal of an address and subject, from this port, is to be taken."""
        key = (*sender, port)
        own = self._ports.pop(key, None)
        if own is None or now_s - own.at_s > HOLD_S:
            own = _Port()
        own.signals, own.at_s = own.signals + 1, now_s
        self._ports[key] = own
        followed = self._followed.pop(sender, own)
        if followed.signals < 2 or now_s - followed.at_s > HOLD_S:
            followed = own
        self._followed[sender] = followed
        for kept in (self._ports, self._followed):
            if len(kept) > MOST_SENDERS:
                kept.popitem(last=False)
        return followed is own


@dataclass
class _Port:
    signals: int = 0
    at_s: float = 0.0


class UdpGateway(asyncio.DatagramProtocol):
    """One app's port."""

    def __init__(self, name: str, new_reader: Callable[[], Reader], guard: Guard, hub: Hub) -> None:
        self._new_reader, self._guard, self._hub = new_reader, guard, hub
        self._readers: OrderedDict[str, _Heard] = OrderedDict()
        self._ports = PortFollower()
        self.status = hub.add_gateway(name)
        self.transport: asyncio.DatagramTransport | None = None

    async def open(self, port: int) -> None:
        """Listen. Raises InputError."""
        where = (self._guard.bind, port)
        try:
            loop = asyncio.get_running_loop()
            self.transport, _ = await loop.create_datagram_endpoint(lambda: self, where)
        except OSError as error:
            name = self.status.source
            raise InputError(f"{name}: cannot listen on {where[0]}:{port}: {error}") from error
        host, port, *_ = self.transport.get_extra_info("sockname")
        self.status.address = f"{host}:{port}"

    def close(self) -> None:
        """Stop listening."""
        if self.transport is not None:
            self.transport.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.status.address.rpartition(":")[2])

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Read a packet and hand on its face; one of a stranger is not even read."""
        sender = str(addr[0])
        if not self._guard.allows(sender):
            return
        reader = self._reader_of(addr)
        try:
            signal = reader.read(data)
        except DriveError as error:
            self._hub.refuse(self.status, sender, str(error))
            return
        self.answer(reader, addr)
        if signal is None:
            self._note_missing(sender, reader)
        elif self._ports.follows((sender, signal.subject), addr[1], self._hub.clock()):
            self._hub.deliver(self.status, sender, signal)
        else:
            self._hub.warn(self.status, f"{ANOTHER} (port {addr[1]} of {sender})")

    def _note_missing(self, sender: str, reader: Reader) -> None:
        """Say once why packets come and no face."""
        silent_s = self._hub.clock() - self.status.received_at_s
        if silent_s > SILENT_S and (missing := reader.missing):
            self._hub.warn(self.status, f"{missing} ({sender})")

    def error_received(self, exc: Exception) -> None:
        """The phone is not there, or no network: say so; it is asked again."""
        self._hub.warn(self.status, f"cannot ask {self._guard.phone or 'a sender'}: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the socket is closed, unless the server has closed it."""
        if exc is not None:
            self._hub.warn(self.status, f"listens no more: {exc}")

    def _reader_of(self, addr: tuple[Any, ...]) -> Reader:
        sender, now_s = self.reader_key(addr), self._hub.clock()
        heard = self._readers.pop(sender, None)
        if heard is None or now_s - heard.at_s > self.forget_after_s:
            heard = _Heard(self._new_reader())
        heard.at_s = now_s
        self._readers[sender] = heard
        if len(self._readers) > MOST_SENDERS:
            self._readers.popitem(last=False)
        return heard.reader

    forget_after_s = math.inf
    """A sender that is silent for longer starts with nothing kept."""

    def reader_key(self, addr: tuple[Any, ...]) -> str:
        """Whose packets one reader reads: those of one address."""
        return str(addr[0])

    def answer(self, reader: Reader, addr: tuple[Any, ...]) -> None:
        """Send what the protocol wants back after a packet: here nothing."""

    async def keep_asking(self) -> None:
        """Ask the phone to send, as often as its app wants it. Without a phone: nothing."""
        if not self._guard.phone or self.phone_port is None:
            return
        phone = (self._guard.phone, self._guard.phone_port or self.phone_port)
        while self.transport is not None and not self.transport.is_closing():
            for packet in self.requests(self._hub.clock() - self.status.received_at_s):
                self.transport.sendto(packet, phone)
            await asyncio.sleep(ASK_S)

    phone_port: int | None = None
    """The app's own, if it has to be asked."""

    def requests(self, silent_s: float) -> Iterable[bytes]:
        """Packets to send to a phone that has been silent for so long."""
        return ()


class LiveLinkFaceGateway(UdpGateway):
    """The app sends to the address that is entered in it, but in MetaHuman mode nothing.

    There it waits for a TCP connection, and whoever entered this machine's address would wonder for
    long. So a silent phone is asked whether that port is open.
    """

    def __init__(self, guard: Guard, hub: Hub) -> None:
        read = live_link_face.read
        new_reader = lambda: StatelessReader(read, live_link_face.NO_FACE)  # noqa: E731
        super().__init__(live_link_face.SOURCE, new_reader, guard, hub)

    async def keep_asking(self) -> None:
        """Look now and then whether a silent phone is in MetaHuman mode, and say so."""
        phone, port = self._guard.phone, self._guard.phone_port or METAHUMAN_PORT
        while phone:
            await asyncio.sleep(METAHUMAN_EVERY_S)
            silent = self._hub.clock() - self.status.received_at_s > METAHUMAN_EVERY_S
            if silent and await tcp_port_is_open(phone, port):
                self._hub.warn(self.status, live_link_face.METAHUMAN)


async def tcp_port_is_open(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        _, outgoing = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_S)
    except (OSError, TimeoutError):
        return False
    outgoing.close()
    return True


class VmcGateway(UdpGateway):
    """Senders send to the address that is entered in them."""

    def __init__(self, guard: Guard, hub: Hub) -> None:
        super().__init__(vmc.SOURCE, VmcReader, guard, hub)

    forget_after_s = SILENT_S

    def reader_key(self, addr: tuple[Any, ...]) -> str:
        """Programs on one machine have a port each, and values that are not to be mixed."""
        return f"{addr[0]}:{addr[1]}"


class OpenSeeFaceGateway(UdpGateway):
    """The program sends to the address that it is started with."""

    def __init__(self, guard: Guard, hub: Hub) -> None:
        read = openseeface.read
        new_reader = lambda: StatelessReader(read, openseeface.NO_FACE)  # noqa: E731
        super().__init__(openseeface.SOURCE, new_reader, guard, hub)


class VtubeStudioGateway(UdpGateway):
    """The phone sends for some seconds after each request."""

    phone_port = vtube_studio.PHONE_PORT

    def __init__(self, guard: Guard, hub: Hub) -> None:
        read = vtube_studio.read
        new_reader = lambda: StatelessReader(read, vtube_studio.NO_FACE)  # noqa: E731
        super().__init__(vtube_studio.SOURCE, new_reader, guard, hub)

    def requests(self, silent_s: float) -> Iterable[bytes]:
        """The same request every time."""
        return (vtube_studio.request(self.port),)


class IFacialMocapReader:
    """A reader of text and of v3, which come in on one port."""

    def __init__(self, nonces: Iterable[int] = ()) -> None:
        self.v3 = Fmv3Reader([*nonces])
        self.missing = ifacialmocap.NO_FACE

    def read(self, packet: bytes) -> Signal | None:
        """One packet of either. Raises DriveError."""
        return self.v3.read(packet) if packet.startswith(fmv3.MAGIC) else ifacialmocap.read(packet)


class IFacialMocapGateway(UdpGateway):
    """The phone sends after one request, or to the address that is entered in it."""

    phone_port = ifacialmocap.PORT

    def __init__(self, guard: Guard, hub: Hub, version: int, tcp: bool = False) -> None:
        self._nonces = {rev: secrets.randbits(63) | 1 for rev in fmv3.SCHEMA_KINDS}
        self._version, self._tcp, self._asked = version, tcp, 0
        new_reader = lambda: IFacialMocapReader(self._nonces.values())  # noqa: E731
        super().__init__(ifacialmocap.SOURCE, new_reader, guard, hub)

    def answer(self, reader: Reader, addr: tuple[Any, ...]) -> None:
        """Acknowledge the schemas of v3."""
        assert isinstance(reader, IFacialMocapReader)
        if self.transport is not None and (packet := reader.v3.answer()) is not None:
            self.transport.sendto(packet, addr)

    def requests(self, silent_s: float) -> Iterable[bytes]:
        """A request while nothing comes, and v3's pings."""
        self._asked += 1
        if silent_s > SILENT_S:
            yield self._request()
        if self._asked % PING_EVERY == 0:  # also while no face is seen
            yield from (p for h in self._readers.values() if (p := _ping(h.reader)) is not None)

    def _request(self) -> bytes:
        if self._version != 3:
            return ifacialmocap.request(self._version, self._tcp)
        revision = [*self._nonces][self._asked % len(self._nonces)]  # apps speak one of them
        return fmv3.write_hello(self._nonces[revision], revision)


def _ping(reader: Reader) -> bytes | None:
    return reader.v3.ping() if isinstance(reader, IFacialMocapReader) else None
