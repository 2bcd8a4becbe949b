"""Instants of many sessions made at once, where the engine gains by it: who is in a batch, that
nobody starves, and that one that fails ends no session."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from flexavatar.drive.signal import Signal
from flexavatar.types import Gaussians
from plugin_server.engine import Puppet
from tests.service import (
    PHOTO,
    TinyAvatar,
    TinyEngine,
    local_config,
    must_receive,
    server_and_client,
    wait_for_pts,
)
from tests.signals import signal_of

POSE_S = 0.004
SECONDS = 2.0


class BatchEngine(TinyEngine):
    """Moves up to eight in the time of one."""

    batch = 8

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def animate_many(self, instants: Sequence[tuple[Puppet, Signal]]) -> Sequence[Gaussians]:
        self.sizes.append(len(instants))
        time.sleep(POSE_S)
        return super().animate_many(instants)


def test_all_that_are_due_are_moved_at_once(tmp_path: Path) -> None:
    """Twelve sessions, and each has its signal's own picture."""
    engine = BatchEngine()
    with server_and_client(local_config(tmp_path), engine) as (client, _), ExitStack() as stack:
        client.create_avatar([PHOTO], "ada")
        sessions = [stack.enter_context(client.start_session("ada", 64, 48)) for _ in range(12)]
        readers = [session.reader() for session in sessions]
        for reader in readers:
            stack.callback(reader.close)
            must_receive(reader)
        began, sent = time.monotonic(), 0
        first = [session.drive_once({}).seq for session in sessions]
        while time.monotonic() < began + SECONDS:
            sent += 1
            for session in sessions:
                session.drive({"jawOpen": 0.01 * (sent % 10)}, pts_ns=sent)
            time.sleep(0.02)
        drawn = [s.drive_once({}).seq - n for s, n in zip(sessions, first, strict=True)]
        assert max(engine.sizes) == engine.batch
        assert sum(engine.sizes) / len(engine.sizes) > 2
        # time is what is shared: turns of the interpreter's lock are in it, as long as a frame
        assert min(drawn) > 0.4 * max(drawn)
        last = time.monotonic_ns()
        for number, session in enumerate(sessions):
            session.drive({"jawOpen": 0.02 * number}, pts_ns=last)
        alone = engine.puppet(TinyAvatar(1))
        for number, reader in enumerate(readers):
            rgba = wait_for_pts(reader, last).rgba
            assert rgba is not None
            expected = alone.animate(signal_of({"jawOpen": 0.02 * number})).means[0, 1]
            assert rgba[0, 0, 0] == int(1000 * expected) % 256


def test_a_batch_that_fails_ends_no_session(tmp_path: Path) -> None:
    """Each is moved alone then."""

    class Fragile(BatchEngine):
        def animate_many(self, instants: Sequence[tuple[Puppet, Signal]]) -> Sequence[Gaussians]:
            raise RuntimeError("no crowd today")

    with server_and_client(local_config(tmp_path), Fragile()) as (client, _), ExitStack() as stack:
        client.create_avatar([PHOTO], "ada")
        sessions = [stack.enter_context(client.start_session("ada", 64, 48)) for _ in range(3)]
        readers = [session.reader() for session in sessions]
        for number, (session, reader) in enumerate(zip(sessions, readers, strict=True), start=1):
            stack.callback(reader.close)
            session.drive({}, pts_ns=number)
        for number, reader in enumerate(readers, start=1):
            wait_for_pts(reader, number)
        assert client.info().sessions == 3
