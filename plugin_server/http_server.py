"""HTTP's front: who is answered at all, before a call is one.

Connections that say nothing give way, headers are checked, pages of a browser get what they may,
and bodies are bounded by size and pace. What calls mean is `connect_http.py`'s.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from flexavatar.errors import FlexAvatarError, InputError
from plugin_server.bodies import SMALL_BODY_BYTES, BodyPlaces, UploadPace
from plugin_server.call_gate import WHOLE_UPLOADS
from plugin_server.config import ServerConfig
from plugin_server.connect_http import STREAMED, connect_application, connect_error
from plugin_server.errors import TooLargeError
from plugin_server.frame_websocket import FrameWebSockets, PacedWebSocket, refuse_handshake
from plugin_server.publisher import LARGEST_MESSAGE
from plugin_server.security import Access, is_own_page
from plugin_server.static_pages import HEADERS, static_page

GRACE_S = 2
KEEP_ALIVE_S = 60
REQUEST_S = 10.0
"""A connection that has not sent a request's whole head by then is closed."""
BACKLOG = 128
"""Connections that wait to be let in; asyncio tries as often at once when it may open no file."""
CONNECTIONS = 256
"""At once. Of more, those that ask nothing are closed, the one that is silent longest first."""
LARGE_CALLS = (*WHOLE_UPLOADS, "StoreAvatar")
"""Calls whose bodies are large, and so come in few at a time."""
OPEN_PAGES = ("/healthz", "/readyz")
"""What needs no token: a load balancer's probe has none."""
PREFLIGHT = (
    (b"access-control-allow-methods", b"POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, connect-protocol-version, connect-timeout-ms",
    ),
    (b"access-control-max-age", b"600"),
)

Headers = Sequence[tuple[bytes, bytes]]
Page = Callable[[], tuple[int, str]]
"""What is answered to GET: status and text."""


class GuardedProtocol(H11Protocol):
    """One connection, which must come to the point."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._due: asyncio.TimerHandle | None = None
        self._silent_since_s = time.monotonic()
        self._upgraded = False

    @property
    def calls(self) -> bool:
        """Whether a request is being answered, or a WebSocket has taken over."""
        return self._upgraded or (self.cycle is not None and not self.cycle.response_complete)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """It is no longer this one's to close."""
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def connection_made(self, transport: Any) -> None:
        """Make room for it, and give it a moment."""
        super().connection_made(transport)
        silent = [c for c in self.connections if isinstance(c, GuardedProtocol) and not c.calls]
        if len(self.connections) > CONNECTIONS:
            min(silent, key=lambda c: c._silent_since_s).give_up()
        self._arm()

    def data_received(self, data: bytes) -> None:
        """A request's head must be whole soon after its first byte."""
        super().data_received(data)
        if self.calls:
            self._disarm()
        elif self._due is None:
            self._arm()

    def on_response_complete(self) -> None:
        """It may rest now, until others need its place."""
        super().on_response_complete()
        self._silent_since_s = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer."""
        self._disarm()
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Close it without an answer."""
        self.connections.discard(self)
        self.transport.abort()

    def _arm(self) -> None:
        self._due = self.loop.call_later(REQUEST_S, self.give_up)

    def _disarm(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class BoundedBody:
    """A body that comes whole, in time and within its size, or ends its call."""

    def __init__(
        self, receive: Callable[[], Awaitable[Any]], call: str, pace: UploadPace, places: BodyPlaces
    ) -> None:
        self._receive, self._call, self._pace = receive, call, pace
        self._places = places
        self._held = ExitStack()  # the place of a whole upload, while it comes in
        self._size = 0
        self._started = self._complete = False

    def __enter__(self) -> BoundedBody:
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    async def __call__(self) -> Any:
        """The next event of the body, or what comes after it. Raises ConnectError."""
        if self._complete:
            return await self._receive()
        try:
            event = await self._next()
        except FlexAvatarError as error:
            raise connect_error(error) from None
        self._complete = not (event["type"] == "http.request" and event.get("more_body", False))
        if self._complete:
            self._held.close()
        return event

    async def _next(self) -> Any:
        """Raises UploadTimeoutError, BusyError, TooLargeError."""
        if not self._started and self._call in LARGE_CALLS:
            self._held.enter_context(self._places.place())
        self._started = True
        event = await self._pace.wait(self._receive())
        size = len(event.get("body", b""))
        self._pace.count(size)
        self._size += size
        if self._size > SMALL_BODY_BYTES and self._call not in (*LARGE_CALLS, *STREAMED):
            raise TooLargeError(
                f"{self._call}: expected {SMALL_BODY_BYTES} bytes at most, got more"
            )
        return event


class FrontDoor:
    """The ASGI application around the calls."""

    def __init__(
        self,
        application: Any,
        config: ServerConfig,
        access: Access,
        places: BodyPlaces,
        pages: Mapping[str, Page],
        frames: FrameWebSockets,
    ) -> None:
        self._application, self._config = application, config
        self._access, self._places = access, places
        self._pages, self._frames = pages, frames

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_socket = scope["type"] == "websocket"
        refuse = refuse_handshake if is_socket else _answer
        try:
            headers = {k.decode("ascii"): v.decode() for k, v in scope["headers"]}
        except UnicodeDecodeError:
            return await refuse(send, 400, "headers: expected UTF-8")
        if not self._access.asks_for_token and not _is_here(headers.get("host", "")):
            return await refuse(send, 403, "host: expected this machine's name or address")
        if not is_socket:
            return await self._respond(scope, headers, receive, send)
        if not self._access.asks_for_token and not is_own_page(headers):
            return await refuse(send, 403, "origin: without a token expected a page of this server")
        await self._frames(scope, receive, send)

    async def _respond(
        self, scope: Any, headers: Mapping[str, str], receive: Any, send: Any
    ) -> None:
        """Pages, monitoring, calls."""
        origin, page = headers.get("origin"), self._pages.get(scope["path"])
        if scope["method"] == "GET" and (static := static_page(scope["path"])) is not None:
            return await _answer_bytes(send, 200, static.content_type, static.body, HEADERS)
        if origin is not None and self._access.asks_for_token:  # a page that must know the token
            if scope["method"] == "OPTIONS":
                return await _answer(send, 204, "", (*_allow(origin), *PREFLIGHT))
            send = _with_headers(send, _allow(origin))
        if page is not None and scope["method"] == "GET":
            refusal = self._access.refusal(scope["path"], headers.get("authorization", ""))
            if refusal is not None and scope["path"] not in OPEN_PAGES:
                return await _answer(send, 401, str(refusal))
            return await _answer(send, *page())
        pace = UploadPace(self._config.upload_timeout_s)
        with BoundedBody(receive, scope["path"].rpartition("/")[2], pace, self._places) as body:
            await self._application(scope, body, send)


def _is_here(host: str) -> bool:
    """Whether a Host header names this machine, not somebody's page that leads here.

    Names without a dot are nobody's who could lead a browser astray.
    """
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]")
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _allow(origin: str) -> Headers:
    """What a browser wants to see before its page may look at an answer."""
    return (
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-expose-headers", b"trailer-flexavatar-error, retry-after"),
        (b"vary", b"origin"),
    )


