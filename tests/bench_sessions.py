"""Many sessions of one server: frames of each, how even they are, and how long they take.

`python -m tests.bench_sessions STORE AVATAR`, of a store that no server holds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np

from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.server_process import server_process
from plugin_server.client.session import ClientSession
from plugin_server.wire import Flags

COUNTS, SIDES = (1, 2, 4, 8), (256, 512)
RATE_HZ, SECONDS, WARM_S = 30, 6.0, 2.0


class Reading:
    """The frames of one session, taken on a thread of its own."""

    def __init__(self, session: ClientSession) -> None:
        self.session, self.times_ms, self._stopping = session, [], threading.Event()
        self.times_ms: list[float]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with closing(self.session.reader()) as reader:
            while not self._stopping.is_set():
                received = reader.receive(0.1)
                if received is not None and not received.header.flags & Flags.REPEATED:
                    self.times_ms.append((time.monotonic_ns() - received.header.pts_ns) / 1e6)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def drive_all(sessions: Sequence[ClientSession], seconds: float) -> None:
    """A talking jaw, thirty times a second."""
    start = time.monotonic()
    for step in range(int(RATE_HZ * seconds)):
        for session in sessions:
            session.drive({"jawOpen": abs(step % 20 - 10) / 10})
        time.sleep(max(0.0, start + (step + 1) / RATE_HZ - time.monotonic()))


@contextmanager
def reading(sessions: Sequence[ClientSession]) -> Iterator[list[Reading]]:
    readings = [Reading(session) for session in sessions]
    try:
        yield readings
    finally:
        for own in readings:
            own.stop()


def measure(client: FlexAvatarClient, avatar: str, count: int, side: int) -> str:
    """One line of the table."""
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(client.start_session(avatar, side, side)) for _ in range(count)
        ]
        readings = stack.enter_context(reading(sessions))
        drive_all(sessions, WARM_S)
        for own in readings:
            own.times_ms.clear()
        drive_all(sessions, SECONDS)
        frames = [len(own.times_ms) / SECONDS for own in readings]
        times = np.concatenate([own.times_ms for own in readings])
        load = client.info().load
    even = min(frames) / max(frames)
    p50, p99 = np.quantile(times, (0.5, 0.99))
    return (
        f"{count:8} {side:5} {np.mean(frames):10.1f} {even:9.2f} {p50:7.0f} {p99:7.0f} {load:6.2f}"
    )


def main(store: Path, avatar: str) -> None:
    """Print the table."""
    print("sessions  side frames/s each  fairness  p50 ms  p99 ms  asked load")
    with server_process(store) as address, FlexAvatarClient(address) as client:
        client.wait_ready()
        for side in SIDES:
            for count in COUNTS:
                print(measure(client, avatar, count, side), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
