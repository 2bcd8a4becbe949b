"""Queue of avatars that are being made: a few at once, a few waiting, the rest refused."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flexavatar.errors import AvatarNotFoundError, BusyError
from plugin_server.avatar_record import AvatarRecord
from plugin_server.create_process import release_memory
from plugin_server.engine import Engine, Recipe
from plugin_server.errors import CreationCancelledError
from plugin_server.quotas import Quotas
from plugin_server.store import Store

logger = logging.getLogger(__name__)

FAILURES = 16
"""Of creations that were to be kept, so many are remembered."""


@dataclass
class Creation:
    """One avatar that is being made, and its progress."""

    name: str
    client: str = ""
    stage: str = "waiting"
    fraction: float = 0.0
    started: float = field(default_factory=time.monotonic)
    began: float = 0.0
    """When its turn had come."""
    has_preview: bool = False
    """Whether something of it can be shown already."""
    work: Future[AvatarRecord] | None = None
    keep: bool = False
    """Whether it goes on without its client, once there is work."""
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was asked for."""
        return time.monotonic() - self.started

    def report(self, stage: str, fraction: float) -> None:
        """Take the model's progress. Raises CreationCancelledError once it is cancelled."""
        self.check()
        self.stage, self.fraction = stage, max(self.fraction, min(fraction, 1.0))

    def check(self) -> None:
        """Raise CreationCancelledError once it is cancelled."""
        if self._cancelled.is_set():
            raise CreationCancelledError(f"the making of {self.name!r} was cancelled")

    def cancel(self) -> None:
        """Let it end at its next report, without a trace in the store."""
        self._cancelled.set()


@dataclass(frozen=True)
class CreationResult:
    """A new avatar, how good it is, and how many files it was made from."""

    avatar: Any
    metrics: Mapping[str, float]
    files: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """What will look wrong, if its engine says so."""
        return tuple(getattr(self.avatar, "warnings", ()))


