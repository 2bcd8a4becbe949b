"""A server as a program: until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from plugin_server.config import ServerConfig
from plugin_server.model_engine import ModelEngine
from plugin_server.server import serving

SWITCH_S = 0.001
"""Python's threads take turns this often: the event loop must not hold up a frame for 5 ms."""


def run(config: ServerConfig) -> None:
    """Serve until interrupted. Raises what `serving` raises."""
    logging.basicConfig(level=logging.INFO)
    sys.setswitchinterval(SWITCH_S)
    asyncio.run(_serve(config))


async def _serve(config: ServerConfig) -> None:
    stopping = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    async with serving(config, ModelEngine(config.device)) as listening:
        print(f"gRPC on {listening.address}, frames on {listening.frame_address}", flush=True)
        print(f"HTTP on {listening.http_address}, drive packets on {listening.drive_address}")
        print(f"avatars in {config.store}", flush=True)
        for gateway in listening.gateways:
            print(gateway, flush=True)
        await stopping.wait()
    print("stopped", flush=True)
