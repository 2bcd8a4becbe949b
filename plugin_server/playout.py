"""Playout of a sound's faces: a clock that counts samples and waits where sound is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from flexavatar.drive.voice.driver import VoiceFrame
from flexavatar.easing import minimum_jerk

START_S, LIVE_START_S = 0.1, 0.04
"""Sound that is known before it is shown, so that pieces may come a little late."""
LATEST_S = 0.2
"""A live sound that is further behind skips."""
PATIENCE_S = 0.2
"""Less sound than that is shown too when nothing more comes for this long."""
CLOSE_S = 0.15
"""In which a mouth closes when there is nothing to say."""


@dataclass
class Gaps:
    """Times when sound was missing."""

    count: int = 0
    seconds: float = 0.0


class Playout:
    """Buffer of one sound's faces. The caller tells the time; samples are the sound's."""

    def __init__(self, rate: int, live: bool = False) -> None:
        self._rate, self._live = rate, live
        self._enough_s = LIVE_START_S if live else START_S
        self._frames: deque[VoiceFrame] = deque()
        self._known = 0
        self._added_s = float("-inf")
        self._anchor: tuple[float, float] | None = None  # (seconds, samples) while it runs
        self._shown: VoiceFrame | None = None
        self._stopped_s: float | None = None  # since when it waits, having begun
        self._starved = False
        self.position = 0.0
        """Sample that is shown now."""
        self.skipped = 0
        self.gaps = Gaps()
        self.started_s: float | None = None
        """When sample 0 was shown."""
        self.complete = False
        """Nothing more will come."""

    @property
    def queued_s(self) -> float:
        """Sound that is known and not shown."""
        return (self._known - self.position) / self._rate

    @property
    def drained(self) -> bool:
        """Whether all that is known has been shown."""
        return self.position >= self._known

    def mouth_closed(self, now_s: float) -> bool:
        """Whether the mouth has closed after what was said."""
        return self._anchor is None and (
            self._stopped_s is None or now_s - self._stopped_s >= CLOSE_S
        )

    def add(self, frames: Sequence[VoiceFrame], known: int, now_s: float) -> None:
        """Append faces in order; with them all is known up to sample `known`."""
        self._frames.extend(frame for frame in frames if frame.sample <= known)
        self._known, self._added_s = known, now_s

    def clear(self, accepted: int, now_s: float) -> int:
        """Go on behind what was accepted; the number of samples that will never be shown."""
        dropped = accepted - round(self.position)
        self._frames.clear()
        self._known, self.position = accepted, float(accepted)
        self._starved = False
        if self._anchor is not None:
            self._anchor, self._stopped_s = None, now_s
        return dropped

    def face_at(self, now_s: float) -> VoiceFrame | None:
        """The face to show now, or None."""
        if self._anchor is None and self._may_run(now_s):
            self._run(now_s)
        if self._anchor is None:
            return self._closing(now_s)
        began_s, began = self._anchor
        self.position = min(began + (now_s - began_s) * self._rate, float(self._known))
        self._skip(now_s)
        self._shown = self._face()
        if self.drained:
            self._anchor, self._stopped_s, self._starved = None, now_s, True
        return self._shown

    def _may_run(self, now_s: float) -> bool:
        waited = self.complete or now_s - self._added_s >= PATIENCE_S
        return not self.drained and (waited or self.queued_s >= self._enough_s)

    def _run(self, now_s: float) -> None:
        self._anchor = now_s, self.position
        if self.started_s is None:
            self.started_s = now_s
        if self._starved and self._stopped_s is not None:
            self._enough_s = min(2 * self._enough_s, START_S)  # it comes unevenly
            self.gaps.count += 1
            self.gaps.seconds += now_s - self._stopped_s

    def _skip(self, now_s: float) -> None:
        """Leave out what keeps a live sound behind."""
        if self._live and self.queued_s > LATEST_S:
            newest = self._known - self._enough_s * self._rate
            self.skipped += round(newest - self.position)
            self.position, self._anchor = newest, (now_s, newest)

    def _face(self) -> VoiceFrame | None:
        """Between the frames before and after."""
        while len(self._frames) > 1 and self._frames[1].sample <= self.position:
            self._frames.popleft()
        if not self._frames:
            return self._shown
        before, after = self._frames[0], self._frames[min(1, len(self._frames) - 1)]
        span = max(after.sample - before.sample, 1)
        share = min(max((self.position - before.sample) / span, 0.0), 1.0)
        return before.interpolate(after, share)

    def _closing(self, now_s: float) -> VoiceFrame | None:
        if self._shown is None or self._stopped_s is None or self.mouth_closed(now_s):
            return None
        return self._shown.scale(1 - float(minimum_jerk((now_s - self._stopped_s) / CLOSE_S)))
