"""The render thread: every session's newest signal, as fast as it is needed.

Sessions share its time, not its turns: work is done some milliseconds at a time, and next comes
who has had the least. A large picture pays itself, and makes no small one wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from plugin_server.background import Watch
from plugin_server.engine import Engine
from plugin_server.frames import StreamPlan
from plugin_server.publisher import Publisher
from plugin_server.session import LastFrame, Session
from plugin_server.shutdown import STOPS
from plugin_server.wire import Kind, topic

logger = logging.getLogger(__name__)

SAVED_S = 0.1
"""What a session that rests may save up of its share."""
MEASURE_S = 1.0
PIXELS_OF_REST = 1 << 20
"""What a frame costs whatever its size, as pixels: 4096x4096 takes some 13 times 512x512."""
COST_STEP = 0.1
"""How fast the known time of a frame follows."""
LONGEST_NAP_S = 0.05
"""Newcomers are noticed this late, if no signal wakes the loop before."""


class FrameLoop:
    """One thread for one device. Nothing here waits for a reader."""

    def __init__(self, publisher: Publisher, watch: Watch, engine: Engine) -> None:
        self.changed = threading.Condition()
        self._publisher, self._watch, self._engine = publisher, watch, engine
        self._sessions: dict[str, Session] = {}
        self.on_frame: Callable[[LastFrame], None] = lambda frame: None
        """Called on the render thread with every frame that was drawn."""
        self.load = 0.0
        """Share of its time that the thread works."""
        self._measured_at = time.monotonic()
        self._work_before: dict[str, float] = {}
        self._costs: dict[frozenset[Kind], tuple[int, float]] = {}  # pixels, seconds a frame
        self._turn_s = 0.0
        """The `spent_s` of whoever had the last turn; it never falls."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)
        self._thread.start()

    def add(self, session: Session) -> None:
        """Show a session from now on."""
        with self.changed:
            self._sessions[session.session_id] = session
            self.changed.notify()

    def end(self, session: Session, reason: str) -> None:
        """Stop showing it; its readers and its driver are told why. The first reason stays."""
        with self.changed:
            session.end_reason = session.end_reason or reason
            self.changed.notify()

    def close(self) -> None:
        """End every session and the thread."""
        with self.changed:
            self._stopping = True
            self.changed.notify()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the render thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._round()
            except Exception as error:  # a bug must not stop every session for good
                self._watch.failed("drawing", error)
                time.sleep(LONGEST_NAP_S)
        for session in list(self._sessions.values()):
            self._finish(session, STOPS)

    def _round(self) -> None:
        self._greet_newcomers()
        now = time.monotonic()
        if now - self._measured_at >= MEASURE_S:
            self._measure(now)
        for session in list(self._sessions.values()):
            self._finish_if_over(session, now)
        if (session := self._next(now)) is None:
            self._publisher.pool.forget_unused()
            self._nap()
        else:
            if self._engine.batch > 1 and not session.draws:
                self._pose_together(now)
            self._step(session, time.monotonic())

    def _pose_together(self, now: float) -> None:
        """Make the instants of all frames that are due, those first who have had the least time.

        What fails is left to the sessions' own steps, where it ends one of them alone.
        """
        due = [s for s in self._due(now) if not s.draws]
        due = sorted(due, key=lambda s: s.spent_s)[: self._engine.batch]
        begun = [(s, instant) for s in due if (instant := s.begin(now)) is not None]
        if len(begun) < 2:
            return
        try:
            made = self._engine.animate_many([instant for _, instant in begun])
        except Exception:
            logger.exception("moving %d avatars at once failed", len(begun))
            return
        each_s = (time.monotonic() - now) / len(begun)
        for (session, _), gaussians in zip(begun, made, strict=True):
            session.pose(gaussians, each_s)

    def _due(self, now: float) -> list[Session]:
        """Who has something to do."""
        return [s for s in self._sessions.values() if self._wakes_at(s, now) <= now]

    def _finish_if_over(self, session: Session, now: float) -> None:
        idle_timeout_s = session.plan.idle_timeout_s
        if now - session.driven_at > idle_timeout_s:
            self._finish(session, f"it was not driven for {idle_timeout_s:g} s")
        elif session.end_reason is not None:
            self._finish(session, session.end_reason)

    def _next(self, now: float) -> Session | None:
        """The session that has something to do and has had the least time, or None.

        Who did nothing meanwhile has saved nothing up but the time of a few frames.
        """
        due = self._due(now)
        for session in due:
            if not session.draws:
                session.spent_s = max(session.spent_s, self._turn_s - SAVED_S)
        session = min(due, key=lambda s: s.spent_s, default=None)
        if session is not None:
            self._turn_s = max(self._turn_s, session.spent_s)
        return session

    def _step(self, session: Session, now: float) -> None:
        """Some milliseconds for one session. A bug ends this session alone, and is logged."""
        before = session.last_frame
        try:
            if (work := session.step(now)) is not None:
                work.add_done_callback(lambda _: self._wake())
            if session.last_frame is not before:
                self._note_cost(session)
                self.on_frame(session.last_frame)
        except Exception:
            self._fail(session)

    def _note_cost(self, session: Session) -> None:
        """What frames of these kinds take."""
        last, drawn = session.last_frame, session.plan.pixels
        frame_s = last.frame_ms / 1e3
        if last.kinds:
            pixels, known_s = self._costs.get(last.kinds, (drawn, frame_s))
            step = COST_STEP if pixels == drawn else 1.0
            self._costs[last.kinds] = drawn, known_s + step * (frame_s - known_s)

    def frame_s(self, plan: StreamPlan) -> float:
        """What a frame of this plan is likely to take, by what others took; 0 if none did yet."""
        if plan.kinds in self._costs:
            known = [self._costs[plan.kinds]]
        else:
            known = [cost for kinds, cost in self._costs.items() if kinds & plan.kinds]
        share = plan.pixels + PIXELS_OF_REST
        return max((s * share / (pixels + PIXELS_OF_REST) for pixels, s in known), default=0.0)

    @property
    def asked_load(self) -> float:
        """How much of the thread's time the sessions ask for together; above 1 they get less."""
        return sum(s.asked_rate * s.last_frame.frame_ms / 1e3 for s in [*self._sessions.values()])

    def _measure(self, now: float) -> None:
        """What share of the time since the last look each session has had."""
        passed_s, self._measured_at = now - self._measured_at, now
        before, self._work_before = self._work_before, {}
        for session in self._sessions.values():
            name, work_s = session.session_id, session.work_s
            session.measure_rate(passed_s)
            session.load = (work_s - before.get(name, 0.0)) / passed_s
            self._work_before[name] = work_s
        self.load = min(1.0, sum(s.load for s in self._sessions.values()))

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify()

    def _fail(self, session: Session) -> None:
        """For an exception that is handled: log it; the session's next turn is its last."""
        logger.exception("drawing session %s failed", session.session_id)
        self.end(session, "the server failed to draw it")

    def _finish(self, session: Session, reason: str) -> None:
        with self.changed:
            session.end_reason = session.end_reason or reason
            del self._sessions[session.session_id]
        try:
            session.finish()
        except Exception:
            logger.exception("ending session %s failed", session.session_id)

    def _greet_newcomers(self) -> None:
        """Every session that somebody has just subscribed to owes a whole frame."""
        try:
            newcomers = self._publisher.new_subscriptions()
        except Exception as error:
            self._watch.failed("looking for newcomers", error)
            return
        for session in list(self._sessions.values()) if newcomers else ():
            own = topic(session.session_id)[0]
            if any(own.startswith(name) or name.startswith(own) for name in newcomers):
                session.request_keyframe()

    def _nap(self) -> None:
        """Sleep until something is due."""
        with self.changed:
            now = time.monotonic()
            wakes = [self._wakes_at(session, now) for session in self._sessions.values()]
            pause = min(wakes, default=now + LONGEST_NAP_S) - now
            if pause > 0 and not self._stopping and not self._any_ended():
                self.changed.wait(min(pause, LONGEST_NAP_S))

    def _wakes_at(self, session: Session, now: float) -> float:
        """When a session has something to do next; now if it is to end because of a bug."""
        try:
            return session.wakes_at(now)
        except Exception:
            self._fail(session)
            return now

    def _any_ended(self) -> bool:
        return any(s.end_reason is not None for s in self._sessions.values())
