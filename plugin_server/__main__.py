"""`python -m plugin_server`: serve until interrupted."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import tyro

from flexavatar.errors import FlexAvatarError
from plugin_server.config import ServerConfig
from plugin_server.model_engine import ModelEngine
from plugin_server.server import serving

SWITCH_S = 0.001
"""Python's threads take turns this often: the event loop must not hold up a frame for 5 ms."""


async def serve(config: ServerConfig) -> None:
    """Serve until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    async with serving(config, ModelEngine(config.device)) as listening:
        print(f"gRPC on {listening.address}, frames on {listening.frame_address}", flush=True)
        print(f"avatars in {config.store}", flush=True)
        await stopping.wait()
    print("stopped", flush=True)


def main() -> None:
    """Read the command line, and serve."""
    config = tyro.cli(ServerConfig, prog="plugin_server", description=__doc__)
    logging.basicConfig(level=logging.INFO)
    sys.setswitchinterval(SWITCH_S)
    try:
        asyncio.run(serve(config))
    except FlexAvatarError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
