"""Drive packets, over ZeroMQ and from others: who may drive does, and the newest wins."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

import zmq
import zmq.asyncio

from flexavatar.errors import FlexAvatarError, InputError
from plugin_server.background import Watch
from plugin_server.config import ServerConfig
from plugin_server.gateways.hub import GatewayStatus, Hub, Sender
from plugin_server.messages.drive_packet import DrivePacket, unpack_drive
from plugin_server.messages.signals import packet_signal
from plugin_server.publisher import Publisher
from plugin_server.sessions import Sessions
from plugin_server.wire import WireError

logger = logging.getLogger(__name__)

QUEUE_PACKETS = 64
BURST = 256
"""Packets that are read before the newest of them are shown."""
REST = 3.0
"""Packets get a quarter of the event loop's time at most, whoever floods it: calls go on."""
RESTART_AFTER_S = 1.0
"""After this silence a sender may count from anywhere."""


@dataclass
class NewestPacket:
    """The newest packet of a session's sender."""

    seq: int
    at_s: float

    def is_new(self, seq: int, now_s: float) -> bool:
        """Newer than the last one; numbers wrap at 2**32."""
        return now_s - self.at_s > RESTART_AFTER_S or 0 < (seq - self.seq) & 0xFFFFFFFF < 1 << 31


class DriveSocket:
    """One PULL socket for all sessions. For the event loop."""

    def __init__(
        self, config: ServerConfig, publisher: Publisher, sessions: Sessions, hub: Hub, watch: Watch
    ) -> None:
        """Raises InputError if it cannot listen."""
        self._sessions, self._hub, self._watch = sessions, hub, watch
        self.status = GatewayStatus("drive")
        self._newest: dict[str, NewestPacket] = {}
        self._turn = asyncio.Lock()
        context = zmq.asyncio.Context(shadow=publisher.context)
        self._socket = context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, QUEUE_PACKETS)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self.status.address = publisher.bind(self._socket, config.drive_port)
        except InputError:
            self._socket.close()
            raise
        self._task = watch.keep_running("drive packets", self._run)

    async def _run(self) -> None:
        while True:
            messages = [await self._socket.recv_multipart()]
            start_s = time.monotonic()
            while len(messages) < BURST and await self._socket.poll(0):
                messages.append(await self._socket.recv_multipart())
            await self.take(messages, start_s)

    async def take(self, messages: Iterable[list[bytes]], start_s: float) -> None:
        """Show packets and rest then, longer than since `start_s` on the monotonic clock.

        Whoever brings some, they are taken one after the other.
        """
        async with self._turn:
            try:
                self._handle(messages)
            except Exception as error:  # a bug must not silence everybody
                self._watch.failed("taking drive packets", error)
            await asyncio.sleep(REST * (time.monotonic() - start_s))

    def _handle(self, messages: Iterable[list[bytes]]) -> None:
        """Show the newest packets of a burst, one of each session and set of parts."""
        newest: dict[tuple[object, ...], DrivePacket] = {}
        for parts in messages:
            try:
                if len(parts) != 1:
                    raise WireError(f"drive packet: expected one part, got {len(parts)}")
                packet = unpack_drive(parts[0])
            except WireError as error:
                self._refuse(error)
                continue
            key = (packet.session, packet.token, packet.parts)
            newest.pop(key, None)  # so that the newest is the last of all
            newest[key] = packet
        for packet in newest.values():
            try:
                self._drive(packet)
            except FlexAvatarError as error:
                self._refuse(error)

    def _refuse(self, error: FlexAvatarError) -> None:
        self._hub.refuse(self.status, "somebody", str(error))

    def _drive(self, packet: DrivePacket) -> None:
        """Raises OwnerError, SessionNotFoundError, DriveError, InputError."""
        session = self._sessions.claim(packet.session, packet.token)
        now_s = time.monotonic()
        newest = self._newest.get(packet.session)
        if newest is not None and not newest.is_new(packet.seq, now_s):
            return
        session.drive(packet_signal(packet, session))
        if newest is None:
            running = {s.session_id for s in self._sessions.running()}
            self._newest = {k: v for k, v in self._newest.items() if k in running}
        self._newest[packet.session] = NewestPacket(packet.seq, now_s)
        self.status.sender = Sender("drive", packet.session, "")
        self.status.received_at_s, self.status.problem = now_s, ""
        self.status.frames += 1

    async def close(self) -> None:
        """Listen no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._socket.close()
