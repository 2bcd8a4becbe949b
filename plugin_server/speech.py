"""One sound of a session: chunks in, faces at the pace of the sound out. For the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flexavatar.drive.signal import AUDIO, Signal
from flexavatar.drive.voice.driver import SAMPLE_BYTES, VoiceConfig, VoiceDriver, VoiceFrame
from flexavatar.errors import BusyError
from flexavatar.types import NS_PER_S
from plugin_server.background import to_its_end
from plugin_server.playout import Playout

TICK_S = 1 / 60
PIECE_S = 0.25
"""Sound that the driver gets in one go: the first faces of a long chunk do not wait for its end."""
PAUSE_S, DRY_S = 0.15, 0.04
"""When nothing comes for so long, and hardly anything is left to show, the last faces do not wait
for what may come after them."""
FORGET_S = 5.0
"""A sound that could go on, and does not for this long after all of it was shown, is over."""
ROOM_S = 0.05


@dataclass(frozen=True)
class AudioFormat:
    """What is known of a sound before its first sample."""

    rate: int
    channels: int
    pts_ns: int = 0
    """Of the first sample."""
    live: bool = False
    """As it is said: what lies behind is skipped."""


class Speech:
    """A sound from its first chunk until all of it has been shown.

    Every chunk that is accepted reaches the driver, whoever waits for it or no longer does: each is
    a task of its own that holds the driver's lock until the driver's thread has let go.
    """

    def __init__(
        self,
        audio_format: AudioFormat,
        style: VoiceConfig,
        queue_s: float,
        clock: Callable[[], float],
    ) -> None:
        """`queue_s` of sound may wait. Raises DriveError for what no voice can be."""
        self.format, self.style = audio_format, style
        self._queue_s, self._clock = queue_s, clock
        self._driver = self._new_driver()
        self._driver_lock = asyncio.Lock()
        self._playout = Playout(audio_format.rate, audio_format.live)
        self._begin = self._pushed = 0  # samples before the driver's first, and before its next
        self._received_s = self._active_s = clock()
        self.accepted = self.discarded = 0
        self.muted = False
        """What comes is dropped."""
        self.streamed = False
        """A stream that may send more is open: the sound lasts."""

    # ---- what comes in

    def samples(self, pcm: bytes) -> int:
        """How many a chunk has."""
        return len(pcm) // (SAMPLE_BYTES * self.format.channels)

    def has_room(self, pcm: bytes) -> bool:
        """Whether a chunk fits in the queue; any does where nothing waits."""
        waiting = self.accepted - self._playout.position
        return waiting <= 0 or waiting + self.samples(pcm) <= self._queue_s * self.format.rate

    async def wait_for_room(self, pcm: bytes) -> None:
        """Until a chunk fits."""
        while not (self.has_room(pcm) or self.muted):
            await asyncio.sleep(ROOM_S)

    def check_room(self, pcm: bytes) -> None:
        """Raise BusyError if a chunk does not fit."""
        if not self.has_room(pcm):
            raise BusyError(f"audio: expected at most {self._queue_s:g} s in the queue: wait")

    async def push(self, pcm: bytes, last: bool = False) -> None:
        """Accept a chunk of whole samples in the style of now, and wait until its faces are known.

        `last`: nothing more will come.
        """
        self.accepted += self.samples(pcm)
        self._received_s = self._active_s = self._clock()
        if self.muted:
            self._drop()
            pcm = b""
        await to_its_end("a voice", self._drive(self._driver, pcm, self.style, last))

    async def _drive(self, driver: VoiceDriver, pcm: bytes, style: VoiceConfig, last: bool) -> None:
        """A chunk's way through the driver, until that is interrupted."""
        size = round(PIECE_S * self.format.rate) * SAMPLE_BYTES * self.format.channels
        async with self._driver_lock:
            driver.config = style
            for start in range(0, len(pcm), size):
                if driver is not self._driver:
                    break
                await self._drive_piece(driver, pcm[start : start + size])
        if last:
            await self._end()

    async def _drive_piece(self, driver: VoiceDriver, piece: bytes) -> None:
        frames = await asyncio.to_thread(driver.push, piece)
        if driver is self._driver:
            self._pushed += self.samples(piece)
            if frames:
                self._queue(frames, self._begin + frames[-1].sample)

    async def flush(self) -> None:
        """What came is all for now: its last faces are known too."""
        await to_its_end("a voice", self._flush())

    async def _flush(self) -> None:
        async with self._driver_lock:
            driver = self._driver
            if self._pushed == self._begin:
                return
            frames = await asyncio.to_thread(driver.finish)
            if driver is self._driver:
                self._queue(frames, self._pushed)
                self._begin = self._pushed

    async def end(self) -> None:
        """Nothing more will come."""
        await to_its_end("a voice", self._end())

    async def _end(self) -> None:
        await self._flush()
        self._playout.complete = True
        self.streamed = False

    def abort(self) -> None:
        """Drop what is queued; nothing more will come."""
        self.interrupt()
        self._playout.complete = True
        self.streamed = False

    def interrupt(self) -> None:
        """Drop what is queued, and close the mouth."""
        self._driver = self._new_driver()
        self._drop()

    def _new_driver(self) -> VoiceDriver:
        return VoiceDriver(self.format.rate, self.format.channels, self.style)

    def _drop(self) -> None:
        self.discarded += self._playout.clear(self.accepted, self._clock())
        self._begin = self._pushed = self.accepted

    def _queue(self, frames: Sequence[VoiceFrame], known: int) -> None:
        """The driver's frames; with them all is known up to sample `known`."""
        moved = [replace(frame, sample=self._begin + frame.sample) for frame in frames]
        self._playout.add(moved, known, self._clock())

    # ---- what is shown

    @property
    def playout(self) -> Playout:
        """What is known of the sound, to read."""
        return self._playout

    @property
    def look_ahead_ms(self) -> float:
        """Sound that must be known beyond what is shown."""
        return self._driver.LOOK_AHEAD_MS

    @property
    def rendered(self) -> int:
        """Samples that have been shown."""
        return round(self._playout.position) - self._playout.skipped - self.discarded

    @property
    def pts_ns(self) -> int:
        """Time of what is shown now."""
        return self.format.pts_ns + round(self._playout.position * NS_PER_S / self.format.rate)

    async def play(self, show: Callable[[Signal], None]) -> None:
        """Show every face at its time, until all is over."""
        while not self._over(now_s := self._clock()):
            if (face := self._playout.face_at(now_s)) is not None:
                self._active_s = now_s
                show(Signal(face.weights, face.sent, source=AUDIO, pts_ns=self.pts_ns))
            if self._runs_dry(now_s):
                await self.flush()
            await asyncio.sleep(TICK_S)

    def _runs_dry(self, now_s: float) -> bool:
        waited = now_s - self._received_s > PAUSE_S and not self._driver_lock.locked()
        return self._pushed > self._begin and waited and self._playout.queued_s < DRY_S

    @property
    def idle(self) -> bool:
        """Whether another sound may take its place: all was shown and no stream is open."""
        resting = self._playout.drained and self._playout.mouth_closed(self._clock())
        return resting and self.accepted == self._begin and not self.streamed

    def _over(self, now_s: float) -> bool:
        forgotten = not self.streamed and now_s - self._active_s > FORGET_S
        resting = self._playout.drained and self._playout.mouth_closed(now_s)
        return resting and (self._playout.complete or forgotten)
