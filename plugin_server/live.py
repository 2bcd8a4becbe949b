"""A session whose face comes from sources: gateways, gRPC, and an idling face below them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.mixer import Mixer, MixerConfig, Source
from flexavatar.drive.one_euro import HEAD_SMOOTHING, WEIGHT_SMOOTHING
from flexavatar.drive.profile import USUAL_PROFILE, Profile
from flexavatar.drive.signal import AUDIO, DRIVE, WEBCAM, Signal
from flexavatar.errors import DriveError, SessionNotFoundError
from plugin_server.background import start
from plugin_server.gateways.hub import Hub, Sender
from plugin_server.neutral_faces import NeutralFaces
from plugin_server.session import Session
from plugin_server.speech import Speech

logger = logging.getLogger(__name__)

IDLE_FPS = 30.0
HOLD_S = 1.0
"""Of several senders the first is followed, until it is silent for this long."""


@dataclass
class SourceSlot:
    """One source of a session, and the sender that it follows."""

    name: str
    """A gateway's, or with one subject of it: `live-link-face:Ann`."""
    sender: Sender | None = None
    received_at_s: float = float("-inf")

    def accepts(self, sender: Sender, now_s: float) -> bool:
        """Whether this sender is followed: the first one is, until it is silent for HOLD_S."""
        source, _, subject = self.name.partition(":")
        if sender.source != source or (subject and sender.subject != subject):
            return False
        if sender != self.sender and now_s - self.received_at_s <= HOLD_S:
            return False
        self.sender, self.received_at_s = sender, now_s
        return True


class LiveFace:
    """The face of one session, mixed of its sources and an idle one. For the event loop."""

    def __init__(
        self,
        session: Session,
        sources: Sequence[Source],
        gain: HeadAngles,
        hub: Hub,
        neutral: NeutralFaces | None = None,
        profile: Profile | None = None,
    ) -> None:
        """Neutral faces are those of apps; without a profile none is followed.

        Raises DriveError if two sources have one name.
        """
        self._neutral, self._follows = neutral or NeutralFaces(), profile is not None
        self._sources, self._gain = tuple(sources), gain
        self._seed = int(session.session_id, 16)
        self._use(profile or USUAL_PROFILE)
        self._session, self._clock = session, hub.clock
        self._slots = [SourceSlot(source.name) for source in sources]
        self._shown_at_s = float("-inf")
        self._speech: tuple[Speech, asyncio.Task[None]] | None = None
        self._unsubscribe = hub.subscribe(self._receive)

    def follow(self, profile: Profile) -> None:
        """Take a profile from now on, if one is followed at all."""
        if self._follows:
            self._use(profile)

    def _use(self, profile: Profile) -> None:
        self._profile = profile
        self._mixer = Mixer(
            MixerConfig(
                tuple(_with_gains(source, profile) for source in self._sources),
                head_gain=self._gain,
                weights=profile.smoothed(WEIGHT_SMOOTHING),
                head=profile.smoothed(HEAD_SMOOTHING),
                seed=self._seed,
            )
        )

    def _receive(self, sender: Sender, signal: Signal, now_s: float) -> None:
        for slot in self._slots:
            before = slot.sender
            if slot.accepts(sender, now_s):
                if slot.sender != before:
                    logger.info("session %s follows %s", self._session.session_id, sender)
                relative = self._neutral.relative(sender.source, signal, now_s)
                self._feed(replace(self._profile.turned(relative), source=slot.name), now_s)

    def drive(self, signal: Signal) -> None:
        """Mix in a signal of Drive. Raises DriveError if the session does not have its source."""
        if signal.source not in (DRIVE, WEBCAM):
            expected = f"{DRIVE!r} or {WEBCAM!r}"
            raise DriveError(f"source: expected {expected}, got {signal.source!r:.40}")
        self._check_source(signal.source)
        if signal.source == WEBCAM:
            signal = self._profile.turned(signal)
        self._feed(signal, self._clock())

    def _check_source(self, name: str) -> None:
        if name not in (slot.name for slot in self._slots):
            names = ", ".join(slot.name for slot in self._slots)
            raise DriveError(f"sources: expected {name!r} among this session's, got {names}")

    @property
    def speech(self) -> Speech | None:
        """The speech that is playing, or None."""
        return None if self._speech is None or self._speech[1].done() else self._speech[0]

    def speak(self, speech: Speech) -> asyncio.Task[None]:
        """Play a speech; done when it is over. Raises DriveError if the session takes none."""
        self._check_source(AUDIO)
        self._stop_speech()
        playing = speech.play(lambda signal: self._feed(signal, self._clock()))
        self._speech = speech, start(f"the voice of session {self._session.session_id}", playing)
        return self._speech[1]

    def _stop_speech(self) -> None:
        if self._speech is not None:
            self._speech[1].cancel()

    def _feed(self, signal: Signal, now_s: float) -> None:
        self._mixer.feed(signal, now_s)
        face = self._mixer.face(now_s)
        self._show(replace(face, camera=signal.camera, morph=signal.morph), now_s, driven=True)

    def _show(self, face: Signal, now_s: float, driven: bool) -> None:
        """Leave the face of now for the render thread."""
        self._shown_at_s = now_s
        try:
            take = self._session.accept if driven else self._session.show
            take(face)
        except SessionNotFoundError:
            self._stop()

    async def run(self, lasting: bool) -> None:
        """Keep the face alive until the session ends; with `lasting` it never times out."""
        try:
            while self._session.end_reason is None:
                now_s = self._clock()
                if now_s - self._shown_at_s >= 1 / IDLE_FPS:
                    self._show(self._mixer.face(now_s), now_s, driven=lasting)
                await asyncio.sleep(max(0.0, self._shown_at_s + 1 / IDLE_FPS - now_s))
        finally:
            self._stop()

    def _stop(self) -> None:
        """End the speech and take no signals any more; once more does no harm."""
        self._stop_speech()
        self._unsubscribe()
        self._unsubscribe = _nothing


def _with_gains(source: Source, profile: Profile) -> Source:
    """A source as a profile has it; what is made for the avatar needs none."""
    if source.name in (DRIVE, AUDIO):
        return source
    return replace(source, gains={**profile.gains, **source.gains})


class LiveFaces:
    """The sessions that have sources. For the event loop."""

    def __init__(self, hub: Hub, gain: HeadAngles, end: Callable[[Session, str], None]) -> None:
        """`end` ends a session and says why."""
        self._hub, self._gain, self._end = hub, gain, end
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def gateways(self) -> list[str]:
        """The gateways' names, which sessions may have among their sources."""
        return sorted({status.source for status in self._hub.statuses})

    def start(
        self,
        session: Session,
        sources: Sequence[Source],
        lasting: bool,
        neutral: NeutralFaces,
        profile: Profile | None,
    ) -> None:
        """Let a session's face live, if it has sources. Raises DriveError."""
        if not sources:
            return
        live = session.live = LiveFace(session, sources, self._gain, self._hub, neutral, profile)
        task = start(f"the face of session {session.session_id}", self._run(session, live, lasting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, session: Session, live: LiveFace, lasting: bool) -> None:
        try:
            await live.run(lasting)
        except Exception:  # nobody would move it again: better that all are told
            self._end(session, "the server failed to move its face")
            raise

    async def close(self) -> None:
        """Let go of all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


_nothing: Callable[[], None] = lambda: None  # noqa: E731
