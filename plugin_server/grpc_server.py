"""gRPC's server as all of ours have it: bounded, behind the gate, with health and reflection."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health  # pyright: ignore
from grpc_reflection.v1alpha import reflection

from flexavatar.errors import InputError
from plugin_server.bodies import BodyPlaces
from plugin_server.call_gate import CallGate
from plugin_server.config import ServerConfig
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import (
    FlexAvatarServicer,
    add_FlexAvatarServicer_to_server,
)
from plugin_server.security import Access, server_credentials

SERVICE = pb.DESCRIPTOR.services_by_name["FlexAvatar"].full_name
HANDSHAKE_MS = 10_000
"""A connection on which nobody speaks gRPC by then is closed."""
IDLE_CONNECTION_MS = 600_000
CONNECTIONS = 512
"""gRPC's, at once."""
STREAMS = 100
"""Calls at once, of one connection."""


def grpc_server(config: ServerConfig, access: Access, places: BodyPlaces) -> grpc.aio.Server:
    """A server that is bounded against strangers, not bound yet."""
    options = (
        ("grpc.max_receive_message_length", config.message_bytes),
        ("grpc.so_reuseport", 0),  # a second server on this port must fail, not share it
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.max_connection_idle_ms", IDLE_CONNECTION_MS),  # clients come back by themselves
        ("grpc.max_allowed_incoming_connections", CONNECTIONS),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.keepalive_time_ms", 10_000),  # notice clients that are gone without a word
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    )
    gate = CallGate(access, places, config.upload_timeout_s)
    return grpc.aio.server(interceptors=[gate], options=options)


def listen(server: grpc.aio.Server, config: ServerConfig) -> str:
    """Bind gRPC; the address with the port that was picked. Raises InputError."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    credentials = server_credentials(config)
    try:
        if credentials is None:
            port = server.add_insecure_port(f"{host}:{config.port}")
        else:
            port = server.add_secure_port(f"{host}:{config.port}", credentials)
    except RuntimeError as error:
        raise InputError(f"cannot listen on {host}:{config.port}: {error}") from error
    return f"{host}:{port}"


class Health:
    """gRPC's health service: whether new work should come here."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._status = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._status, server)

    async def set(self, serves: bool) -> None:
        """Tell whoever asks or watches."""
        kind = health_pb2.HealthCheckResponse
        for name in ("", SERVICE):
            await self._status.set(name, kind.SERVING if serves else kind.NOT_SERVING)


def add_services(server: grpc.aio.Server, service: FlexAvatarServicer) -> Health:
    """Ours, health and reflection."""
    add_FlexAvatarServicer_to_server(service, server)
    names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    return Health(server)
