"""What stands between gRPC and the service: the token first, then a body that is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import ServicerContext

from flexavatar.errors import FlexAvatarError, InputError
from plugin_server.bodies import BodyPlaces, UploadPace
from plugin_server.errors import abort, status_of
from plugin_server.security import Access

WHOLE_UPLOADS = ("CreateAvatarOnce",)
BODIES_AT_ONCE = 8
"""Bodies of other calls that come in at once; more wait. They are small, so nobody waits long."""
BODIES_OF_STRANGERS = 1
"""Of calls that need no token, a load balancer's probes."""
BODY_S = 10.0
STRANGERS_BODY_S = 1.0

Details = grpc.HandlerCallDetails
Continuation = Callable[[Details], Awaitable[Any]]


class CallGate(grpc.aio.ServerInterceptor):
    """Nothing of a body is read for a call that is not let in, and never many at once.

    gRPC takes a message in whole before it is anybody's, so unary calls are answered here as
    streams of one message that is asked for when there is room.
    """

    def __init__(self, access: Access, places: BodyPlaces, upload_timeout_s: float) -> None:
        self._access, self._places = access, places
        self._upload_timeout_s = upload_timeout_s
        self._bodies = asyncio.Semaphore(BODIES_AT_ONCE)
        self._strangers = asyncio.Semaphore(BODIES_OF_STRANGERS)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: Details
    ) -> Any:
        """The call's handler behind the gate, or one that refuses without reading."""
        method = str(handler_call_details.method)  # type: ignore[attr-defined]
        metadata = dict(handler_call_details.invocation_metadata)  # type: ignore[attr-defined]
        refusal = self._access.refusal(method, str(metadata.get("authorization", "")))
        if refusal is not None:
            return _refusing(refusal)
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        parse = _parsing(handler.request_deserializer)
        if handler.request_streaming:
            return handler._replace(request_deserializer=parse)
        return self._unary(method, handler, parse)

    def _unary(self, method: str, handler: Any, parse: Callable[[bytes], Any]) -> Any:
        """A handler of one request that starts once its body is in."""

        async def call(requests: AsyncIterator[bytes], context: ServicerContext) -> Any:
            try:
                async with self._room(method) as limit_s:
                    request = parse(await UploadPace(limit_s).wait(_only(requests)))
            except FlexAvatarError as error:
                await abort(context, error)
            return await (handler.unary_unary or handler.unary_stream)(request, context)

        as_stream = grpc.stream_unary_rpc_method_handler
        if handler.response_streaming:
            as_stream = grpc.stream_stream_rpc_method_handler
        return as_stream(call, None, handler.response_serializer)

    @asynccontextmanager
    async def _room(self, method: str) -> AsyncIterator[float]:
        """A place for the body of this call; gives the seconds that it may take.

        Raises BusyError.
        """
        if method.rpartition("/")[2] in WHOLE_UPLOADS:
            with self._places.place():
                yield self._upload_timeout_s
        elif self._access.is_open(method):
            async with self._strangers:
                yield STRANGERS_BODY_S
        else:
            async with self._bodies:
                yield BODY_S


def _refusing(error: FlexAvatarError) -> Any:
    """A handler that has every call end with this error."""

    async def refuse(requests: AsyncIterator[Any], context: ServicerContext) -> NoReturn:
        await context.abort(status_of(error), str(error))
        raise AssertionError("abort returned")

    return grpc.stream_stream_rpc_method_handler(refuse)


def _parsing(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The same, but what is no message of the call's kind is the client's mistake."""

    def checked(body: bytes) -> Any:
        try:
            return parse(body)
        except DecodeError as error:
            raise InputError(f"request: expected a message of this call: {error}") from None

    return checked


async def _only(requests: AsyncIterator[bytes]) -> bytes:
    """The one message of a unary call. Raises InputError."""
    async for request in requests:
        return request
    raise InputError("request: expected a message, got none")