def _with_headers(send: Any, headers: Headers) -> Any:
    """A `send` that adds headers to the answer."""

    async def extended(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *headers]}
        await send(message)

    return extended


async def _answer(send: Any, status: int, text: str, headers: Headers = ()) -> None:
    """A short text."""
    body = f"{text}\n".encode() if text else b""
    await _answer_bytes(send, status, b"text/plain; charset=utf-8", body, headers)


async def _answer_bytes(
    send: Any, status: int, content_type: bytes, body: bytes, headers: Headers = ()
) -> None:
    start = [(b"content-type", content_type), *headers]
    start.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


def _listening_socket(config: ServerConfig) -> socket.socket:
    """Raises InputError."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.http_port), family=family)
    except OSError as error:
        where = f"{config.host}:{config.http_port}"
        raise InputError(f"cannot listen for HTTP on {where}: {error}") from error


@dataclass(frozen=True)
class HttpServer:
    """Where it listens, and how it takes a new certificate."""

    url: str
    reload_certificate: Callable[[], None]


@asynccontextmanager
async def open_http(
    config: ServerConfig,
    service: object,
    access: Access,
    places: BodyPlaces,
    pages: Mapping[str, Page],
    frames: FrameWebSockets,
) -> AsyncIterator[HttpServer]:
    """Answer HTTP for as long as the context lasts. Raises InputError."""
    calls = connect_application(config, service, access)
    settings = uvicorn.Config(
        FrontDoor(calls, config, access, places, pages, frames),
        http=GuardedProtocol,
        ws=PacedWebSocket,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,  # a frame must not wait for it
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=config.tls_certificate,
        ssl_keyfile=config.tls_key,
    )
    try:
        settings.load()
    except OSError as error:
        raise InputError(f"TLS: cannot read certificate or key: {error}") from error
    server = uvicorn.Server(settings)  # not run(): signals and the loop are not its own
    server.lifespan = settings.lifespan_class(settings)
    bound = _listening_socket(config)
    server.servers = [await _listen(server, settings, bound)]
    try:
        host = f"[{config.host}]" if ":" in config.host else config.host
        scheme = "https" if config.tls_certificate else "http"
        url = f"{scheme}://{host}:{bound.getsockname()[1]}"
        yield HttpServer(url, partial(_reload_certificate, config, settings.ssl))
    finally:
        await server.shutdown(sockets=[bound])


def _reload_certificate(config: ServerConfig, context: ssl.SSLContext | None) -> None:
    """For connections that come from now on. Raises OSError."""
    if context is not None and config.tls_certificate is not None:
        context.load_cert_chain(config.tls_certificate, config.tls_key)


async def _listen(
    server: uvicorn.Server, settings: uvicorn.Config, bound: socket.socket
) -> asyncio.Server:
    """As uvicorn does, but a handshake of TLS has no minute."""
    protocol = partial(
        GuardedProtocol, config=settings, server_state=server.server_state, app_state={}
    )
    return await asyncio.get_running_loop().create_server(
        protocol,
        sock=bound,
        ssl=settings.ssl,
        backlog=settings.backlog,
        ssl_handshake_timeout=REQUEST_S if settings.ssl else None,
    )
