"""All servers behind a router: which one is asked for what."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence

from flexavatar.errors import (
    AvatarNotFoundError,
    BusyError,
    ConflictError,
    SessionNotFoundError,
)
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.router.worker import Worker
from plugin_server.sessions import worker_of

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
WORTH_A_COPY = 0.5
"""An avatar is copied to a server that has so much more room than those who have it."""


class Workers:
    """The servers of a router, looked at twice a second. For one event loop."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.all = workers
        self._copying: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def look(self) -> None:
        """Ask all how they are."""
        await asyncio.gather(*(worker.look() for worker in self.all))

    async def watch(self) -> None:
        """Ask for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def alive(self) -> list[Worker]:
        """Those that answer."""
        return [worker for worker in self.all if worker.info is not None]

    @property
    def problems(self) -> list[str]:
        """Who does not answer, and who cannot be told from another."""
        found = [f"{w.address} does not answer: {w.problem}" for w in self.all if w.info is None]
        numbers = [w.info.worker for w in self.alive if w.info]
        for number in sorted({*numbers}):
            if number == 0 or numbers.count(number) > 1:
                found.append(
                    f"{numbers.count(number)} servers are worker {number}: start each with a"
                    " --worker of its own, 1 to 255"
                )
        return found

    def of_session(self, session_id: str) -> Worker:
        """The server that a session is on. Raises SessionNotFoundError, InputError.

        Nothing is kept here for that: its number is in the session's id.
        """
        number = worker_of(session_id)
        for worker in self.alive:
            if worker.info and worker.info.worker == number:
                return worker
        raise SessionNotFoundError(
            f"session {session_id} has ended: worker {number} does not answer"
        )

    def holders(self, name: str) -> list[Worker]:
        """Who has an avatar, in the newest of its versions. Raises AvatarNotFoundError."""
        found = [worker for worker in self.alive if name in worker.avatars]
        if not found:
            raise AvatarNotFoundError(f"no avatar {name[:64]!r}")
        newest = max(worker.avatars[name].created_unix_ms for worker in found)
        return [w for w in found if w.avatars[name].created_unix_ms == newest]

    def avatars(self) -> list[pb.Avatar]:
        """All, each in its newest version, by name."""
        names = sorted({name for worker in self.alive for name in worker.avatars})
        return [self.holders(name)[0].avatars[name] for name in names]

    def with_room(self) -> list[Worker]:
        """Who takes new work, the one with the most room first. Raises BusyError."""
        found = [worker for worker in self.alive if worker.takes_work]
        if not found:
            raise BusyError(f"none of {len(self.all)} servers takes new work now")
        return sorted(found, key=lambda worker: worker.pressure)

    def for_session(self, names: Sequence[str]) -> Iterator[Worker]:
        """Who may start a session of these avatars, the best first.

        Who has the avatars comes before who has somewhat more room. Raises AvatarNotFoundError,
        BusyError.
        """
        own = [{*self.holders(name)} for name in names]
        having = set.intersection(*own)

        def cost(worker: Worker) -> tuple[float, int]:
            load, sessions = worker.pressure
            return load + (0.0 if worker in having else WORTH_A_COPY), sessions

        yield from sorted(self.with_room(), key=cost)

    def for_creation(self, name: str, replace: bool) -> Worker:
        """Who makes an avatar of this name. Raises ConflictError, BusyError."""
        if not replace and any(name in worker.avatars for worker in self.alive):
            raise ConflictError(f"avatar {name!r} exists already: delete or replace it")
        free = self.with_room()
        return min(free, key=lambda w: (w.info.creations if w.info else 0, w.pressure))

    async def bring(self, names: Sequence[str], target: Worker) -> None:
        """Copy avatars to a server that lacks them, or has older ones, once."""
        for name in names:
            async with self._copying[name, target.address]:
                holders = self.holders(name)
                if target not in holders:
                    copy = await holders[0].call("FetchAvatar", pb.GetAvatarRequest(name=name))
                    stored = await target.call("StoreAvatar", copy)
                    target.avatars = {**target.avatars, name: stored}
                    logger.info("%r copied to %s", name, target)
