"""The same calls over HTTP/1.1, for clients without gRPC: Connect's protocol, JSON or protobuf.

Every call of proto/flexavatar/v1/flexavatar.proto is `POST /flexavatar.v1.FlexAvatar/<call>`;
protocol: connectrpc.com/docs/protocol. Drive, which streams both ways at once, stays gRPC's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn

from connectrpc.code import Code
from connectrpc.compat import google_protobuf_codecs
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode

from flexavatar.errors import FlexAvatarError
from plugin_server.config import ServerConfig
from plugin_server.errors import RETRY_KEY, status_of
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.security import Access, is_own_page

SERVICE = pb.DESCRIPTOR.services_by_name["FlexAvatar"]
STREAMED = ("CreateAvatar",)
"""Calls that stream first one way, then the other, as HTTP/1.1 can."""
END = object()

Rpc = Callable[..., Awaitable[Any]]


class CallContext:
    """gRPC's context as far as the service needs it, for a call over HTTP."""

    def __init__(self, context: RequestContext[Any, Any]) -> None:
        self._context = context
        self.answers: asyncio.Queue[Any] = asyncio.Queue()

    def peer(self) -> str:
        """Where the call comes from, as gRPC writes it."""
        return f"http:{self._context.client_address}"

    async def abort(
        self, code: StatusCode, message: str, metadata: Sequence[tuple[str, str]] = ()
    ) -> NoReturn:
        """End the call: gRPC's codes have the same names here."""
        for key, value in metadata:
            self._context.response_trailers[key] = value
            if key == RETRY_KEY:
                self._context.response_headers[key] = value
        raise ConnectError(_code(code), message)

    async def write(self, answer: Any) -> None:
        """Send one of many answers."""
        self.answers.put_nowait(answer)


def _code(code: StatusCode) -> Code:
    """gRPC writes CANCELLED, Connect CANCELED."""
    return Code.CANCELED if code is StatusCode.CANCELLED else Code[code.name]


def connect_error(error: FlexAvatarError) -> ConnectError:
    """The same error as Connect has it."""
    return ConnectError(_code(status_of(error)), str(error))


def _unary(rpc: Rpc) -> Rpc:
    async def call(request: Any, context: RequestContext[Any, Any]) -> Any:
        return await rpc(request, CallContext(context))

    return call


def _streamed(rpc: Rpc) -> Callable[..., AsyncIterator[Any]]:
    async def call(
        requests: AsyncIterator[Any], context: RequestContext[Any, Any]
    ) -> AsyncIterator[Any]:
        own = CallContext(context)
        calling = asyncio.ensure_future(rpc(requests, own))
        calling.add_done_callback(lambda _: own.answers.put_nowait(END))
        try:
            while (answer := await own.answers.get()) is not END:
                yield answer
            await calling
        finally:  # also of one whose client is gone
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)

    return call


def _endpoint(method: MethodDescriptor, rpc: Rpc) -> Any:
    streamed = method.name in STREAMED
    info = MethodInfo(
        name=method.name,
        service_name=SERVICE.full_name,
        input=GetMessageClass(method.input_type),
        output=GetMessageClass(method.output_type),
        idempotency_level=IdempotencyLevel.UNKNOWN,  # so that a link can call nothing
        stream_type=StreamType.BIDI_STREAM if streamed else StreamType.UNARY,
    )
    if streamed:
        return Endpoint.bidi_stream(method=info, function=_streamed(rpc))
    return Endpoint.unary(method=info, function=_unary(rpc))


def _endpoints(service: object) -> Mapping[str, Any]:
    """Every call by its path."""
    offered = [m for m in SERVICE.methods if m.name in STREAMED or not m.server_streaming]
    return {
        f"/{SERVICE.full_name}/{m.name}": _endpoint(m, getattr(service, m.name)) for m in offered
    }


class AccessInterceptor:
    """Checks the token or the origin before anything of the body is read."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def on_start(self, ctx: RequestContext[Any, Any]) -> None:
        """Raises ConnectError without the token; without one, for the pages of others."""
        if not self._access.asks_for_token and not is_own_page(ctx.request_headers):
            origin = ctx.request_headers.get("origin", "")
            message = f"a page of {origin[:80]} may not call a server that asks for no token"
            raise ConnectError(Code.PERMISSION_DENIED, message)
        given = ctx.request_headers.get("authorization", "")
        refusal = self._access.refusal(f"/{SERVICE.full_name}/{ctx.method.name}", given)
        if refusal is not None:
            raise connect_error(refusal)

    async def on_end(
        self, token: None, ctx: RequestContext[Any, Any], error: Exception | None, /
    ) -> None:
        """Nothing is left to do."""


class Application(ConnectASGIApplication[Any]):
    """The service as an ASGI application."""

    @property
    def path(self) -> str:
        return f"/{SERVICE.full_name}"


def max_body_bytes(config: ServerConfig) -> int:
    """Largest body of a call: JSON writes four letters for three bytes of a photo."""
    return -(-config.message_bytes * 4 // 3)


def connect_application(config: ServerConfig, service: object, access: Access) -> Application:
    """The service, for whoever has access."""
    return Application(
        service=service,
        endpoints=_endpoints,
        interceptors=[AccessInterceptor(access)],
        read_max_bytes=max_body_bytes(config),
        codecs=google_protobuf_codecs(),
    )
