"""Puts the parts together and runs them."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from flexavatar.errors import InputError
from plugin_server.background import Watch, start
from plugin_server.bodies import BodyPlaces
from plugin_server.config import ServerConfig, check_config
from plugin_server.creation import Creations
from plugin_server.drive_socket import DriveSocket
from plugin_server.engine import Engine
from plugin_server.frame_websocket import FrameWebSockets
from plugin_server.frameloop import FrameLoop
from plugin_server.gateways.hub import Hub
from plugin_server.gateways.open import open_gateways
from plugin_server.gateways.takes import TakeRecorder
from plugin_server.grpc_server import Health, add_services, grpc_server, listen
from plugin_server.http_server import open_http
from plugin_server.logs import LoopErrors, allow_open_files, set_up_logs
from plugin_server.messages.sources import show_request
from plugin_server.monitoring import Monitoring
from plugin_server.publisher import Publisher
from plugin_server.quotas import Quotas
from plugin_server.security import Access
from plugin_server.service import FlexAvatarService
from plugin_server.sessions import Sessions
from plugin_server.shutdown import STOPS, Shutdown
from plugin_server.store import Store

logger = logging.getLogger(__name__)

GRACE_S = 2.0
DRIVEN_S = 5.0
"""Whoever has not driven for so long is not waited for when the server stops."""
DRAIN_STEP_S = 0.05
PREPARE_S = 5.0
"""So often a server looks whether it may make ready for the next creation."""
QUIET_S = 30.0
"""After a creation somebody mostly wants to see the avatar, and after a session another one."""
SWITCH_S = 0.001
"""Python's threads take turns this often: the event loop must not hold up a frame for 5 ms."""


@dataclass(frozen=True)
class ServerAddresses:
    """Where a running server can be reached."""

    address: str
    """host:port of gRPC."""
    http_address: str
    """URL of the same calls over HTTP."""
    frame_address: str
    """ZeroMQ endpoint of the frames."""
    drive_address: str
    """ZeroMQ endpoint of drive packets."""
    gateways: Sequence[str] = ()
    """Where capture apps may send, each for a person to read."""


async def _prepare(engine: Engine, sessions: Sessions, creations: Creations) -> None:
    """While nobody waits: it takes a core for ten seconds, and frames of sessions with it."""
    busy_at = -QUIET_S
    while True:
        await asyncio.sleep(PREPARE_S)
        now = time.monotonic()
        if sessions.running() or len(creations):
            busy_at = now
        elif now - busy_at >= QUIET_S:
            engine.prepare()


@dataclass(frozen=True)
class RunningServer:
    """What can be done with a server that runs."""

    config: ServerConfig
    addresses: ServerAddresses
    access: Access
    health: Health
    shutdown: Shutdown
    sessions: Sessions
    creations: Creations
    reload_certificate: Callable[[], None]

    def reload(self) -> None:
        """Read tokens and certificate anew; what cannot be read stays as it was, and is logged."""
        for reload in (self.access.reload, self.reload_certificate):
            try:
                reload()
            except (InputError, OSError) as error:
                logger.error("reloading: %s", error)
        logger.info("tokens and certificate were read anew")

    async def drain(self) -> None:
        """Take nothing new, tell everybody, and let what runs finish within the limit."""
        await self.health.set(serves=False)
        self.shutdown.begin(self.config.drain_s)
        logger.info("stopping: what runs has %g s to finish", self.config.drain_s)
        for session in self.sessions.running():
            session.announce_end(STOPS, self.config.drain_s)
        while self.shutdown.left_s > 0 and (len(self.creations) or self._somebody_drives()):
            await asyncio.sleep(DRAIN_STEP_S)

    def _somebody_drives(self) -> bool:
        oldest_s = time.monotonic() - DRIVEN_S
        return any(s.driven_at > oldest_s for s in self.sessions.running() if not s.lasting)


def _record(config: ServerConfig, hub: Hub, stack: AsyncExitStack) -> None:
    """Takes of what moves avatars, if they are wanted, until the stack unwinds."""
    if config.gateways.record is not None:
        recorder = TakeRecorder(config.gateways.record)
        stack.callback(recorder.close)
        hub.subscribe(recorder.record)


