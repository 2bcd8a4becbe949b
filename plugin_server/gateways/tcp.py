"""iFacialMocap over TCP: the phone connects and sends text frames with an end, or v3 messages."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

from flexavatar.drive.protocols import fmv3, ifacialmocap
from flexavatar.errors import DriveError, InputError
from plugin_server.gateways.config import Guard
from plugin_server.gateways.hub import Hub
from plugin_server.gateways.udp import ASK_S, SILENT_S, IFacialMocapReader

MOST_CONNECTIONS = 4
QUIET_S = 30.0
"""A connection on which nothing comes for this long is closed."""


class TcpGateway:
    """One port, and a few connections to it."""

    def __init__(self, guard: Guard, hub: Hub, version: int) -> None:
        self._guard, self._hub, self._version = guard, hub, version
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.status = hub.add_gateway(ifacialmocap.SOURCE)

    async def open(self, port: int) -> None:
        """Listen. Raises InputError."""
        try:
            self._server = await asyncio.start_server(
                self._accept, self._guard.bind, port, limit=ifacialmocap.MAX_BYTES
            )
        except OSError as error:
            where = f"{self._guard.bind}:{port}"
            raise InputError(f"ifacialmocap-tcp: cannot listen on {where}: {error}") from error
        host, port, *_ = self._server.sockets[0].getsockname()
        self.status.address = f"{host}:{port}"

    def close(self) -> None:
        """Stop listening, and close the connections."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()

    async def keep_asking(self) -> None:
        """Ask the phone over UDP to connect, while it is silent."""
        if not self._guard.phone or self._version == 3:
            return
        while self._server is not None and self._server.is_serving():
            if self._hub.clock() - self.status.received_at_s > SILENT_S:
                self._ask()
            await asyncio.sleep(ASK_S)

    def _ask(self) -> None:
        host, port = self._guard.phone, self._guard.phone_port or ifacialmocap.PORT
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with closing(socket.socket(family, socket.SOCK_DGRAM)) as asker:
                asker.setblocking(False)
                asker.sendto(ifacialmocap.request(self._version, tcp=True), (host, port))
        except OSError as error:  # no network: it may be back a second later
            self._hub.warn(self.status, f"cannot ask {host}: {error}")

    async def _accept(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        sender = str(outgoing.get_extra_info("peername")[0])
        connection = asyncio.current_task()
        assert connection is not None
        if self._guard.allows(sender) and len(self._connections) < MOST_CONNECTIONS:
            self._connections.add(connection)
            try:
                await self._serve_connection(sender, incoming, outgoing)
            except (DriveError, asyncio.LimitOverrunError) as error:
                self._hub.refuse(self.status, sender, str(error))
            except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
                pass  # the phone has hung up, says nothing, or the server stops
            finally:
                self._connections.discard(connection)
        outgoing.close()

    async def _serve_connection(
        self, sender: str, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter
    ) -> None:
        """Read frames until the connection ends.

        Raises DriveError for one that cannot be read, before any could: that is no phone.
        """
        reader, understood = IFacialMocapReader(), False
        while True:
            packet = await asyncio.wait_for(_message(incoming), QUIET_S)
            try:
                signal = reader.read(packet)
            except DriveError as error:
                if not understood:
                    raise
                self._hub.refuse(self.status, sender, str(error))
                continue
            understood = understood or signal is not None
            if (answer := reader.v3.answer()) is not None:
                outgoing.write(answer)
            if signal is not None:
                self._hub.deliver(self.status, sender, signal)


async def _message(incoming: asyncio.StreamReader) -> bytes:
    """The next frame of text with its end, or message of v3. Raises DriveError."""
    start = await incoming.readexactly(len(fmv3.MAGIC))
    if start != fmv3.MAGIC:
        return start + await incoming.readuntil(ifacialmocap.END)
    head = start + await incoming.readexactly(fmv3.HEADER.size - len(start))
    return head + await incoming.readexactly(fmv3.read_header(head).length)
