"""Plays a performance to a session in real time and records every frame that comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np

from flexavatar.drive.signal import Signal
from flexavatar.errors import FlexAvatarError, SessionNotFoundError
from flexavatar.types import NS_PER_S
from plugin_server.client.client import ClientSession
from plugin_server.client.frame_reader import FrameReader
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.wire import Flags

WARM_UP_S = 1.5
DRAIN_S = 0.3


class NoFramesError(FlexAvatarError):
    """No frame came back, though the server took the drive signal."""


@dataclass(frozen=True)
class Arrival:
    """One frame at the client, decoded."""

    rgba: np.ndarray  # [H, W, 4] uint8, premultiplied
    pts_ns: int  # when its drive signal was sent, monotonic clock
    arrived_ns: int  # when it could be shown, monotonic clock

    @property
    def latency_ms(self) -> float:
        """Drive signal sent -> frame decoded."""
        return (self.arrived_ns - self.pts_ns) / 1e6


@dataclass
class FrameRecorder:
    """A thread that decodes and keeps every frame, as a client's screen would show it."""

    reader: FrameReader
    arrivals: list[Arrival] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Record until the session ends or it is to stop. Raises WireError.

        Frames that only repeat the last instant are left out.
        """
        with closing(self.reader), suppress(SessionNotFoundError):
            while not self.stopping.is_set():
                received = self.reader.receive(0.05)
                if received is None or received.header.flags & Flags.REPEATED:
                    continue
                assert received.rgba is not None  # the session was started for this kind alone
                now = time.monotonic_ns()
                self.arrivals.append(Arrival(received.rgba, received.header.pts_ns, now))


@contextmanager
def recording(reader: FrameReader) -> Iterator[FrameRecorder]:
    """A recorder that runs as long as the context lasts. Raises what it has ended with."""
    recorder = FrameRecorder(reader)
    with ThreadPoolExecutor(1, "recorder") as thread:
        ended = thread.submit(recorder.run)
        try:
            yield recorder
        finally:
            recorder.stopping.set()
        ended.result()


def perform_live(
    session: ClientSession, performance: Sequence[Signal]
) -> tuple[list[Arrival], int]:
    """Send a performance at its own pace; the frames that came back, and when it started.

    The first seconds of a session, in which caches fill, are driven with the first frame and left
    out. Raises NoFramesError, and what the server says about the signal.
    """
    with recording(session.reader()) as recorder:
        _send(session, [performance[0]] * round(60 * WARM_UP_S), 1 / 60)
        start_ns = time.monotonic_ns()
        _send(session, performance)
        time.sleep(DRAIN_S)
    arrivals = [a for a in recorder.arrivals if a.pts_ns >= start_ns]
    if not arrivals:
        raise NoFramesError("no frame came back: see the server's messages")
    return arrivals, start_ns


def _send(session: ClientSession, frames: Sequence[Signal], pace_s: float | None = None) -> None:
    """Send frames at their own times, or `pace_s` apart."""
    start_ns = time.monotonic_ns()
    for i, frame in enumerate(frames):
        due_ns = frame.pts_ns if pace_s is None else round(i * pace_s * NS_PER_S)
        time.sleep(max(0, start_ns + due_ns - time.monotonic_ns()) / NS_PER_S)
        head = pb.HeadPose(neck_pose=frame.neck_pose)
        session.drive(frame.named(), time.monotonic_ns(), head)
