"""Live Link Face in MetaHuman mode sends nothing by itself: it waits for a TCP connection.

Whoever entered this machine's address in the app would wonder for long. So a phone that is silent
is asked whether that port is open.
"""

from __future__ import annotations

import asyncio

from flexavatar.drive.protocols.live_link_face import METAHUMAN
from plugin_server.gateways.config import GatewayConfig, guard_of
from plugin_server.gateways.hub import Hub, Status

PORT = 14785
LOOK_S = 10.0
CONNECT_S = 2.0


async def warn_of_metahuman(config: GatewayConfig, hub: Hub, status: Status) -> None:
    """Look now and then whether a silent phone is in MetaHuman mode, and say so."""
    guard = guard_of(config.phone)
    while guard.phone:
        await asyncio.sleep(LOOK_S)
        silent = hub.clock() - status.heard_at_s > LOOK_S
        if silent and await is_open(guard.phone, guard.phone_port or PORT):
            hub.refused(status, guard.phone, METAHUMAN)


async def is_open(host: str, port: int) -> bool:
    """Whether somebody listens on a TCP port."""
    try:
        _, outgoing = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_S)
    except (OSError, TimeoutError):
        return False
    outgoing.close()
    return True
