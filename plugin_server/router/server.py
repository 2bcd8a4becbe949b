"""Runs a router."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from plugin_server.background import start
from plugin_server.bodies import BodyPlaces
from plugin_server.config import read_token
from plugin_server.grpc_server import add_services, grpc_server, listen
from plugin_server.logs import set_up_logs
from plugin_server.router.config import RouterConfig, check_router
from plugin_server.router.service import RouterService
from plugin_server.router.worker import Worker
from plugin_server.router.workers import Workers
from plugin_server.security import Access

GRACE_S = 1.0


@asynccontextmanager
async def routing(config: RouterConfig) -> AsyncIterator[str]:
    """A router for as long as the context lasts; its host:port. Raises InputError."""
    check_router(config)
    token = read_token(config.token_file)
    own = () if token is None else (("authorization", f"Bearer {token}"),)
    path = config.worker_certificate
    certificate = None if path is None else path.read_bytes()
    async with AsyncExitStack() as stack:
        workers = Workers([Worker(address, certificate, own) for address in config.workers])
        for worker in workers.all:
            stack.push_async_callback(worker.close)
        await workers.look()
        watching = start("looking at the servers", workers.watch())
        stack.callback(watching.cancel)
        server = grpc_server(config.front, Access(config.front), BodyPlaces())
        stack.push_async_callback(server.stop, GRACE_S)
        health = add_services(server, RouterService(workers))
        address = listen(server, config.front)
        await server.start()
        await health.set(serves=True)
        yield address


def run(config: RouterConfig) -> None:
    """Route until interrupted. Raises what `routing` raises."""
    set_up_logs(config.log_json)
    asyncio.run(_route(config))


async def _route(config: RouterConfig) -> None:
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    async with routing(config) as address:
        print(f"gRPC on {address}, for {len(config.workers)} servers", flush=True)
        await asked.wait()
    print("stopped", flush=True)