@asynccontextmanager
async def serving(config: ServerConfig, engine: Engine) -> AsyncIterator[RunningServer]:
    """A server for as long as the context lasts.

    Raises InputError for a config that must not or cannot run, ConflictError if another server
    uses the store.
    """
    check_config(config)
    asyncio.get_running_loop().set_exception_handler(LoopErrors())
    watch, shutdown = Watch(), Shutdown()
    async with AsyncExitStack() as stack:  # what waits for threads does so here and now
        store = Store(config.store)
        stack.callback(store.close)
        publisher = Publisher(config, engine.message_bytes)
        stack.callback(publisher.close)
        quotas, seats = Quotas.of(config, store.secret()), config.creations_waiting
        stack.callback(engine.close)
        creations = Creations(engine, store, config.creations_running, seats, quotas)
        stack.callback(creations.close)
        access, places = Access(config), BodyPlaces()
        server = grpc_server(config, access, places)
        stack.push_async_callback(server.stop, GRACE_S)
        frame_loop = FrameLoop(publisher, watch, engine)
        stack.callback(frame_loop.close)
        limits = config.max_sessions, config.max_load
        sessions = Sessions(engine, publisher, frame_loop, *limits, quotas, config.worker)
        hub = Hub()
        drive = DriveSocket(config, publisher, sessions, hub, watch)
        stack.push_async_callback(drive.close)
        service = FlexAvatarService(
            config, engine, store, creations, sessions, publisher, hub, drive.status, watch,
            shutdown,
        )  # fmt: skip
        stack.push_async_callback(service.close)
        monitoring = Monitoring(sessions, creations, frame_loop, publisher, watch, shutdown)
        frames = FrameWebSockets(sessions, publisher, drive, access)
        running_health = add_services(server, service)
        address = listen(server, config)
        http = await stack.enter_async_context(
            open_http(config, service, access, places, monitoring.pages, frames)
        )
        _record(config, hub, stack)
        await stack.enter_async_context(open_gateways(config.gateways, hub, watch))
        if config.gateways.show:
            await service.starter.start(show_request(config.gateways, hub), lasting=True)
        await server.start()
        await running_health.set(serves=True)
        store.announce(address)
        if config.creation_ready:
            preparing = start("preparing creations", _prepare(engine, sessions, creations))
            stack.callback(preparing.cancel)
        gateways = [f"{status.source} on {status.address}" for status in hub.statuses]
        addresses = ServerAddresses(
            address, http.url, publisher.address, drive.status.address, gateways
        )
        yield RunningServer(
            config, addresses, access, running_health, shutdown, sessions, creations,
            http.reload_certificate,
        )  # fmt: skip


def run(
    config: ServerConfig, on_start: Callable[[ServerAddresses], object] = lambda addresses: None
) -> None:
    """Serve until interrupted; `on_start` is called once it answers.

    Raises what `serving` raises.
    """
    check_config(config)  # before the engine, which takes seconds
    set_up_logs(config.log_json)
    sys.setswitchinterval(SWITCH_S)
    allow_open_files()
    asyncio.run(_serve(config, on_start))


async def _serve(config: ServerConfig, on_start: Callable[[ServerAddresses], object]) -> None:
    """SIGTERM drains, a second one or SIGINT stops at once, SIGHUP reloads."""
    asked, at_once = asyncio.Event(), asyncio.Event()

    def terminate() -> None:
        (at_once if asked.is_set() else asked).set()

    def interrupt() -> None:
        at_once.set()
        asked.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    async with serving(config, _model_engine(config)) as server:
        loop.add_signal_handler(signal.SIGHUP, server.reload)
        _print_addresses(config, server.addresses)
        on_start(server.addresses)
        await asked.wait()
        draining, hurried = start("draining", server.drain()), start("stopping", at_once.wait())
        await asyncio.wait((draining, hurried), return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, hurried):
            task.cancel()
    print("stopped", flush=True)


def _print_addresses(config: ServerConfig, listening: ServerAddresses) -> None:
    print(f"gRPC on {listening.address}, frames on {listening.frame_address}", flush=True)
    print(f"HTTP on {listening.http_address}, drive packets on {listening.drive_address}")
    print(f"studio: {listening.http_address}/studio", flush=True)
    print(f"avatars in {config.store}", flush=True)
    for gateway in listening.gateways:
        print(gateway, flush=True)


@contextmanager
def running_server(config: ServerConfig, engine: Engine | None = None) -> Iterator[ServerAddresses]:
    """A server in a thread of this process; `engine` is the model itself unless given.

    Raises what `serving` raises, also what it ends with.
    """
    started: Future[ServerAddresses] = Future()
    chosen = engine or _model_engine(config)
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with serving(config, chosen) as server:
            started.set_result(server.addresses)
            await stopping.wait()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    with ThreadPoolExecutor(1, "server") as thread:
        ended = thread.submit(work)
        ended.add_done_callback(lambda _: started.cancel())  # unless it came so far
        try:
            yield started.result()
        finally:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stopping.set)
            ended.result()


def _model_engine(config: ServerConfig) -> Engine:
    """The real engine, imported late: it takes seconds and a server of tests never needs it."""
    from plugin_server.model_engine import ModelEngine

    return ModelEngine(config.device)
