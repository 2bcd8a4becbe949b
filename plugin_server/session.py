"""One driven avatar: its mailbox, its frames, its life and end."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from flexavatar.drive.profile import Profile
from flexavatar.drive.signal import Signal
from flexavatar.errors import SessionNotFoundError
from flexavatar.types import Camera, Gaussians
from plugin_server.engine import Puppet
from plugin_server.frames import PICTURES, Before, FrameWriter, Instant, StreamPlan, Work
from plugin_server.latest import Latest
from plugin_server.shutdown import STOPS
from plugin_server.speech import Speech
from plugin_server.wire import Kind

WARNING_S = 30.0
"""Who drives is told so long before an idle session ends."""
USUAL_FPS = 30.0
"""What a new session is taken to ask for."""
REFRESH_S = 0.5
"""A session at rest shows itself this often, so that a latecomer waits a second at most."""


FADE_S = 0.3
"""Pictures of an avatar fade into those of the one that takes its place."""

View = Callable[[Camera], Camera]
"""The camera of a session's pictures, by an avatar's own."""


class FaceMixer(Protocol):
    """What mixes the face of a session that has sources."""

    @property
    def speech(self) -> Speech | None:
        """The speech that is playing, or None."""
        ...

    def drive(self, signal: Signal) -> None:
        """Mix in what Drive's sources say. Raises DriveError."""
        ...

    def follow(self, profile: Profile) -> None:
        """Follow sources as a profile says from now on, if it follows one at all."""
        ...

    def speak(self, speech: Speech) -> asyncio.Task[None]:
        """Play a speech; done when it is over. Raises DriveError."""
        ...


@dataclass(frozen=True)
class Ending:
    """What is told of a session before it ends."""

    reason: str
    left_s: float


@dataclass(frozen=True)
class Predecessor:
    """The avatar that a session has shown until just now."""

    puppet: Puppet
    camera: Camera
    until_s: float


