"""A voice for tests: the sample's height is the jaw's, known after a look-ahead of 100 ms."""

from __future__ import annotations

import numpy as np
import pytest

from flexavatar.drive.signal import weights_of
from flexavatar.drive.voice.driver import VoiceConfig, VoiceDriver, VoiceFrame
from plugin_server import speech

FRAMES_A_SECOND = 50
LOUDEST = 32767
USUAL = VoiceConfig()


class PlainVoice(VoiceDriver):
    """Says with the jaw what the samples are, and with the smile that it is happy."""

    LOOK_AHEAD_MS = 100

    def __init__(self, rate: int, channels: int, config: VoiceConfig = USUAL) -> None:
        super().__init__(rate, channels, config)
        self._sound = np.zeros(0)
        self._told = 0

    def push(self, pcm: bytes) -> list[VoiceFrame]:
        heard = np.frombuffer(pcm, "<i2").reshape(-1, self.channels).mean(1) / LOUDEST
        self._sound = np.concatenate((self._sound, heard))
        return self._until(len(self._sound) - self.rate // 10)

    def finish(self) -> list[VoiceFrame]:
        frames = self._until(len(self._sound))
        self._sound, self._told = np.zeros(0), 0
        return frames

    def _until(self, end: int) -> list[VoiceFrame]:
        step, frames = self.rate // FRAMES_A_SECOND, []
        while self._told * step < end:
            sample = self._told * step
            jaw = min(1.0, self.config.intensity * float(self._sound[sample]))
            happy = float(self.config.emotion == "happy")
            frames.append(
                VoiceFrame(sample, *weights_of({"jawOpen": jaw, "mouthSmileLeft": happy}))
            )
            self._told += 1
        return frames


@pytest.fixture
def plain_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of this process speak plainly."""
    monkeypatch.setattr(speech, "VoiceDriver", PlainVoice)


def sound(rate: int, *parts: tuple[float, float], channels: int = 1) -> bytes:
    """Seconds and height 0..1 of each part -> PCM."""
    heights = np.concatenate([np.full(round(rate * seconds), h) for seconds, h in parts])
    return np.repeat(np.round(LOUDEST * heights), channels).astype("<i2").tobytes()
