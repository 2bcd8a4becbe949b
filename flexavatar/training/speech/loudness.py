"""How loud a sound is from moment to moment: where synthesisers are not exact, it says the rest."""

from __future__ import annotations

import numpy as np

from flexavatar.drive.voice.features import RATE, Sound

QUIET = 0.004
"""Amplitude under which a synthesiser is silent: about -48 dB."""
FRAME_S = 0.005


def loudness(sound: Sound) -> Sound:
    """Root mean square of each FRAME_S."""
    size = round(FRAME_S * RATE)
    whole = sound[: len(sound) // size * size].reshape(-1, size)
    return np.sqrt(np.square(whole).mean(1))


def mean_of(loud: Sound, start: float, end: float) -> float:
    part = loud[int(start / FRAME_S) : max(int(end / FRAME_S), int(start / FRAME_S) + 1)]
    return float(part.mean()) if len(part) else 0.0