@dataclass(frozen=True)
class LastFrame:
    """The frame that a session has shown last."""

    pts_ns: int = 0
    seq: int = 0
    frame_ms: float = 0.0
    delay_s: float | None = None
    """Since its signal came in; None if it repeats an older one."""
    kinds: frozenset[Kind] = frozenset()
    """Those that somebody reads."""


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
        view: View,
        writer: FrameWriter,
        mailbox: Latest[Signal],
    ) -> None:
        self.session_id, self.avatars = session_id, avatars
        self.plan = plan
        self.mailbox = mailbox
        self.last_frame = LastFrame()
        self.driven_at = time.monotonic()
        self.end_reason: str | None = None
        self.started_ns = time.time_ns()
        self.streams: dict[str, asyncio.Event] = {}
        """The sources that a stream drives, and what tells it to make way."""
        self.lasting = False
        """Whether it is the server's own, which nobody waits for."""
        self._ends_at: tuple[str, float] | None = None
        self.on_end: list[Callable[[], object]] = []
        self.live: FaceMixer | None = None
        """What mixes its face of several sources; None if Drive alone decides."""
        self.accepted = Signal(pts_ns=0)
        """The newest signal, with what earlier ones said of the rest."""
        self._puppet: Puppet | None = puppet
        self._successor: Puppet | None = None  # shown from the next frame on
        self._predecessor: Predecessor | None = None  # while it fades
        self.gaussians = puppet.count
        """In a frame."""
        self._view, self._camera = view, view(puppet.camera)
        self._writer = writer
        self._shown = self.accepted
        self._next_frame = self._last_frame = self._last_key = 0.0
        self._keyframe_requested = True
        self._frame: Work | None = None  # what is left to do of it
        self._posed: Gaussians | None = None  # its instant, if that was made with others
        self._kinds: frozenset[Kind] = frozenset()  # of it
        self._waits_for: Future[Any] | None = None
        self._frame_s = 0.0
        self._came_in_s = 0.0  # the newest signal
        self._signal_s: float | None = None  # that of the frame at hand
        self.work_s = self.load = 0.0
        """Time of the render thread that it has had, and what share it has now."""
        self._counted = 0  # signals
        self.asked_rate = min(plan.max_fps, USUAL_FPS)
        """Frames a second that its signals ask for."""
        self.spent_s = 0.0
        """Time of the render thread that it has had, or let pass while it had nothing to do."""

    @property
    def draws(self) -> bool:
        """Whether a frame is begun."""
        return self._frame is not None

    def measure_rate(self, passed_s: float) -> None:
        """Note how many frames a second its signals ask for; at rest it repeats itself."""
        received = self.mailbox.received
        rate = (received - self._counted) / passed_s
        self._counted = received
        self.asked_rate = min(self.plan.max_fps, max(rate, 1 / REFRESH_S))

    @property
    def av_skew_s(self) -> float | None:
        """How far its face is behind the speech that is playing; None in silence."""
        speaks = self.live is not None and self.live.speech is not None
        return self.last_frame.delay_s if speaks else None

    @property
    def puppet(self) -> Puppet:
        """The driven avatar. Raises SessionNotFoundError once ended: it is let go of then."""
        if (puppet := self._puppet) is None:
            raise self._ended_error()
        return puppet

    def replace_puppet(self, puppet: Puppet) -> None:
        """Show an avatar that has taken the place of this one, from the next frame on.

        All else stays as it is: its pose, who drives it, and where it is seen from.
        """
        self._successor = puppet
        self._keyframe_requested = True

    def _ended_error(self) -> SessionNotFoundError:
        return SessionNotFoundError(f"session {self.session_id} has ended: {self.end_reason}")

    @property
    def camera(self) -> Camera:
        """The view that the newest signal is shown from."""
        return self.accepted.camera or self._camera

    def drive(self, signal: Signal) -> None:
        """Take a signal, over the mixed face if there is one.

        Raises DriveError, and SessionNotFoundError once ended.
        """
        if self.live is not None and signal.has_face:
            self.live.drive(signal)
        else:
            self.accept(signal)

    def accept(self, signal: Signal) -> None:
        """Show a signal next. Raises SessionNotFoundError once ended."""
        self.show(signal)
        self.driven_at = time.monotonic()

    def show(self, signal: Signal) -> None:
        """The same, but it is not somebody who drives: the session may time out."""
        if self.end_reason is not None:
            raise self._ended_error()
        self.accepted = signal.after(self.accepted)
        self._came_in_s = time.monotonic()
        self.mailbox.put(self.accepted)

    def announce_end(self, reason: str, left_s: float) -> None:
        """Tell its drivers that it will end soon."""
        self._ends_at = reason, time.monotonic() + left_s

    def ending(self, now: float) -> Ending | None:
        """Why it is about to end, if it is."""
        if self._ends_at is not None:
            reason, at_s = self._ends_at
            return Ending(reason, max(0.0, at_s - now))
        left_s = self.driven_at + self.plan.idle_timeout_s - now
        if left_s > min(WARNING_S, self.plan.idle_timeout_s / 2):
            return None
        return Ending("it is not driven", max(0.0, left_s))

    def request_keyframe(self) -> None:
        """Draw a keyframe soon, for a reader who has just come."""
        self._keyframe_requested = True

    def wakes_at(self, now: float) -> float:
        """When there is something to do next, if nothing else happens."""
        if self._waits_for is not None and not self._waits_for.done():
            return math.inf
        if self._frame is not None:
            return now
        due = (
            now
            if self._keyframe_requested or self.mailbox.waiting or self._predecessor
            else self._last_frame + REFRESH_S
        )
        return max(due, self._next_frame)

    def begin(self, now: float) -> tuple[Puppet, Signal] | None:
        """Take up the frame that is due: the instant to be made of it, if anybody reads it."""
        self._frame = self._begin(now)
        return (self.puppet, self._shown) if self._kinds else None

    def pose(self, gaussians: Gaussians, spent_s: float) -> None:
        """The instant of the frame at hand, made with others, which was so much of its time."""
        self._posed = gaussians
        self._count_time(spent_s)

    def _count_time(self, spent_s: float) -> None:
        self.spent_s += spent_s
        self.work_s += spent_s
        self._frame_s += spent_s

    def step(self, now: float) -> Future[Any] | None:
        """Some milliseconds of work: on the frame at hand, else on the next one that is due.

        What it returns must be done before there is more to do.
        """
        if now < self.wakes_at(now):
            return None
        self._frame = self._frame or self._begin(now)
        try:
            self._waits_for = next(self._frame)
        except StopIteration:
            self._frame = self._waits_for = None
        self._count_time(time.monotonic() - now)
        if self._frame is None:
            self.last_frame = self._finished_frame()
        return self._waits_for

    def _finished_frame(self) -> LastFrame:
        delay_s = None if self._signal_s is None else time.monotonic() - self._signal_s
        seq = self.last_frame.seq + 1
        frame_ms = 1e3 * self._frame_s
        return LastFrame(self._shown.pts_ns, seq, frame_ms, delay_s, self._kinds)

    def _begin(self, now: float) -> Work:
        """Draw the newest signal, or the last one again if that is due."""
        successor, self._successor = self._successor, None
        if successor is not None and successor is not self._puppet:
            self._succeed(self.puppet, successor, now)
        signal = self.mailbox.take()
        self._signal_s = None if signal is None else self._came_in_s
        self._shown = signal or self._shown
        period = 1 / self.plan.max_fps
        self._next_frame = max(self._next_frame, now - period) + period  # early by one is fine
        self._last_frame = now
        self._frame_s = 0.0
        self._kinds = frozenset(self._writer.subscribed_kinds())
        return self._draw(now, repeated=signal is None)

    def _succeed(self, before: Puppet, puppet: Puppet, now: float) -> None:
        self._predecessor = Predecessor(before, self._camera, now)
        self._puppet, self._camera = puppet, self._view(puppet.camera)
        self.gaussians = puppet.count
        self._writer.start_anew(puppet.count)

    def _draw(self, now: float, repeated: bool) -> Work:
        keyframe = self._keyframe_requested or repeated
        keyframe = keyframe or now >= self._last_key + self.plan.keyframe_interval_s
        self._keyframe_requested = False
        if keyframe:
            self._last_key = now
        seq, shown = self.last_frame.seq + 1, self._shown
        if self._kinds:
            gaussians, self._posed = self._posed or self.puppet.animate(shown), None
            gaussians, camera = self._kept(gaussians), shown.camera or self._camera
            before = self._before(now)
            instant = Instant(gaussians, camera, seq, shown.pts_ns, repeated, keyframe, before)
            yield from self._writer.send(instant, self._kinds)
        else:
            self._predecessor = None  # nobody sees it

    def _kept(self, gaussians: Gaussians) -> Gaussians:
        """Until the frame is all drawn: others may drive the same puppet meanwhile."""
        if self.plan.takes_turns:
            return Gaussians(*(x.clone() for x in vars(gaussians).values()))
        return gaussians

    def _before(self, now: float) -> Before | None:
        """What the pictures of this frame fade from, if anything."""
        old = self._predecessor
        if old is None:
            return None
        share = 1 - (now - old.until_s) / FADE_S
        if share <= 0 or not self._kinds & PICTURES:
            self._predecessor = None
            return None
        gaussians = self._kept(old.puppet.animate(self._shown))
        return Before(gaussians, self._shown.camera or old.camera, share)

    def finish(self) -> None:
        """Tell the readers that it has ended: what the render thread does with it last."""
        self._puppet = self._successor = self._predecessor = self._frame = None
        try:
            self._writer.send_end(self.end_reason or STOPS)
        finally:
            for callback in [*self.on_end]:
                callback()
