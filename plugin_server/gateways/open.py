"""Opens the gateways that a config asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from plugin_server.background import Watch
from plugin_server.gateways.config import GatewayConfig, guard_of
from plugin_server.gateways.hub import Hub
from plugin_server.gateways.tcp import TcpGateway
from plugin_server.gateways.udp import (
    IFacialMocapGateway,
    LiveLinkFaceGateway,
    OpenSeeFaceGateway,
    UdpGateway,
    VmcGateway,
    VtubeStudioGateway,
)

logger = logging.getLogger(__name__)

Gateway = UdpGateway | TcpGateway


def make_gateways(config: GatewayConfig, hub: Hub) -> dict[str, Gateway]:
    """The gateways that a config asks for, by option, not open yet."""
    guard, version = guard_of(config.phone), config.ifacialmocap_version
    makers = {
        "live_link_face": lambda: LiveLinkFaceGateway(guard, hub),
        "ifacialmocap": lambda: IFacialMocapGateway(guard, hub, version),
        "ifacialmocap_tcp": lambda: TcpGateway(guard, hub, version),
        "vmc": lambda: VmcGateway(guard, hub),
        "vtube_studio": lambda: VtubeStudioGateway(guard, hub),
        "openseeface": lambda: OpenSeeFaceGateway(guard, hub),
    }
    return {name: makers[name]() for name in config.ports}


@asynccontextmanager
async def open_gateways(config: GatewayConfig, hub: Hub, watch: Watch) -> AsyncIterator[None]:
    """Listen as long as the context lasts. Raises InputError."""
    gateways = make_gateways(config, hub)
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = []
        stack.push_async_callback(_end, tasks)
        for name, gateway in gateways.items():
            await gateway.open(config.ports[name])
            stack.callback(gateway.close)
            tasks.append(watch.keep_running(f"asking for {name}", gateway.keep_asking))
            logger.info("%s on %s", gateway.status.source, gateway.status.address)
        yield


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
