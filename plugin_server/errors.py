"""Errors of the server, and errors <-> gRPC status codes: the one place where they cross."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

from grpc import RpcError, StatusCode
from grpc.aio import ServicerContext

from flexavatar.errors import (
    AssetError,
    AvatarNotFoundError,
    BusyError,
    ConflictError,
    FlexAvatarError,
    InputError,
    SessionNotFoundError,
)


class OwnerError(ConflictError):
    """The session belongs to another client."""


class TooLargeError(BusyError):
    """An upload is larger than the server takes."""


class QuotaError(BusyError):
    """One client has as much as one may have."""


class StorageError(BusyError):
    """The disk of the avatars is full."""


class UploadTimeoutError(FlexAvatarError):
    """An upload stopped half way."""


class CreationCancelledError(FlexAvatarError):
    """An avatar is not wanted any more: its client is gone, or somebody said so."""


class ServerUnavailableError(FlexAvatarError):
    """No server answers there, or it does not let this client in."""


class ConnectionLostError(ServerUnavailableError):
    """The server is gone, or the way to it."""


class StoppingError(ServerUnavailableError):
    """The server is about to stop and takes no new work."""


class TokenError(ServerUnavailableError):
    """The server's token is missing or wrong."""


class RoleError(ServerUnavailableError):
    """The token is not that of somebody who may do this."""


ERROR_KEY = "flexavatar-error"
"""Trailing metadata that names the error's class, since several share a code."""

RETRY_KEY = "retry-after"
"""Trailing metadata, and HTTP's header: seconds after which it may be worth to come again."""
RETRY_AFTER_S: dict[type[FlexAvatarError], int] = {
    BusyError: 5,
    TooLargeError: 0,  # never
    QuotaError: 0,  # once the client itself lets go of something
    StoppingError: 2,
}

STATUS: dict[type[FlexAvatarError], StatusCode] = {
    InputError: StatusCode.INVALID_ARGUMENT,
    AvatarNotFoundError: StatusCode.NOT_FOUND,
    SessionNotFoundError: StatusCode.NOT_FOUND,
    BusyError: StatusCode.RESOURCE_EXHAUSTED,
    ConflictError: StatusCode.ALREADY_EXISTS,
    OwnerError: StatusCode.PERMISSION_DENIED,
    AssetError: StatusCode.DATA_LOSS,
    UploadTimeoutError: StatusCode.DEADLINE_EXCEEDED,
    CreationCancelledError: StatusCode.CANCELLED,
    StoppingError: StatusCode.UNAVAILABLE,
    TokenError: StatusCode.UNAUTHENTICATED,
    RoleError: StatusCode.PERMISSION_DENIED,
}


def status_of(error: FlexAvatarError) -> StatusCode:
    """The code of the error's class, or of its nearest parent that has one."""
    codes = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(codes, StatusCode.INTERNAL)


def error_named(name: str, message: str) -> FlexAvatarError:
    """The error of a class's name, at the client; FlexAvatarError if the class is unknown here."""
    kinds = [FlexAvatarError]
    for kind in kinds:
        if kind.__name__ == name:
            return kind(message)
        kinds += kind.__subclasses__()
    return FlexAvatarError(message)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise the server's errors in place of gRPC's, at the client."""
    try:
        yield
    except RpcError as error:
        raise _server_error(error) from None


def _server_error(error: Any) -> FlexAvatarError:
    code, details = error.code(), error.details() or ""
    metadata = dict(error.trailing_metadata() or ())
    if ERROR_KEY in metadata:
        return error_named(str(metadata[ERROR_KEY]), details)
    if code is StatusCode.RESOURCE_EXHAUSTED:  # gRPC's own: a message beyond the limit
        return TooLargeError(details)
    kind = ConnectionLostError if code is StatusCode.UNAVAILABLE else ServerUnavailableError
    return kind(f"{code.name.lower().replace('_', ' ')}: {details}")


def error_metadata(error: FlexAvatarError) -> Sequence[tuple[str, str]]:
    """What a client may know beside code and message: the error's class, and when to come again."""
    name = ((ERROR_KEY, type(error).__name__),)
    waits = (RETRY_AFTER_S[kind] for kind in type(error).__mro__ if kind in RETRY_AFTER_S)
    wait_s = next(waits, 0)
    return (*name, (RETRY_KEY, str(wait_s))) if wait_s else name


async def abort(context: ServicerContext, error: FlexAvatarError) -> NoReturn:
    """End the call with the error's code and message, and its class's name as metadata."""
    metadata = error_metadata(error)
    await context.abort(status_of(error), str(error), metadata)
    raise AssertionError("abort returned")


Rpc = TypeVar("Rpc", bound=Callable[..., Awaitable[Any]])


def reports_errors(rpc: Rpc) -> Rpc:
    """A call whose FlexAvatarErrors become status codes. A bug stays loud: UNKNOWN and a log."""

    @wraps(rpc)
    async def wrapped(self: Any, request: Any, context: ServicerContext) -> Any:
        try:
            return await rpc(self, request, context)
        except FlexAvatarError as error:
            await abort(context, error)

    return cast(Rpc, wrapped)
