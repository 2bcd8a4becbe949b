"""One driven avatar: its mailbox, its frames, its life and end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flexavatar.drive.tracked import TrackedFace
from flexavatar.errors import SessionNotFoundError
from flexavatar.types import Camera, FlameCodes
from plugin_server.engine import Puppet
from plugin_server.frames import FrameWriter, Instant, StreamPlan
from plugin_server.latest import Latest
from plugin_server.speech import Speech
from plugin_server.wire import Kind

REFRESH_S = 0.5
"""A session at rest shows itself this often, so that a latecomer waits a second at most."""


@dataclass(frozen=True)
class Drive:
    """What a session is to show next."""

    codes: FlameCodes
    camera: Camera
    share: float
    """Of the avatar that the session's morphs into."""
    pts_ns: int


class Driven(Protocol):
    """What takes a signal of Drive in a session that has sources."""

    @property
    def speech(self) -> Speech | None:
        """What is said, None if nothing is."""
        ...

    def drive(self, face: TrackedFace, source: str) -> None:
        """Lay it over the face. Raises DriveError."""
        ...

    def speak(self, speech: Speech) -> asyncio.Task[None]:
        """Show a sound; done when it is over. Raises DriveError."""
        ...


@dataclass(frozen=True)
class Drawn:
    """What a session has shown last."""

    pts_ns: int = 0
    seq: int = 0
    frame_ms: float = 0.0


class Session:
    """One avatar, or two, driven by one client.

    `step` belongs to the render thread, the rest to anyone.
    """

    def __init__(
        self,
        session_id: str,
        avatars: Sequence[str],
        puppet: Puppet,
        plan: StreamPlan,
        camera: Camera,
        writer: FrameWriter,
        mailbox: Latest[Drive],
    ) -> None:
        self.session_id, self.avatars = session_id, avatars
        self.plan = plan
        self.mailbox = mailbox
        self.drawn = Drawn()
        self.driven_at = time.monotonic()
        self.end_reason: str | None = None
        self.streaming: set[str] = set()
        """The sources that a stream drives."""
        self.on_end: list[Callable[[], object]] = []
        self.live: Driven | None = None
        """What mixes its face of several sources; None if Drive alone decides."""
        self.accepted = Drive(puppet.rest, camera, 0.0, 0)
        self._puppet: Puppet | None = puppet
        self._writer = writer
        self._shown = self.accepted
        self._next_frame = self._last_frame = self._last_key = 0.0
        self._newcomer = True

    @property
    def puppet(self) -> Puppet:
        """What is driven. Raises SessionNotFoundError once ended: it is let go of then."""
        if (puppet := self._puppet) is None:
            raise self._over()
        return puppet

    def _over(self) -> SessionNotFoundError:
        return SessionNotFoundError(f"session {self.session_id} has ended: {self.end_reason}")

    def accept(
        self,
        codes: FlameCodes | None,
        camera: Camera | None,
        share: float | None,
        pts_ns: int,
    ) -> None:
        """Show this next; what is None stays as it is. Raises SessionNotFoundError once ended."""
        self.show(codes, camera, share, pts_ns)
        self.driven_at = time.monotonic()

    def show(
        self,
        codes: FlameCodes | None,
        camera: Camera | None,
        share: float | None,
        pts_ns: int,
    ) -> None:
        """The same, but it is not somebody who drives: the session may time out."""
        if self.end_reason is not None:
            raise self._over()
        before = self.accepted
        self.accepted = Drive(
            codes or before.codes,
            camera or before.camera,
            before.share if share is None else share,
            pts_ns,
        )
        self.mailbox.put(self.accepted)

    def greet(self) -> None:
        """Somebody new listens: show the whole of it soon."""
        self._newcomer = True

    def wakes_at(self, now: float) -> float:
        """When there is something to do next, if nothing else happens."""
        due = now if self._newcomer or self.mailbox.waiting else self._last_frame + REFRESH_S
        return max(due, self._next_frame)

    def step(self, now: float) -> None:
        """Draw the newest signal, or the last one again if that is due."""
        if now < self.wakes_at(now):
            return
        drive = self.mailbox.take()
        self._shown = drive or self._shown
        period = 1 / self.plan.max_fps
        self._next_frame = max(self._next_frame, now - period) + period  # early by one is fine
        self._last_frame = now
        self._draw(self._writer.subscribed_kinds(), now, repeated=drive is None)

    def _draw(self, kinds: set[Kind], now: float, repeated: bool) -> None:
        keyframe = self._newcomer or repeated
        keyframe = keyframe or now >= self._last_key + self.plan.keyframe_interval_s
        self._newcomer = False
        seq = self.drawn.seq + 1
        if kinds:
            gaussians = self.puppet.animate(self._shown.codes, self._shown.share)
            instant = Instant(
                gaussians, self._shown.camera, seq, self._shown.pts_ns, repeated, keyframe
            )
            self._writer.send(instant, kinds)
        if keyframe:
            self._last_key = now
        self.drawn = Drawn(self._shown.pts_ns, seq, 1e3 * (time.monotonic() - now))

    def finish(self) -> None:
        """Say goodbye to the readers; the last thing that the render thread does with it."""
        self._puppet = None
        try:
            self._writer.send_end(self.end_reason or "the server stops")
        finally:
            for heard in [*self.on_end]:
                heard()
