"""One server behind a router, as far as the router knows it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import grpc

from flexavatar.errors import FlexAvatarError
from plugin_server.errors import ERROR_KEY, ServerUnavailableError
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub

logger = logging.getLogger(__name__)

Metadata: TypeAlias = "Sequence[tuple[str, str]]"
LOOK_S = 0.7
"""A server that does not say by then how it is, is gone."""
CALL_S = 60.0
USUAL_LOAD = 0.3
"""Of a session, where nothing is known of any."""
LARGEST_MESSAGE = 256 << 20
"""An avatar in one message, and all that lies beside it."""
OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 500),
)


class WorkerLostError(ServerUnavailableError):
    """A server behind the router does not answer."""


class Worker:
    """A server's address, how it is, and its calls. For one event loop."""

    def __init__(self, address: str, certificate: bytes | None, token: Metadata) -> None:
        """`token` is the router's own, for what it asks by itself."""
        self.address, self._token = address, token
        self.info: pb.ServerInfo | None = None
        """What it last said; None while it does not answer."""
        self.avatars: Mapping[str, pb.Avatar] = {}
        self.problem = "it has not answered yet"
        self.started = 0
        """Sessions that it was given since it last said how it is."""
        if certificate is None:
            self.channel = grpc.aio.insecure_channel(address, OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(certificate)
            self.channel = grpc.aio.secure_channel(address, credentials, OPTIONS)
        self.stub: Any = FlexAvatarStub(self.channel)

    def __str__(self) -> str:
        number = self.info.worker if self.info else "?"
        return f"worker {number} at {self.address}"

    @property
    def takes_work(self) -> bool:
        """Whether a session may start there."""
        info = self.info
        return info is not None and not info.stopping and self.sessions < info.limits.sessions

    @property
    def sessions(self) -> int:
        """That run there, with those that it was given since."""
        return (self.info.sessions if self.info else 0) + self.started

    @property
    def pressure(self) -> tuple[float, int]:
        """How much of its renderer's time is asked for, and by how many."""
        info = self.info
        if info is None:
            return float("inf"), 0
        each = info.load / info.sessions if info.sessions else USUAL_LOAD
        return round(info.load + self.started * each, 2), self.sessions

    async def look(self) -> None:
        """Ask how it is."""
        try:
            info = await self.stub.GetServerInfo(
                pb.GetServerInfoRequest(), timeout=LOOK_S, metadata=self._token
            )
            listed = await self.stub.ListAvatars(
                pb.ListAvatarsRequest(), timeout=LOOK_S, metadata=self._token
            )
        except grpc.aio.AioRpcError as error:
            self._lost(error)
            return
        if self.info is None:
            logger.info("worker %d at %s answers", info.worker, self.address)
        self.info, self.problem, self.started = info, "", 0
        self.avatars = {avatar.name: avatar for avatar in listed.avatars}

    def _lost(self, error: grpc.aio.AioRpcError) -> None:
        why = f"{error.code().name.lower().replace('_', ' ')}: {error.details()}"
        if self.info is not None:
            logger.warning("%s does not answer: %s", self, why)
        self.info, self.problem = None, why

    async def call(self, name: str, request: Any, metadata: Metadata | None = None) -> Any:
        """One unary call by its name. Raises WorkerLostError, and its errors as gRPC has them."""
        token = self._token if metadata is None else metadata
        try:
            return await getattr(self.stub, name)(request, timeout=CALL_S, metadata=token)
        except grpc.aio.AioRpcError as error:
            self.check_lost(error)
            raise

    def check_lost(self, error: grpc.aio.AioRpcError) -> None:
        """Raise WorkerLostError if an error says that the server is gone, not that it refuses."""
        told = ERROR_KEY in dict(error.trailing_metadata() or ())
        if error.code() is grpc.StatusCode.UNAVAILABLE and not told:
            name = str(self)
            self._lost(error)
            raise WorkerLostError(f"{name} does not answer") from None

    async def close(self) -> None:
        """Hang up."""
        await self.channel.close()


def refusal_of(error: grpc.aio.AioRpcError | FlexAvatarError) -> str:
    """What somebody said who refused."""
    return str(error.details()) if isinstance(error, grpc.aio.AioRpcError) else str(error)
