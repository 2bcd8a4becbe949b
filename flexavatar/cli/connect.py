"""Which server a command talks to: the one that was named, the store's, or one of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flexavatar.errors import BusyError, ConflictError, FlexAvatarError
from plugin_server.config import ServerConfig, read_token

if TYPE_CHECKING:
    from plugin_server.client.client import FlexAvatarClient

DEFAULT_STORE = ServerConfig.store
WILDCARDS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
START_S, ANSWER_S = 10.0, 2.0


@dataclass(frozen=True)
class ServerOptions:
    """Where the avatars are."""

    store: Path = DEFAULT_STORE
    """Folder of the avatars, one folder each. A server that runs on it is found and asked."""
    server: str | None = None
    """host:port of a server to ask, whatever store it has."""
    token_file: Path | None = None
    """File whose first line is the server's token, if it wants one."""
    root_certificate: Path | None = None
    """Certificate that vouches for the server's, PEM; turns TLS on."""

    def __str__(self) -> str:
        """For messages."""
        return str(self.server or self.store)


@contextmanager
def connect(where: ServerOptions) -> Iterator[FlexAvatarClient]:
    """A client of the named or running server, else of one that ends with the block.

    Raises InputError for a token or certificate that cannot be read, BusyError if whoever holds
    the store does not answer, and what the block raises.
    """
    from plugin_server.server import running_server

    if where.server is not None:
        with _client(where, where.server) as client:
            yield client
        return
    own = ServerConfig(store=where.store, port=0, http_port=0, frame_port=0, drive_port=0)
    with ExitStack() as stack:
        try:
            address = stack.enter_context(running_server(own)).address
        except ConflictError:
            yield stack.enter_context(_client_of_store_holder(where))
            return
        client = stack.enter_context(_client(ServerOptions(where.store), address))
        stack.callback(_wait_for_creations, client)
        yield client


@contextmanager
def connect_separate(where: ServerOptions) -> Iterator[FlexAvatarClient]:
    """As `connect`, but a server that is started for this is a process of its own.

    So it draws while this process looks.
    """
    from plugin_server.client.server_process import server_process

    with ExitStack() as stack:
        address = where.server or _running_address(where)
        address = address or stack.enter_context(server_process(where.store))
        yield stack.enter_context(_client(where, address))


def _running_address(where: ServerOptions) -> str | None:
    """The address of a server that runs on the store, None if none does."""
    with suppress(FlexAvatarError, OSError):
        address = _announced_address(where.store, 0.0)
        with _client(where, address) as client:
            client.wait_ready(ANSWER_S)
            return address
    return None


def _client(where: ServerOptions, address: str) -> FlexAvatarClient:
    from plugin_server.client.client import FlexAvatarClient

    root = None if where.root_certificate is None else where.root_certificate.read_bytes()
    return FlexAvatarClient(address, read_token(where.token_file), root)


@contextmanager
def _client_of_store_holder(where: ServerOptions) -> Iterator[FlexAvatarClient]:
    """A client of the server that holds the store. Raises BusyError if it does not let us in."""
    from plugin_server.errors import ServerUnavailableError

    address = _announced_address(where.store)
    try:
        with _client(where, address) as client:
            yield client
    except ServerUnavailableError as error:
        raise BusyError(
            f"{where.store} is in use by the server on {address}, which did not answer: {error}"
            " (see --server, --token-file, --root-certificate)"
        ) from error


def _announced_address(store: Path, patience_s: float = START_S) -> str:
    """Where the holder of a store listens; waits while it starts. Raises BusyError."""
    from plugin_server.store import server_address

    deadline = time.monotonic() + patience_s
    while not (address := server_address(store)):
        if time.monotonic() > deadline:
            raise BusyError(f"{store} is in use by a server that does not say where it listens")
        time.sleep(0.1)
    host, _, port = address.rpartition(":")
    return f"{WILDCARDS.get(host, host)}:{port}"


def _wait_for_creations(client: FlexAvatarClient) -> None:
    """Stay while avatars of other commands, which have found this one's server, are made."""
    with suppress(FlexAvatarError):
        while client.info().creations:
            time.sleep(0.2)
