"""From sound in pieces of any size to the features of a network: 16 kHz, log-mel frames, a level.

All of it runs forward in time and gives the same numbers however the sound was cut.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexavatar.formats.sound import read_recording

RATE = 16_000
"""Samples a second that the features are of."""
HOP = 160
WINDOW = 400
FFT = 512
STEP = 2 * HOP
"""Samples between two instants of motion: two hops, 20 ms."""
MELS = 48
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0
FEATURES = 2 * (MELS + 2)
"""Numbers a step: two frames of MELS bands, their loudness against the level, and the level."""
STEP_REACH = (WINDOW + HOP) // 2
"""A step's frames reach as far back from its instant, and as far ahead."""

LOBES = 8
"""Zero crossings of the resampler's kernel on either side."""
PHASES = 512

PRIOR_DB, FLOOR_DB, CEILING_DB = -28.0, -58.0, -10.0
"""Level of speech that is assumed at first, and its bounds: quieter sound is none."""
RISE, FALL = 0.012, 0.0025
"""Share of the way to a louder and to a quieter frame that the level goes each hop."""
START_PACE, START_HOPS = 8.0, 60.0
"""How much faster it goes at first, and how many hops of sound that lasts."""
SPEECH_RANGE_DB = 30.0
"""What is further under the level is a pause."""
PAUSE_FALL_DB = 0.003
"""By how much the level falls in each hop of a pause."""
SPAN_DB = 70.0
"""From the top of a band's range down to where it counts as silent."""

Sound = NDArray[np.float32]


class Resampler:
    """Samples of any rate to RATE, by a windowed sinc."""

    def __init__(self, rate: int) -> None:
        self._ratio = rate / RATE
        self._half = math.ceil(LOBES * max(self._ratio, 1.0)) if rate != RATE else 0
        self._kernels = _kernels(rate, self._half)
        self._kept: Sound = np.zeros(self._half, np.float32)  # silence before the beginning
        self._first = -self._half  # input index of the first sample that is kept
        self._made = 0

    def push(self, sound: Sound) -> Sound:
        """The samples that are known by now."""
        if not self._half:
            return sound
        self._kept = np.concatenate((self._kept, sound))
        end = self._first + len(self._kept)
        ready = max(math.ceil((end - self._half) / self._ratio), self._made)
        at = np.arange(self._made, ready) * self._ratio
        left = np.floor(at).astype(np.int64)
        inside = left + self._half < end  # rounding may ask for one sample too many
        at, left = at[inside], left[inside]
        phase = np.round((at - left) * PHASES).astype(np.int64)
        taps = left[:, None] - self._first + np.arange(1 - self._half, self._half + 1)
        made = (self._kept[taps] * self._kernels[phase]).sum(1)
        self._made += len(made)
        drop = max(int(self._made * self._ratio) + 1 - self._half - self._first, 0)
        self._kept, self._first = self._kept[drop:], self._first + drop
        return made


class FeatureExtractor:
    """Samples at RATE to one row of features a step. For one thread."""

    def __init__(self) -> None:
        self._kept: Sound = np.zeros(STEP_REACH, np.float32)
        self._level = LevelTracker()

    def push(self, sound: Sound) -> list[Sound]:
        """A row of FEATURES for each step that is known by now."""
        self._kept = np.concatenate((self._kept, sound))
        steps = (len(self._kept) - 2 * STEP_REACH) // STEP + 1
        if steps <= 0:
            return []
        frames = mel_frames(self._kept[: (steps - 1) * STEP + 2 * STEP_REACH])
        self._kept = self._kept[steps * STEP :]
        return [*self._level.normalize(frames).reshape(steps, FEATURES)]


class LevelTracker:
    """How loud this voice speaks: followed quickly up, slowly down, and not in pauses."""

    def __init__(self) -> None:
        self._db = PRIOR_DB
        self._hops = 0

    def normalize(self, frames: Sound) -> Sound:
        """Bands in decibels and their sum [F, MELS + 1] -> those over the level, and the level."""
        levels = np.array([self._follow(loud) for loud in frames[:, -1].tolist()], np.float32)
        against = np.clip((frames - levels[:, None]) / SPAN_DB + 1, 0, 1.5)
        return np.concatenate((against, (levels[:, None] - PRIOR_DB) / SPAN_DB), 1)

    def _follow(self, loud: float) -> float:
        over = loud - self._db
        if over > -SPEECH_RANGE_DB:
            pace = 1 + START_PACE * math.exp(-self._hops / START_HOPS)
            self._db += pace * (RISE if over > 0 else FALL) * over
            self._hops += 1
        else:
            self._db -= PAUSE_FALL_DB
        self._db = min(max(self._db, FLOOR_DB), CEILING_DB)
        return self._db


def mel_frames(sound: Sound) -> Sound:
    """Samples at RATE -> decibels in each band, and of all: [frames, MELS + 1]."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    spectrum = np.fft.rfft(windows * _window(), FFT)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = power @ _filters()
    whole = np.concatenate((bands, bands.sum(1, keepdims=True)), 1)
    return (10 * np.log10(whole + 1e-10)).astype(np.float32)


def decode_pcm(pcm: bytes, channels: int) -> Sound:
    """Interleaved s16le, whole samples of all channels -> their mean, -1..1."""
    samples = np.frombuffer(pcm, "<i2").reshape(-1, channels).astype(np.float32)
    return samples.mean(1) / np.float32(32768)


@lru_cache(8)
def _kernels(rate: int, half: int) -> Sound:
    """The sinc at each phase between two samples: [PHASES + 1, 2 * half]."""
    cut = min(1.0, RATE / rate)
    away = np.arange(PHASES + 1)[:, None] / PHASES - np.arange(1 - half, half + 1)
    kernel = cut * np.sinc(cut * away) * np.cos(np.pi * away / (2 * half + 2)) ** 2
    return (kernel / np.maximum(kernel.sum(1, keepdims=True), 1e-9)).astype(np.float32)


@lru_cache(1)
def _window() -> Sound:
    """Hann's, so that a full-scale sine has about 0 dB."""
    window = np.hanning(WINDOW + 1)[:-1]
    return (window / window.sum() * math.sqrt(2)).astype(np.float32)


@lru_cache(1)
def _filters() -> Sound:
    """Triangles that are evenly spaced in mel: [FFT // 2 + 1, MELS]."""
    edges = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), MELS + 2)
    at = _mel(np.arange(FFT // 2 + 1) * RATE / FFT)[:, None]
    up = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(up, down), 0, None).astype(np.float32)


def _mel(hz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127 * np.log1p(np.asarray(hz) / 700)


def read_sound(path: Path) -> NDArray[np.float32]:
    """The same as samples at 16 kHz, -1..1: [S], the mean of its channels. Raises InputError."""
    recording = read_recording(path, RATE)
    return decode_pcm(recording.pcm, recording.channels)
