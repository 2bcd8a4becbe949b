"""One sound of a session: pieces in, faces at the pace of the sound out. For the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flexavatar.drive.tracked import NS, TrackedFace
from flexavatar.drive.voice.driver import SAMPLE_BYTES, VoiceConfig, VoiceDriver, VoiceFrame
from flexavatar.errors import BusyError
from plugin_server.playout import Playout

TICK_S = 1 / 60
PIECE_S = 0.25
"""Sound that is listened to in one go: the first faces of a long chunk do not wait for its end."""
PAUSE_S, DRY_S = 0.15, 0.04
"""When nothing comes for so long, and hardly anything is left to show, the last faces do not wait
for what may come after them."""
FORGET_S = 5.0
"""A sound that could go on, and does not for this long after all of it was shown, is over."""
ROOM_S = 0.05


@dataclass(frozen=True)
class SpeechPlan:
    """What is known of a sound before its first sample."""

    rate: int
    channels: int
    pts_ns: int = 0
    """Of the first sample."""
    live: bool = False
    """As it is said: what lies behind is skipped."""


class Speech:
    """From the first chunk until all has been shown."""

    def __init__(
        self, plan: SpeechPlan, style: VoiceConfig, most_s: float, clock: Callable[[], float]
    ) -> None:
        """`most_s` of sound may wait. Raises DriveError for what no voice can be."""
        self.plan, self.style = plan, style
        self._most_s, self._clock = most_s, clock
        self._driver = VoiceDriver(plan.rate, plan.channels, style)
        self._playout = Playout(plan.rate, plan.live)
        self._base = 0  # sample at which the driver began
        self._held = False  # whether the driver has heard what is not known yet
        self._listening = asyncio.Lock()
        self._heard_s = self._busy_s = clock()
        self.accepted = self.discarded = 0
        self.deaf = False
        """What comes is dropped."""
        self.attended = False
        """Somebody who may send more is there: it lasts."""

    # ---- what comes in

    def samples(self, pcm: bytes) -> int:
        """How many a chunk has."""
        return len(pcm) // (SAMPLE_BYTES * self.plan.channels)

    def has_room(self, pcm: bytes) -> bool:
        """Whether a chunk fits in the queue; any does where nothing waits."""
        waiting = self.accepted - self._playout.position
        return waiting <= 0 or waiting + self.samples(pcm) <= self._most_s * self.plan.rate

    async def room(self, pcm: bytes) -> None:
        """Wait until a chunk fits."""
        while not (self.has_room(pcm) or self.deaf):
            await asyncio.sleep(ROOM_S)

    def check_room(self, pcm: bytes) -> None:
        """Raise BusyError if a chunk does not fit."""
        if not self.has_room(pcm):
            raise BusyError(f"audio: expected at most {self._most_s:g} s in the queue: wait")

    async def hear(self, pcm: bytes) -> None:
        """Take a chunk of whole samples."""
        self.accepted += self.samples(pcm)
        self._heard_s = self._busy_s = self._clock()
        if self.deaf:
            self._drop()
            return
        size = round(PIECE_S * self.plan.rate) * SAMPLE_BYTES * self.plan.channels
        driver = self._driver
        async with self._listening:
            for start in range(0, len(pcm), size):
                if driver is not self._driver:
                    return  # interrupted
                self._held = True
                frames = await asyncio.to_thread(driver.push, pcm[start : start + size])
                if frames and driver is self._driver:
                    self._know(frames, self._base + frames[-1].sample)

    async def pause(self) -> None:
        """What was heard is all for now: its last faces are known too."""
        async with self._listening:
            if not self._held:
                return
            driver, accepted = self._driver, self.accepted
            frames = await asyncio.to_thread(driver.finish)
            if driver is self._driver:
                self._know(frames, accepted)
                self._base, self._held = accepted, False

    async def restyle(self, style: VoiceConfig) -> None:
        """From the next chunk on."""
        async with self._listening:
            self.style = self._driver.config = style

    async def end(self) -> None:
        """Nothing more will come."""
        await self.pause()
        self._playout.complete = True
        self.attended = False

    def hang_up(self) -> None:
        """Drop what is queued; nothing more will come."""
        self.interrupt()
        self._playout.complete = True
        self.attended = False

    def interrupt(self) -> None:
        """Drop what is queued, and close the mouth."""
        self._driver = VoiceDriver(self.plan.rate, self.plan.channels, self.style)
        self._held = False
        self._drop()

    def _drop(self) -> None:
        self.discarded += self._playout.clear(self.accepted, self._clock())
        self._base = self.accepted

    def _know(self, frames: Sequence[VoiceFrame], known: int) -> None:
        moved = [replace(frame, sample=self._base + frame.sample) for frame in frames]
        self._playout.add(moved, known, self._clock())

    # ---- what is shown

    @property
    def playout(self) -> Playout:
        """What is known of it, to read."""
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
        return self.plan.pts_ns + round(self._playout.position * NS / self.plan.rate)

    async def play(self, show: Callable[[TrackedFace], None]) -> None:
        """Show every face at its time, until all is over."""
        while not self._over(now_s := self._clock()):
            if (weights := self._playout.at(now_s)) is not None:
                self._busy_s = now_s
                show(TrackedFace(weights, time_ns=self.pts_ns))
            if self._runs_dry(now_s):
                await self.pause()
            await asyncio.sleep(TICK_S)

    def _runs_dry(self, now_s: float) -> bool:
        waited = now_s - self._heard_s > PAUSE_S and not self._listening.locked()
        return self._held and waited and self._playout.queued_s < DRY_S

    @property
    def idle(self) -> bool:
        """Whether another sound may take its place: all was shown and nobody attends to it."""
        resting = self._playout.drained and self._playout.closed(self._clock())
        return resting and not (self.attended or self._held)

    def _over(self, now_s: float) -> bool:
        forgotten = not self.attended and now_s - self._busy_s > FORGET_S
        resting = self._playout.drained and self._playout.closed(now_s)
        return resting and (self._playout.complete or forgotten)
