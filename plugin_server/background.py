"""Work that nobody awaits: what must be finished, and what must never end.

A task that fails unseen is the worst failure of a server: nothing happens any more, and nobody is
told. Here failures are logged at once, and `GetServerInfo` has what does not run as it should.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

RESTART_S = 1.0
"""Pause before work that has failed starts anew."""
STEADY_S = 10.0
"""A failure that did not come again for so long is over."""

T = TypeVar("T")
_tasks: set[asyncio.Task[Any]] = set()  # an event loop holds its tasks by weak references alone


def start(what: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that is kept until it is over, and whose failure is logged at once."""
    task = _keep(what, work)
    task.add_done_callback(_log_failure)
    return task


async def to_its_end(what: str, work: Coroutine[Any, Any, T]) -> T:
    """The result of work that goes on to its end also if the caller is cancelled.

    For what holds a lock or owes a second step while a thread works: cancelled in the middle, it
    would let go of the lock and the thread would still be at it.
    """
    task = _keep(what, work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_log_failure)  # nobody else will hear of it
        raise


def _keep(what: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    task = asyncio.create_task(work, name=what)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s failed", task.get_name(), exc_info=error)


class Watch:
    """Runs what must never end, and knows what fails."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[str, float]] = {}  # what -> how, when

    def keep_running(
        self, what: str, run: Callable[[], Coroutine[Any, Any, None]]
    ) -> asyncio.Task[None]:
        """A task that starts anew after a failure, until it is cancelled or returns."""
        return start(what, self._run(what, run))

    async def _run(self, what: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                return await run()
            except Exception as error:
                self.failed(what, error)
            await asyncio.sleep(RESTART_S)

    def failed(self, what: str, error: Exception) -> None:
        """Note a failure, and log it unless it goes on failing alike. Any thread may call it."""
        how = f"{what} failed: {type(error).__name__}: {error}"
        if how not in self.problems:
            logger.error("%s failed, and starts anew", what, exc_info=error)
        self._failures[what] = how, self._clock()

    @property
    def problems(self) -> list[str]:
        """What has failed in the last seconds."""
        now_s = self._clock()
        return [how for how, at_s in [*self._failures.values()] if now_s - at_s <= STEADY_S]
