"""Speech as microphones, rooms and calls give it: with noise, music, echoes, narrow bands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import fftconvolve, lfilter

from flexavatar.drive.voice.features import RATE, Sound

Rng = np.random.Generator


def resample(sound: Sound, factor: float) -> Sound:
    """Play `factor` times as fast, and so higher."""
    at = np.arange(0, len(sound) - 1, factor)
    return np.interp(at, np.arange(len(sound)), sound).astype(np.float32)


def mean_square(sound: Sound) -> float:
    """Power of a sound, never 0."""
    return float(np.mean(np.square(sound))) + 1e-12


def noise(length: int, rng: Rng) -> Sound:
    """Noise of any colour from brown to blue, steady or slowly swelling: [length] of power 1."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / RATE) + 30
    spectrum *= hz ** rng.uniform(-1.2, 0.4)
    if rng.random() < 0.3:  # a hum, a whirr
        centre = rng.uniform(80, 3000)
        spectrum *= 1 + 20 * np.exp(-(((hz - centre) / (0.05 * centre)) ** 2))
    made = np.fft.irfft(spectrum, length)
    if rng.random() < 0.4:
        made *= slow_gain(length, rng, 0.5)
    return (made / np.sqrt(mean_square(made.astype(np.float32)))).astype(np.float32)


def knocks(length: int, rng: Rng) -> Sound:
    """Keys, clicks, steps: [length] of power about 1."""
    made = np.zeros(length, np.float32)
    for at in rng.integers(0, length, rng.integers(1, 8 + length // RATE * 6)):
        tail = min(length - at, round(RATE * rng.uniform(0.005, 0.12)))
        fall = np.exp(-np.arange(tail) / max(tail * 0.25, 1))
        made[at : at + tail] += rng.normal(size=tail) * fall * rng.uniform(0.2, 1)
    made = lfilter([1], [1, -rng.uniform(0, 0.9)], made)
    return (made / np.sqrt(mean_square(made))).astype(np.float32)


def music(length: int, rng: Rng) -> Sound:
    """Chords, a bass and drums: [length] of power 1."""
    beat = round(RATE * rng.uniform(0.3, 0.7))
    time = np.arange(beat) / RATE
    root = 55 * 2 ** rng.uniform(0, 1)
    steps = rng.choice([0, 2, 3, 4, 5, 7, 9], 4)
    made = np.zeros(length + beat, np.float32)
    for number, at in enumerate(range(0, length, beat)):
        note = root * 2 ** (steps[number // 4 % 4] / 12)
        fall = np.exp(-time / rng.uniform(0.1, 0.8))
        tones = [(note, 0.8), *((note * 4 * 2 ** (k / 12), 0.4) for k in (0, 4, 7))]
        for hz, loud in tones:
            for harmonic in range(1, 5):
                made[at : at + beat] += (
                    loud / harmonic * fall * np.sin(2 * np.pi * hz * harmonic * time)
                )
        drum = rng.normal(size=beat) * np.exp(-time / (0.02 if number % 2 else 0.08))
        made[at : at + beat] += rng.uniform(0, 1.2) * drum
    made = made[:length]
    return made / np.float32(np.sqrt(mean_square(made)))


def slow_gain(length: int, rng: Rng, depth: float) -> Sound:
    """A slow, smooth rise and fall about 1: [length]."""
    knots = np.exp(rng.normal(0, depth, length // (RATE // 2) + 3))
    at = np.linspace(0, len(knots) - 1, length)
    return np.interp(at, np.arange(len(knots)), knots).astype(np.float32)


def reverberate(sound: Sound, rng: Rng) -> Sound:
    """Add a room's echoes, the direct sound in its place."""
    seconds = rng.uniform(0.05, 0.5)
    length = round(RATE * seconds)
    tail = rng.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: round(0.003 * RATE)] = 0
    tail *= rng.uniform(0.05, 0.5) / np.sqrt(np.square(tail).sum())
    tail[0] = 1
    return fftconvolve(sound, tail)[: len(sound)].astype(np.float32)


def limit_band(sound: Sound, rng: Rng) -> Sound:
    """Filter as a telephone, a cheap microphone or an equaliser does."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / RATE)
    kind = rng.random()
    if kind < 0.3:  # a telephone
        spectrum *= (hz > rng.uniform(50, 300)) * (hz < rng.uniform(3300, 4000))
    elif kind < 0.6:  # other limits
        spectrum *= 1 / (1 + (hz / rng.uniform(3500, 8000)) ** 8)
        spectrum *= 1 - 1 / (1 + (hz / rng.uniform(40, 200)) ** 4)
    else:
        knots = rng.normal(0, 5, 7)
        spectrum *= 10 ** (np.interp(np.log2(hz + 60), np.linspace(6, 13, 7), knots) / 20)
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def quantise(sound: Sound, rng: Rng) -> Sound:
    """Quantise by a coarse logarithmic law, as old codecs do."""
    steps = 2 ** rng.uniform(4, 7)
    top = np.abs(sound).max() + 1e-6
    law = np.sign(sound) * np.log1p(255 * np.abs(sound) / top) / np.log(256)
    law = np.round(law * steps) / steps
    return (np.sign(law) * top * (256 ** np.abs(law) - 1) / 255).astype(np.float32)


def degrade_speech(sound: Sound, rng: Rng, background: Callable[[int, Rng], Sound]) -> Sound:
    """Clean speech as it may arrive; `background` makes what else is heard, of power about 1."""
    if rng.random() < 0.35:
        sound = reverberate(sound, rng)
    if rng.random() < 0.55:
        sound = limit_band(sound, rng)
    spoken = np.abs(sound) > 0.02 * np.abs(sound).max()
    length, loud = len(sound), np.sqrt(mean_square(sound[spoken]))
    for share, ratio, make in (
        (0.6, (8, 45), lambda: noise(length, rng)),
        (0.15, (5, 30), lambda: knocks(length, rng)),
        (0.3, (5, 30), lambda: background(length, rng)),
    ):
        if rng.random() < share:
            sound = mix(sound, make(), loud * 10 ** (-rng.uniform(*ratio) / 20))
    if rng.random() < 0.1:
        sound = quantise(sound, rng)
    if rng.random() < 0.1:  # driven too far
        top = np.abs(sound).max() + 1e-6
        sound = np.clip(sound, -top * 0.4, top * 0.4).astype(np.float32)
    return set_level(sound, rng)


def mix(sound: Sound, other: Sound, share: float) -> Sound:
    """A sound and a share of another."""
    return (sound + share * other).astype(np.float32)


def set_level(sound: Sound, rng: Rng) -> Sound:
    """Scale to a loudness that recordings have: the peak at -32 to 0 dB."""
    peak = 10 ** (-abs(rng.normal(0, 9)) / 20)
    return sound * np.float32(max(peak, 0.025) / (np.abs(sound).max() + 1e-6))


def crop(whole: Sound, length: int, rng: Rng) -> Sound:
    """A piece of a sound, from anywhere in it."""
    start = int(rng.integers(0, max(len(whole) - length, 0) + 1))
    return np.resize(whole[start:], length)
