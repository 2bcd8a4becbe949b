"""How much of a server one client may have: who it is, and what is refused beyond."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import unquote

from plugin_server.config import ServerConfig
from plugin_server.errors import QuotaError

NETWORK_BYTES = 8
"""An IPv6 client has all addresses that begin alike."""
DIGEST_LETTERS = 16


def client_of(context: Any) -> str:
    """Whom a call is from: the machine that it comes from, however often it connects.

    `context` is gRPC's or, over HTTP, our own.
    """
    host = unquote(context.peer()).partition(":")[2].rpartition(":")[0]
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:  # a socket of this machine that has none
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{address.packed[:NETWORK_BYTES].hex(':', 2)}::/64"


@dataclass(frozen=True)
class Quotas:
    """The limits of one client; 0 is none. A call of the server itself is of client ""."""

    sessions: int
    creations: int
    avatars: int
    secret: bytes
    """Of the store: what is kept with an avatar tells clients apart, and nobody where they are."""

    @classmethod
    def of(cls, config: ServerConfig, secret: bytes) -> Quotas:
        """As they are set."""
        return cls(
            config.max_sessions_per_client,
            config.max_creations_per_client,
            config.max_avatars_per_client,
            secret,
        )

    def digest(self, client: str) -> str:
        """What is kept of a client with the avatars that it makes."""
        made = hmac.digest(self.secret, client.encode(), "sha256")
        return made.hex()[:DIGEST_LETTERS]

    def check_sessions(self, client: str, running: Iterable[str]) -> None:
        """Raise QuotaError unless the client may start one beside these clients' sessions."""
        self._check("sessions", self.sessions, client, running)

    def check_creations(self, client: str, running: Iterable[str]) -> None:
        """Raise QuotaError unless the client may make one beside these clients' creations."""
        self._check("creations", self.creations, client, running)

    def check_avatars(self, has: int) -> None:
        """Raise QuotaError unless a client that has so many may have one more."""
        if self.avatars and has >= self.avatars:
            raise _refusal("avatars", self.avatars, has)

    def _check(self, kind: str, limit: int, client: str, running: Iterable[str]) -> None:
        if limit and client and (has := sum(one == client for one in running)) >= limit:
            raise _refusal(kind, limit, has)


def _refusal(kind: str, limit: int, has: int) -> QuotaError:
    return QuotaError(
        f"quota max-{kind}-per-client: one client may have {limit} {kind}, this one has {has}"
    )
