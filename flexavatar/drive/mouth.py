"""Whose the mouth is, where a camera and a voice are on one face.

The camera wins as long as it sees the mouth. It does not where it says so (`mouth_hidden`), nor
where its mouth rests all the while that the voice speaks: behind a hand, a mask, a microphone, or
sent by something that only follows the eyes. Then the mouth goes over to the voice, and comes back
when the camera's moves again, or the voice is silent.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from flexavatar.head.arkit import ARKIT_NAMES

Weights = NDArray[np.float64]

IS_MOUTH = np.array([name.startswith(("jaw", "mouth")) for name in ARKIT_NAMES])  # [52]
WINDOW_S = 0.8
"""Longer than a vowel that is held."""
SPEAKING, RESTING, STIRRING = 0.12, 0.03, 0.08
"""How far the jaw or a lip goes in WINDOW_S at least, at most, and again at least."""
HIDDEN = 0.5
CROSSFADE_S = 0.2
"""From one to the other."""


class MouthTracker:
    """What one source has seen of the mouth lately, and how much of it the voice has instead."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew with a source that does."""
        self._seen: deque[tuple[float, Weights]] = deque()
        self._hidden, self._rests = False, False
        self.voice_share = 0.0
        """Of the mouth, 0..1: how much of it the voice has."""
        self._at_s: float | None = None

    def add(self, weights: Weights, hidden: float, now_s: float) -> None:
        """Take the newest weights [52], and how little of the mouth is seen, 0..1."""
        self._seen.append((now_s, weights[IS_MOUTH]))
        self._hidden = hidden >= HIDDEN
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()

    def travel(self) -> float | None:
        """How far what moves most went in WINDOW_S; None as long as nobody can know."""
        if len(self._seen) < 2 or self._seen[-1][0] - self._seen[0][0] < 0.8 * WINDOW_S:
            return None
        return float(np.ptp([weights for _, weights in self._seen], axis=0).max())

    def yield_to(self, voice: MouthTracker | None, now_s: float) -> None:
        """Let the voice have the mouth or take it back, bit by bit; None if there is no voice."""
        step_s = 0.0 if self._at_s is None else now_s - self._at_s
        self._at_s = now_s
        wanted = voice is not None and (self._hidden or self._rests_beside(voice))
        step = (step_s if wanted else -step_s) / CROSSFADE_S
        self.voice_share = min(max(self.voice_share + step, 0.0), 1.0)

    def _rests_beside(self, voice: MouthTracker) -> bool:
        own, other = self.travel(), voice.travel()
        if other is None or other < SPEAKING:
            self._rests = False
        elif own is not None:
            self._rests = own < (STIRRING if self._rests else RESTING)
        return self._rests
