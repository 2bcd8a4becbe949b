"""Signals come in, reports go out; neither waits for the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from google.protobuf.message import Message
from grpc.aio import ServicerContext

from flexavatar.errors import ConflictError, SessionNotFoundError
from plugin_server.messages.signals import request_signal
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.session import Session

REPORT_S = 0.1
LAST_REPORT_S = 1.0
"""A client that reads gets its last report in this time; one that does not is left."""


def drive_report(session: Session) -> pb.DriveResponse:
    """The answer to a driver: the newest frame, and what became of the signals."""
    last, ending = session.last_frame, session.ending(time.monotonic())
    return pb.DriveResponse(
        pts_ns=last.pts_ns,
        seq=last.seq,
        received=session.mailbox.received,
        replaced=session.mailbox.replaced,
        frame_ms=last.frame_ms,
        ending=ending.reason if ending else "",
        ends_in_s=ending.left_s if ending else 0.0,
    )


@contextmanager
def exclusive_stream(session: Session, source: str) -> Iterator[asyncio.Event]:
    """Hold the one seat of a source's stream, from an older one of the owner, which may be dead.

    Gives what is set when a newer one takes over in its turn.
    """
    taken_over = asyncio.Event()
    if (older := session.streams.get(source)) is not None:
        older.set()
    session.streams[source] = taken_over
    try:
        yield taken_over
    finally:
        if session.streams.get(source) is taken_over:
            del session.streams[source]


async def drive_until_end(
    session: Session,
    first: pb.DriveRequest,
    requests: AsyncIterator[pb.DriveRequest],
    context: ServicerContext,
    taken_over: asyncio.Event,
) -> None:
    """Take signals until the client stops, the session ends, or a newer stream takes over.

    Raises what `request_signal` and `Session.drive` raise, and ConflictError.
    """
    seq = -1

    def next_report() -> pb.DriveResponse | None:
        nonlocal seq
        before, seq = seq, session.last_frame.seq
        return drive_report(session) if seq != before else None

    receiving = _receive(session, first, requests)
    await run_until_end(session, receiving, next_report, context, taken_over)


async def run_until_end(
    session: Session,
    receive: Coroutine[Any, Any, None],
    next_report: Callable[[], Message | None],
    context: ServicerContext,
    taken_over: asyncio.Event,
) -> None:
    """Receive until nothing comes any more, the session ends or is taken over; report meanwhile.

    `next_report` gives None while there is nothing new. Raises what `receive` raises, and
    ConflictError once another stream has taken over.
    """
    over = asyncio.Event()
    receiving = asyncio.ensure_future(receive)
    reporting = asyncio.ensure_future(_report_until(over, next_report, context))
    ended = asyncio.ensure_future(_ended(session))
    replaced = asyncio.ensure_future(taken_over.wait())
    tasks = receiving, reporting, ended, replaced
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        over.set()
        if taken_over.is_set():  # which may end what is received, too
            raise ConflictError(f"session {session.session_id}: a newer stream has taken over")
        if receiving.done():
            receiving.result()
            await asyncio.wait((reporting,), timeout=LAST_REPORT_S)
        if reporting.done():
            reporting.result()
        if ended.done():
            reason = session.end_reason
            raise SessionNotFoundError(f"session {session.session_id} has ended: {reason}")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _receive(
    session: Session, first: pb.DriveRequest, requests: AsyncIterator[pb.DriveRequest]
) -> None:
    session.drive(request_signal(first, session))
    async for request in requests:
        session.drive(request_signal(request, session))


async def _report_until(
    over: asyncio.Event, next_report: Callable[[], Message | None], context: ServicerContext
) -> None:
    """Report what is new. A client that does not read holds up nothing but this."""
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), REPORT_S)
        if (message := next_report()) is not None:
            await context.write(message)


async def _ended(session: Session) -> None:
    """Wait until the render thread has let go of the session."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    wake = lambda: loop.call_soon_threadsafe(ended.set)  # noqa: E731
    session.on_end.append(wake)
    try:
        if session.end_reason is None:
            await ended.wait()
    finally:
        session.on_end.remove(wake)
