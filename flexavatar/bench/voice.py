"""Sound to weights."""

from __future__ import annotations

import numpy as np

from flexavatar.bench.measure import Row, measure
from flexavatar.drive.voice.driver import VoiceDriver

RATE, CHANNELS = 48_000, 2
LOUD = 3000


def voice_stages() -> list[Row]:
    """A tenth of a second of sound, as calls send it; 100 ms would be a whole core."""
    driver = VoiceDriver(RATE, CHANNELS)
    chance = np.random.default_rng(0)
    piece = (
        chance.normal(0, LOUD, (RATE // 10, CHANNELS)).clip(-32768, 32767).astype("<i2").tobytes()
    )
    return [measure("voice_100ms", lambda: driver.push(piece), threads=1)]
