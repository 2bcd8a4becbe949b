"""Settings of a router."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flexavatar.errors import InputError
from plugin_server.config import ServerConfig, check_config


@dataclass(frozen=True)
class RouterConfig:
    """One address for many servers: sessions start on the one with the most room.

    Clients drive and read them there, without a way through here. Calls over gRPC alone.
    """

    workers: tuple[str, ...]
    """host:port of the servers, as clients reach them; each was started with another `--worker`."""
    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs TLS and a token."""
    port: int = 50050
    """Port of gRPC; 0 picks a free one."""
    tls_certificate: Path | None = None
    """Certificate chain, PEM."""
    tls_key: Path | None = None
    """Private key of the certificate, PEM."""
    token_file: Path | None = None
    """File with the token that clients must send, the same as the servers'."""
    driver_token_file: Path | None = None
    """File with the second token, the same as the servers'."""
    worker_certificate: Path | None = None
    """Certificate, PEM, that the servers' own are checked by; without it, no TLS to them."""
    log_json: bool = False
    """Logs as JSON, one object a line."""

    @property
    def front(self) -> ServerConfig:
        """Of the gRPC server that clients call."""
        return ServerConfig(
            host=self.host,
            port=self.port,
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
            token_file=self.token_file,
            driver_token_file=self.driver_token_file,
        )


def check_router(config: RouterConfig) -> None:
    """Raise InputError for a router that must not start."""
    check_config(config.front)
    if not config.workers:
        raise InputError("workers: expected host:port of one server or more, got none")
    for address in config.workers:
        host, colon, port = address.rpartition(":")
        if not (host and colon and port.isdecimal()):
            raise InputError(f"workers: expected host:port, got {address!r}")
    if len({*config.workers}) < len(config.workers):
        raise InputError(f"workers: expected each once, got {' '.join(config.workers)}")