class Creations:
    """The worker threads that make avatars, and the queue in front of them."""

    def __init__(
        self, engine: Engine, store: Store, running: int, waiting: int, quotas: Quotas
    ) -> None:
        self._engine, self._store, self._quotas = engine, store, quotas
        self._seats = running + waiting
        self._limit = f"{running} being made and {waiting} waiting"
        self._open: dict[str, Creation] = {}
        self._failed: dict[str, tuple[Creation, str]] = {}  # and why
        self.on_created: Callable[[float], object] = lambda seconds: None
        """Called with how long each avatar took, on its worker thread."""
        self.on_stored: Callable[[str], object] = lambda name: None
        """Called there with the name of each avatar that is stored, previews apart."""
        self.on_preview_dropped: Callable[[str], object] = lambda name: None
        """Called there with the name of each whose preview was all there will be."""
        self._workers = ThreadPoolExecutor(running, "create")
        self._interpolator = ThreadPoolExecutor(1, "interpolate")  # a second, not behind a minute

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> list[tuple[Creation, str]]:
        """Those that failed, with the reason, and those that are under way, with none."""
        return [*self._failed.values(), *((creation, "") for creation in [*self._open.values()])]

    def cancel(self, name: str) -> None:
        """End one that is under way, or forget one that failed. Raises AvatarNotFoundError."""
        failed, creation = self._failed.pop(name, None), self._open.get(name)
        if creation is not None:
            creation.keep = False
            creation.cancel()
        elif failed is None:
            raise AvatarNotFoundError(f"no avatar {name!r} is being made")

    def _remember(self, creation: Creation, error: Exception) -> None:
        """For a client that comes back and asks."""
        if creation.keep:
            self._failed[creation.name] = creation, str(error)
            for oldest in [*self._failed][:-FAILURES]:
                self._failed.pop(oldest, None)

    async def check_avatars(self, name: str, client: str) -> None:
        """Raise QuotaError unless the client may have one more avatar, or make its own anew."""
        if self._quotas.avatars:
            before, digest = self._names_of(client), self._quotas.digest(client)
            records = await self._store.in_thread(self._store.records)
            stored = {record.name for record in records if record.client == digest}
            has = before | stored | self._names_of(client)
            self._quotas.check_avatars(len(has - {name}))

    def _names_of(self, client: str) -> set[str]:
        """What a client is making."""
        return {creation.name for creation in self._open.values() if creation.client == client}

    @contextmanager
    def seat(self, name: str, replace: bool, client: str = "") -> Iterator[Creation]:
        """A client's place in the queue, from before the upload until the model has let go.

        Raises BusyError when all are taken, QuotaError when the client has all that it may,
        InputError or ConflictError for the name.
        """
        self._quotas.check_creations(client, (c.client for c in self._open.values()))
        if len(self._open) >= self._seats:
            raise BusyError(f"creations: {self._limit} is the limit, try again later")
        held = ExitStack()
        held.enter_context(self._store.reserve(name, replace))
        creation = self._open[name] = Creation(name, client)
        self._failed.pop(name, None)
        held.callback(self._open.pop, name)
        try:
            yield creation
        finally:
            if not creation.keep or creation.work is None:
                creation.cancel()  # no effect on one that is complete
            if creation.work is None:
                held.close()
            else:  # a cancelled one holds its seat until its thread has really ended
                creation.work.add_done_callback(lambda _: held.close())

    async def create(
        self, creation: Creation, photos: Sequence[bytes], recipe: Recipe
    ) -> AvatarRecord:
        """Make the avatar of a seat and store it. Raises what the model raises."""

        def make() -> CreationResult:
            def show(preview: Any) -> None:
                if not self._store.is_stored(creation.name):  # what is whole stays until this is
                    self._write(creation, CreationResult(preview, {}, len(photos)), preview=True)
                    creation.has_preview = True

            avatar, metrics = self._engine.create(photos, recipe, creation.report, show)
            return CreationResult(avatar, metrics, len(photos))

        return await self._submit(self._workers, creation, make)

    async def interpolate(self, creation: Creation, a: str, b: str, share: float) -> AvatarRecord:
        """Make the avatar of a seat of two in the store. Raises what store and model raise."""

        def make() -> CreationResult:
            one, other = (self._store.read(name, self._engine.load) for name in (a, b))
            files = sum(self._store.record(name).photos for name in (a, b))
            return CreationResult(
                self._engine.interpolate(one, other, share), {"share": share}, files
            )

        return await self._submit(self._interpolator, creation, make)

    async def _submit(
        self, workers: ThreadPoolExecutor, creation: Creation, make: Callable[[], CreationResult]
    ) -> AvatarRecord:
        creation.work = workers.submit(self._make_stored, creation, make)
        return await asyncio.wrap_future(creation.work)

    def _make_stored(self, creation: Creation, make: Callable[[], CreationResult]) -> AvatarRecord:
        """Make and store an avatar, on a worker thread, and give back what memory it took."""
        about = {"avatar": creation.name}
        logger.info("creation started", extra=about)
        try:
            creation.began = time.monotonic()
            creation.report("starting", 0.0)
            record = self._write(creation, make())
        except CreationCancelledError:
            logger.info("creation ended: it was cancelled", extra=about)
            raise
        except Exception as error:
            logger.info("creation ended: %s", error, extra=about)
            self._remember(creation, error)
            raise
        finally:
            if self._store.drop_preview(creation.name):
                self.on_preview_dropped(creation.name)
            release_memory()
        logger.info("avatar made in %.1f s", record.create_s, extra=about)
        self.on_created(record.create_s)
        self.on_stored(record.name)
        return record

    def _write(
        self, creation: Creation, made: CreationResult, preview: bool = False
    ) -> AvatarRecord:
        avatar = made.avatar
        record = AvatarRecord(
            name=creation.name,
            gaussians=self._engine.count(avatar),
            photos=made.files,
            created_unix_ms=time.time_ns() // 1_000_000,
            create_s=time.monotonic() - creation.began,
            metrics=dict(made.metrics),
            model=self._engine.model(avatar),
            warnings=made.warnings,
            client=self._quotas.digest(creation.client),
            preview=preview,
        )

        def save(folder: Path) -> None:
            self._engine.save(avatar, folder)

        self._store.write(record, save, creation.check)
        return record

    def close(self) -> None:
        """Cancel everything and wait for the threads."""
        for creation in list(self._open.values()):
            creation.cancel()
        for workers in (self._workers, self._interpolator):
            workers.shutdown(wait=True, cancel_futures=True)
