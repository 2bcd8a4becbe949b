"""One session's frames over a WebSocket, and drive packets the other way: for pages of a browser.

`/frames/NAME` is the session of that name or id. Messages are those of proto/wire.md, one in each
binary message. A reader that is slow gets fewer frames, never late ones.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from flexavatar.errors import InputError, SessionNotFoundError
from plugin_server.drive_socket import DriveSocket
from plugin_server.frame_mailbox import FrameMailbox
from plugin_server.publisher import STALLED_MS, Publisher
from plugin_server.security import Access
from plugin_server.session import Session
from plugin_server.sessions import Sessions
from plugin_server.wire import TOPIC, Kind, end_reason

PATH = "/frames/"
PROTOCOL = "flexavatar"
BEARER = "bearer."
"""Start of the subprotocol that says the token, in base64url: pages can set no headers."""
READERS = 64
"""At once."""
CALL = "GetSession"
"""Whoever may call it may read."""
KINDS = {
    "rgba8": (Kind.RGBA8,),
    "jpeg": (Kind.JPEG,),
    "depth": (Kind.DEPTH,),
    "splats": (Kind.SPLATS_KEY, Kind.SPLATS_DELTA),
}
LONGEST_REASON = 123
"""Bytes of text with which a WebSocket can close."""

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class PacedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose `send` returns once the reader has room for more."""

    def shutdown(self) -> None:
        """The server stops: close, unless the reader does so at this very moment."""
        try:
            super().shutdown()
        except InvalidState:
            self.transport.close()

    async def send(self, message: Any) -> None:
        """A reader that takes nothing for long is hung up on."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # uvicorn logs a refusal as a bug otherwise
        try:
            async with asyncio.timeout(STALLED_MS / 1000):
                await self.writable.wait()
        except TimeoutError:
            self.transport.abort()


@dataclass(frozen=True)
class Farewell:
    """How a WebSocket closes: 1000 once the session has ended, 4404 if there is none."""

    code: int
    reason: str


async def refuse_handshake(send: Send, status: int, text: str) -> None:
    """Answer as HTTP, and let no WebSocket begin."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": f"{text}\n".encode()})


class FrameWebSockets:
    """The ASGI application for WebSockets. For the event loop."""

    def __init__(
        self, sessions: Sessions, publisher: Publisher, drive: DriveSocket, access: Access
    ) -> None:
        self._sessions, self._publisher = sessions, publisher
        self._drive, self._access = drive, access
        self._readers = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        refusal = self._access.refusal(CALL, _authorization(headers, scope["subprotocols"]))
        if refusal is not None:
            return await refuse_handshake(send, 401, str(refusal))
        if not scope["path"].startswith(PATH):
            return await refuse_handshake(send, 404, f"expected a path {PATH}NAME")
        if self._readers >= READERS:
            return await refuse_handshake(send, 503, f"readers: {READERS} is the limit")
        self._readers += 1
        try:
            await self._welcome(scope, receive, send)
        finally:
            self._readers -= 1

    async def _welcome(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pages see how a WebSocket closes, but no answer of HTTP: so it begins in any case."""
        await receive()  # that it wants to connect
        protocol = PROTOCOL if PROTOCOL in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": protocol})
        try:
            session = self._find(scope["path"].removeprefix(PATH))
            kinds = _kinds(parse_qs(scope["query_string"].decode()), session)
        except SessionNotFoundError as error:
            farewell = Farewell(4404, str(error))
        except InputError as error:
            farewell = Farewell(4400, str(error))
        else:
            farewell = await self._serve(session, kinds, receive, send)
        if farewell is not None:
            reason = farewell.reason.encode()[:LONGEST_REASON].decode(errors="ignore")
            await send({"type": "websocket.close", "code": farewell.code, "reason": reason})

    def _find(self, name: str) -> Session:
        """Raises SessionNotFoundError."""
        try:
            return self._sessions.find(name).session
        except SessionNotFoundError:
            return self._sessions.get(name)

    async def _serve(
        self, session: Session, kinds: Sequence[Kind], receive: Receive, send: Send
    ) -> Farewell | None:
        """Until the session ends, or the reader has gone: then there is nobody to tell."""
        came, loop = asyncio.Event(), asyncio.get_running_loop()
        mailbox = FrameMailbox(
            session.session_id, (*kinds, Kind.END), lambda: loop.call_soon_threadsafe(came.set)
        )
        with self._publisher.delivering(mailbox):
            if session.end_reason is not None:  # its last message may be gone
                return Farewell(1000, session.end_reason)
            sending = asyncio.ensure_future(_send_frames(mailbox, came, send))
            receiving = asyncio.ensure_future(self._receive_packets(receive))
            tasks = sending, receiving
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                return (receiving if receiving in done else sending).result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive_packets(self, receive: Receive) -> Farewell | None:
        """What is wrong with a packet is told where ZeroMQ's are: in GetServerInfo."""
        while (event := await receive())["type"] == "websocket.receive":
            if (packet := event.get("bytes")) is None:
                return Farewell(1003, "expected drive packets, got text")
            await self._drive.take([[packet]], time.monotonic())
        return None


async def _send_frames(mailbox: FrameMailbox, came: asyncio.Event, send: Send) -> Farewell:
    while True:
        await came.wait()
        came.clear()
        while (message := mailbox.take()) is not None:
            await send({"type": "websocket.send", "bytes": message})
            if mailbox.topics[message[: TOPIC.size]] is Kind.END:
                return Farewell(1000, end_reason(message))


def _authorization(headers: Mapping[str, str], protocols: Sequence[str]) -> str:
    """The header, or what one of the subprotocols says instead."""
    for protocol in protocols:
        if protocol.startswith(BEARER):
            given = protocol.removeprefix(BEARER)
            try:
                token = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
            except binascii.Error:
                return ""
            return "Bearer " + token.decode(errors="replace")
    return headers.get("authorization", "")


def _kinds(query: Mapping[str, Sequence[str]], session: Session) -> Sequence[Kind]:
    """Those that are asked for, `?kinds=rgba8,depth`; else all of the session's.

    Raises InputError.
    """
    offered = [name for name, (kind, *_) in KINDS.items() if kind in session.plan.kinds]
    asked = query["kinds"][0].split(",") if "kinds" in query else offered
    if unknown := [name for name in asked if name not in offered]:
        raise InputError(f"kinds: expected some of {offered}, got {unknown!r:.60}")
    return [kind for name in asked for kind in KINDS[name]]
