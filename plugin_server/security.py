"""Tokens, TLS, and the keys of encrypted frames."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import zmq
from zmq.auth.thread import ThreadAuthenticator

from flexavatar.errors import FlexAvatarError, InputError
from plugin_server.config import ServerConfig, read_token
from plugin_server.errors import RoleError, TokenError

OPEN_METHODS = ("/grpc.health.v1.Health/",)
"""Calls that need no token: a load balancer's probe has none."""
MAKERS_CALLS = (
    "CreateAvatar",
    "CreateAvatarOnce",
    "CancelCreation",
    "InterpolateAvatars",
    "DeleteAvatar",
    "FetchAvatar",
    "StoreAvatar",
    "SetProfile",
    "ListSessions",
    "TerminateSession",
)
"""What the token of those who only drive does not open."""

NO_TOKEN = "expected metadata 'authorization: Bearer <token>' with this server's token"


class Access:
    """Who may call what: whoever has the server's token all, whoever has the drivers' most."""

    def __init__(self, config: ServerConfig) -> None:
        """Raises InputError for tokens that cannot be read."""
        self._config = config
        self.reload()

    def reload(self) -> None:
        """Read the tokens anew. Raises InputError, and keeps the old ones then."""
        found = read_token(self._config.token_file), read_token(self._config.driver_token_file)
        self._makers, self._drivers = map(_header, found)

    @property
    def asks_for_token(self) -> bool:
        """Whether there is one; else only this machine can be here."""
        return self._makers is not None

    def is_open(self, method: str) -> bool:
        """Whether a call, as gRPC writes it, needs no token."""
        return method.startswith(OPEN_METHODS)

    def refusal(self, method: str, authorization: str) -> FlexAvatarError | None:
        """Why the call may not be made with this header; None if it may."""
        if self._makers is None or self.is_open(method):
            return None
        given = authorization.encode()
        if hmac.compare_digest(given, self._makers):
            return None
        if self._drivers is None or not hmac.compare_digest(given, self._drivers):
            return TokenError(NO_TOKEN)
        call = method.rpartition("/")[2]
        return (
            RoleError(f"{call}: the drivers' token is not enough") if call in MAKERS_CALLS else None
        )


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether it is a page of this server that asks, or no page at all."""
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host", "")


def _header(token: str | None) -> bytes | None:
    """What the header `authorization` must say; None if there is no such token."""
    return None if token is None else f"Bearer {token}".encode()


def server_credentials(config: ServerConfig) -> grpc.ServerCredentials | None:
    """TLS from the config's files, None without. Raises InputError if they cannot be read.

    The files are looked at again for new connections, once they have changed.
    """
    if config.tls_certificate is None or config.tls_key is None:
        return None
    certificate, key = config.tls_certificate, config.tls_key
    known = [_certificate_pair(certificate, key)]

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        try:
            pair = _certificate_pair(certificate, key)
        except InputError:
            return None  # the old one goes on
        if pair == known[0]:
            return None
        known[0] = pair
        return grpc.ssl_server_certificate_configuration([pair])

    first = grpc.ssl_server_certificate_configuration(known)
    fetch: Any = renewed  # its stub does not know None, which says that nothing is new
    return grpc.dynamic_ssl_server_credentials(first, fetch)


def _certificate_pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Key and certificate chain. Raises InputError."""
    try:
        return key.read_bytes(), certificate.read_bytes()
    except OSError as error:
        raise InputError(f"TLS: cannot read {error.filename}: {error.strerror}") from error


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
