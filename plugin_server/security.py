"""Tokens, TLS, and the keys of encrypted frames."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import grpc
import zmq
from zmq.auth.thread import ThreadAuthenticator

from flexavatar.errors import InputError
from plugin_server.config import ServerConfig

OPEN_METHODS = ("/grpc.health.v1.Health/",)
"""Calls that need no token: a load balancer's probe has none."""

NO_TOKEN = "expected metadata 'authorization: Bearer <token>' with this server's token"
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to calls without `authorization: Bearer <token>`."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

        async def refuse(request: Any, context: grpc.aio.ServicerContext) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, NO_TOKEN)

        self._refusal = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method  # type: ignore[attr-defined]
        metadata = dict(handler_call_details.invocation_metadata)  # type: ignore[attr-defined]
        given = str(metadata.get("authorization", "")).encode()
        if hmac.compare_digest(given, self._expected) or method.startswith(OPEN_METHODS):
            return await continuation(handler_call_details)
        return self._refusal


def server_credentials(config: ServerConfig) -> grpc.ServerCredentials | None:
    """TLS from the config's files, None without. Raises InputError if they cannot be read."""
    if config.tls_certificate is None or config.tls_key is None:
        return None
    try:
        pair = (config.tls_key.read_bytes(), config.tls_certificate.read_bytes())
    except OSError as error:
        raise InputError(f"TLS: cannot read {error.filename}: {error.strerror}") from error
    return grpc.ssl_server_credentials([pair])


class KeyPair(NamedTuple):
    """Keys of one end of a CURVE connection, Z85."""

    public: bytes
    secret: bytes


class FrameKeys:
    """CURVE for one ZeroMQ socket: only clients whose key was handed out over gRPC get in.

    Keys belong to one session and open nothing but that session.
    """

    def __init__(self, context: zmq.Context[Any]) -> None:
        self.public, self._secret = zmq.curve_keypair()
        self._sessions: dict[bytes, str] = {}  # by the client's public key, Z85
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(domain="*", credentials_provider=self)

    def callback(self, domain: str, key: bytes) -> bool:
        """Asked by ZeroMQ's authenticator for every connection: `key` is the client's, Z85."""
        return key in self._sessions

    def protect(self, socket: zmq.Socket[Any]) -> None:
        """Make a socket, not bound yet, the encrypted server's end."""
        socket.curve_server = True
        socket.curve_publickey = self.public
        socket.curve_secretkey = self._secret

    def issue(self, session: str) -> KeyPair:
        """Keys of a new client of a session."""
        pair = KeyPair(*zmq.curve_keypair())
        self._sessions[pair.public] = session
        return pair

    def session_of(self, message: zmq.Frame) -> str | None:
        """The session whose keys a message came in with; None once they are revoked."""
        return self._sessions.get(str(message.get("User-Id")).encode())

    def revoke(self, session: str) -> None:
        """The end of a session's keys: no new connection, no new subscription."""
        self._sessions = {key: of for key, of in self._sessions.items() if of != session}

    @property
    def alive(self) -> bool:
        """Whether the authenticator's thread runs."""
        return self._authenticator.is_alive()

    def close(self) -> None:
        """Stop the authenticator's thread."""
        self._authenticator.stop()
