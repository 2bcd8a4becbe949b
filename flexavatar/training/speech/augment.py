"""Speech as microphones, rooms and calls give it: with noise, music, echoes, narrow bands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import fftconvolve, lfilter

from flexavatar.drive.voice.features import RATE, Sound

Chance = np.random.Generator


def resample(sound: Sound, factor: float) -> Sound:
    """Played `factor` times as fast, and so higher."""
    at = np.arange(0, len(sound) - 1, factor)
    return np.interp(at, np.arange(len(sound)), sound).astype(np.float32)


def power(sound: Sound) -> float:
    """Mean square."""
    return float(np.mean(np.square(sound))) + 1e-12


def noise(length: int, chance: Chance) -> Sound:
    """Of any colour from brown to blue, rising and falling slowly or not: [length] of power 1."""
    spectrum = np.fft.rfft(chance.normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / RATE) + 30
    spectrum *= hz ** chance.uniform(-1.2, 0.4)
    if chance.random() < 0.3:  # a hum, a whirr
        centre = chance.uniform(80, 3000)
        spectrum *= 1 + 20 * np.exp(-(((hz - centre) / (0.05 * centre)) ** 2))
    made = np.fft.irfft(spectrum, length)
    if chance.random() < 0.4:
        made *= swell(length, chance, 0.5)
    return (made / np.sqrt(power(made.astype(np.float32)))).astype(np.float32)


def knocks(length: int, chance: Chance) -> Sound:
    """Keys, clicks, steps: [length] of power about 1."""
    made = np.zeros(length, np.float32)
    for at in chance.integers(0, length, chance.integers(1, 8 + length // RATE * 6)):
        tail = min(length - at, round(RATE * chance.uniform(0.005, 0.12)))
        fall = np.exp(-np.arange(tail) / max(tail * 0.25, 1))
        made[at : at + tail] += chance.normal(size=tail) * fall * chance.uniform(0.2, 1)
    made = lfilter([1], [1, -chance.uniform(0, 0.9)], made)
    return (made / np.sqrt(power(made))).astype(np.float32)


def music(length: int, chance: Chance) -> Sound:
    """Chords, a bass and drums: [length] of power 1."""
    beat = round(RATE * chance.uniform(0.3, 0.7))
    time = np.arange(beat) / RATE
    root = 55 * 2 ** chance.uniform(0, 1)
    steps = chance.choice([0, 2, 3, 4, 5, 7, 9], 4)
    made = np.zeros(length + beat, np.float32)
    for number, at in enumerate(range(0, length, beat)):
        note = root * 2 ** (steps[number // 4 % 4] / 12)
        fall = np.exp(-time / chance.uniform(0.1, 0.8))
        tones = [(note, 0.8), *((note * 4 * 2 ** (k / 12), 0.4) for k in (0, 4, 7))]
        for hz, loud in tones:
            for harmonic in range(1, 5):
                made[at : at + beat] += (
                    loud / harmonic * fall * np.sin(2 * np.pi * hz * harmonic * time)
                )
        drum = chance.normal(size=beat) * np.exp(-time / (0.02 if number % 2 else 0.08))
        made[at : at + beat] += chance.uniform(0, 1.2) * drum
    made = made[:length]
    return made / np.float32(np.sqrt(power(made)))


def swell(length: int, chance: Chance, depth: float) -> Sound:
    """A slow, smooth rise and fall about 1: [length]."""
    knots = np.exp(chance.normal(0, depth, length // (RATE // 2) + 3))
    at = np.linspace(0, len(knots) - 1, length)
    return np.interp(at, np.arange(len(knots)), knots).astype(np.float32)


def reverberate(sound: Sound, chance: Chance) -> Sound:
    """The same in a room, the direct sound in its place."""
    seconds = chance.uniform(0.05, 0.5)
    length = round(RATE * seconds)
    tail = chance.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: round(0.003 * RATE)] = 0
    tail *= chance.uniform(0.05, 0.5) / np.sqrt(np.square(tail).sum())
    tail[0] = 1
    return fftconvolve(sound, tail)[: len(sound)].astype(np.float32)


def limit_band(sound: Sound, chance: Chance) -> Sound:
    """Through a telephone, a cheap microphone, or an equaliser."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / RATE)
    kind = chance.random()
    if kind < 0.3:  # a telephone
        spectrum *= (hz > chance.uniform(50, 300)) * (hz < chance.uniform(3300, 4000))
    elif kind < 0.6:  # other limits
        spectrum *= 1 / (1 + (hz / chance.uniform(3500, 8000)) ** 8)
        spectrum *= 1 - 1 / (1 + (hz / chance.uniform(40, 200)) ** 4)
    else:
        knots = chance.normal(0, 5, 7)
        spectrum *= 10 ** (np.interp(np.log2(hz + 60), np.linspace(6, 13, 7), knots) / 20)
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def quantise(sound: Sound, chance: Chance) -> Sound:
    """By a coarse logarithmic law, as old codecs do."""
    steps = 2 ** chance.uniform(4, 7)
    top = np.abs(sound).max() + 1e-6
    law = np.sign(sound) * np.log1p(255 * np.abs(sound) / top) / np.log(256)
    law = np.round(law * steps) / steps
    return (np.sign(law) * top * (256 ** np.abs(law) - 1) / 255).astype(np.float32)


def degrade_speech(sound: Sound, chance: Chance, behind: Callable[[int, Chance], Sound]) -> Sound:
    """Clean speech as it may arrive; `behind` makes what else is heard, of power about 1."""
    if chance.random() < 0.35:
        sound = reverberate(sound, chance)
    if chance.random() < 0.55:
        sound = limit_band(sound, chance)
    length, loud = len(sound), np.sqrt(power(sound[np.abs(sound) > 0.02 * np.abs(sound).max()]))
    for share, ratio, make in (
        (0.6, (8, 45), lambda: noise(length, chance)),
        (0.15, (5, 30), lambda: knocks(length, chance)),
        (0.3, (5, 30), lambda: behind(length, chance)),
    ):
        if chance.random() < share:
            sound = mix(sound, make(), loud * 10 ** (-chance.uniform(*ratio) / 20))
    if chance.random() < 0.1:
        sound = quantise(sound, chance)
    if chance.random() < 0.1:  # driven too far
        top = np.abs(sound).max() + 1e-6
        sound = np.clip(sound, -top * 0.4, top * 0.4).astype(np.float32)
    return set_level(sound, chance)


def mix(sound: Sound, other: Sound, share: float) -> Sound:
    """Both at once."""
    return (sound + share * other).astype(np.float32)


def set_level(sound: Sound, chance: Chance) -> Sound:
    """As loud as recordings are: the peak at -32 to 0 dB."""
    peak = 10 ** (-abs(chance.normal(0, 9)) / 20)
    return sound * np.float32(max(peak, 0.025) / (np.abs(sound).max() + 1e-6))


def crop(whole: Sound, length: int, chance: Chance) -> Sound:
    """A piece of it, from anywhere."""
    start = int(chance.integers(0, max(len(whole) - length, 0) + 1))
    return np.resize(whole[start:], length)
