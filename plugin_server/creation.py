"""Avatars in the making: a few at once, a few waiting, the rest refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flexavatar.errors import BusyError
from plugin_server.engine import Engine, Recipe
from plugin_server.store import AvatarRecord, Store


class CreationCancelledError(Exception):
    """The client is gone; raised inside the model by its own progress report."""


@dataclass
class Creation:
    """One avatar on its way, and how far it is."""

    name: str
    stage: str = "waiting"
    fraction: float = 0.0
    started: float = field(default_factory=time.monotonic)
    work: Future[AvatarRecord] | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def elapsed_s(self) -> float:
        """Wall clock since it was asked for."""
        return time.monotonic() - self.started

    def report(self, stage: str, fraction: float) -> None:
        """The model's progress; ends it here if nobody waits for it any more."""
        self.check()
        self.stage, self.fraction = stage, max(self.fraction, min(fraction, 1.0))

    def check(self) -> None:
        """Raise CreationCancelledError once it is cancelled."""
        if self._cancelled.is_set():
            raise CreationCancelledError(self.name)

    def cancel(self) -> None:
        """Let it end at its next report; nothing of it stays."""
        self._cancelled.set()


@dataclass(frozen=True)
class CreationResult:
    """An avatar, how good it is, and how many files it is made from in the end."""

    avatar: Any
    metrics: Mapping[str, float]
    files: int


class Creations:
    """The worker threads that make avatars, and the seats in front of them."""

    def __init__(self, engine: Engine, store: Store, running: int, waiting: int) -> None:
        self._engine, self._store = engine, store
        self._seats = running + waiting
        self._limit = f"{running} being made and {waiting} waiting"
        self._open: dict[str, Creation] = {}
        self._workers = ThreadPoolExecutor(running, "create")
        self._blender = ThreadPoolExecutor(1, "interpolate")  # a second must not wait for a minute

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def seat(self, name: str, replace: bool) -> Iterator[Creation]:
        """A place in the queue, from before the upload until the model has let go.

        Raises BusyError when all are taken, InputError or ConflictError for the name.
        """
        if len(self._open) >= self._seats:
            raise BusyError(f"creations: {self._limit} is the limit, try again later")
        held = ExitStack()
        held.enter_context(self._store.reserve(name, replace))
        creation = self._open[name] = Creation(name)
        held.callback(self._open.pop, name)
        try:
            yield creation
        finally:
            creation.cancel()  # no effect on one that is complete
            if creation.work is None:
                held.close()
            else:  # a cancelled one holds its seat until its thread has really ended
                creation.work.add_done_callback(lambda _: held.close())

    async def run(
        self, creation: Creation, photos: Sequence[bytes], recipe: Recipe
    ) -> AvatarRecord:
        """Make the avatar of a seat and store it. Raises what the model raises."""

        def make() -> CreationResult:
            return CreationResult(
                *self._engine.create(photos, recipe, creation.report), len(photos)
            )

        return await self._work(self._workers, creation, make)

    async def interpolate(self, creation: Creation, a: str, b: str, share: float) -> AvatarRecord:
        """Make the avatar of a seat of two in the store. Raises what store and model raise."""

        def make() -> CreationResult:
            one, other = (self._store.read(name, self._engine.load) for name in (a, b))
            files = sum(self._store.record(name).photos for name in (a, b))
            return CreationResult(
                self._engine.interpolate(one, other, share), {"share": share}, files
            )

        return await self._work(self._blender, creation, make)

    async def _work(
        self, workers: ThreadPoolExecutor, creation: Creation, make: Callable[[], CreationResult]
    ) -> AvatarRecord:
        creation.work = workers.submit(self._make, creation, make)
        return await asyncio.wrap_future(creation.work)

    def _make(self, creation: Creation, make: Callable[[], CreationResult]) -> AvatarRecord:
        """The worker's part."""
        began = time.monotonic()
        creation.report("starting", 0.0)
        made = make()
        avatar = made.avatar
        record = AvatarRecord(
            name=creation.name,
            gaussians=self._engine.count(avatar),
            photos=made.files,
            created_unix_ms=time.time_ns() // 1_000_000,
            create_s=time.monotonic() - began,
            metrics=dict(made.metrics),
            model=self._engine.model(avatar),
        )

        def save(folder: Path) -> None:
            self._engine.save(avatar, folder)

        self._store.write(record, save, creation.check)
        return record

    def close(self) -> None:
        """Cancel everything and wait for the threads."""
        for creation in list(self._open.values()):
            creation.cancel()
        for workers in (self._workers, self._blender):
            workers.shutdown(wait=True, cancel_futures=True)
