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

MOVES = np.array([name.startswith(("jaw", "mouth")) for name in ARKIT_NAMES])  # [52]
WINDOW_S = 0.8
"""Longer than a vowel that is held."""
SPEAKS, RESTS, STIRS = 0.12, 0.03, 0.08
"""How far the jaw or a lip goes in WINDOW_S at least, at most, and again at least."""
HIDDEN = 0.5
CROSS_S = 0.2
"""From one to the other."""


class Mouth:
    """What one source knows of the mouth, and how much of it is given to the voice."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A source that begins anew."""
        self._seen: deque[tuple[float, Weights]] = deque()
        self._hidden, self._rests = False, False
        self.given = 0.0
        """To the voice, 0..1."""
        self._at_s: float | None = None

    def see(self, weights: Weights, hidden: float, now_s: float) -> None:
        """The newest weights [52]."""
        self._seen.append((now_s, weights[MOVES]))
        self._hidden = hidden >= HIDDEN
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()

    def travel(self) -> float | None:
        """How far what moves most went in WINDOW_S; None as long as nobody can know."""
        if len(self._seen) < 2 or self._seen[-1][0] - self._seen[0][0] < 0.8 * WINDOW_S:
            return None
        return float(np.ptp([weights for _, weights in self._seen], axis=0).max())

    def give(self, voice: Mouth | None, now_s: float) -> None:
        """Let the voice have it or take it back, bit by bit; None if there is no voice."""
        step_s = 0.0 if self._at_s is None else now_s - self._at_s
        self._at_s = now_s
        wanted = voice is not None and (self._hidden or self._rests_beside(voice))
        step = step_s / CROSS_S
        self.given = min(self.given + step, 1.0) if wanted else max(self.given - step, 0.0)

    def _rests_beside(self, voice: Mouth) -> bool:
        own, other = self.travel(), voice.travel()
        if other is None or other < SPEAKS:
            self._rests = False
        elif own is not None:
            self._rests = own < (STIRS if self._rests else RESTS)
        return self._rests
