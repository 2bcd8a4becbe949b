"""Speech in pieces of any size moves the mouth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flexavatar.drive.voice.driver import (
    RATES,
    VoiceConfig,
    VoiceDriver,
    VoiceFrame,
    voice_performance,
)
from flexavatar.errors import DriveError
from flexavatar.evaluation.voice import SHUT_MM, lip_gaps
from flexavatar.formats.sound import read_recording
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES, JAW_OPEN, MOUTH_CLOSE
from tests.signals import assert_same

ROUNDING = 1e-5
"""Sums of single floats, in whatever order a piece's size leads to."""


def noise(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    swell = 1 + np.sin(np.arange(round(seconds * rate)) * 20 / rate)
    sound = rng.normal(0, 3000, (len(swell), channels)) * swell[:, None]
    return sound.clip(-32768, 32767).astype("<i2").tobytes()


def heard(pcm: bytes, rate: int, channels: int = 1, piece: int | None = None) -> list[VoiceFrame]:
    driver = VoiceDriver(rate, channels)
    frames = []
    for at in range(0, len(pcm), piece or len(pcm)):
        frames += driver.push(pcm[at : at + (piece or len(pcm))])
    return frames + driver.finish()


def values(frames: Sequence[VoiceFrame]) -> list[object]:
    return [(frame.sample, frame.weights.tolist(), frame.sent.tolist()) for frame in frames]


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 1), (48000, 2)])
@pytest.mark.parametrize("piece", [777, 4001])
def test_pieces_of_any_size_give_the_same_frames(rate: int, channels: int, piece: int) -> None:
    pcm = noise(1.0, rate, channels)
    whole, cut = heard(pcm, rate, channels), heard(pcm, rate, channels, piece)
    assert [f.sample for f in whole] == [f.sample for f in cut]
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(a.weights, b.weights, rtol=0, atol=ROUNDING)


def test_frames_are_in_time_and_come_within_the_look_ahead() -> None:
    rate, driver, pushed = 24_000, VoiceDriver(24_000, 1), 0
    assert VoiceDriver.LOOK_AHEAD_MS <= 120
    pcm, shown = noise(1.0, rate), []
    for at in range(0, len(pcm), 480):
        pushed += 240
        shown += [frame.sample for frame in driver.push(pcm[at : at + 480])]
        due = pushed - VoiceDriver.LOOK_AHEAD_MS * rate / 1000
        assert due < 0 or shown[-1] > due - 0.02 * rate  # no frame is due that has not come
    assert shown == [480 * i for i in range(len(shown))]


@pytest.mark.parametrize(("rate", "channels"), [(7999, 1), (48001, 1), (16000, 0), (16000, 3)])
def test_what_is_no_speech_is_refused(rate: int, channels: int) -> None:
    with pytest.raises(DriveError, match="expected"):
        VoiceDriver(rate, channels)


def test_settings_out_of_range_are_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"intensity": 2.1},
        {"intensity": float("nan")},
        {"emotion_strength": -0.1},
    ]
    for settings in wrong:
        with pytest.raises(DriveError, match="expected"):
            VoiceConfig(**settings)
    with pytest.raises(DriveError, match="bored"):
        VoiceConfig(emotion="bored")  # pyright: ignore[reportArgumentType]


def test_the_end_closes_the_mouth_and_all_is_as_new() -> None:
    driver, pcm = VoiceDriver(RATES[0], 1), noise(0.5, RATES[0])
    first = driver.push(pcm) + driver.finish()
    assert not first[-1].weights.any()
    assert first[-1].sample > 0.5 * RATES[0]
    assert values(driver.push(pcm) + driver.finish()) == values(first)


def test_an_interrupted_voice_is_forgotten() -> None:
    driver, pcm = VoiceDriver(16_000, 1), noise(0.3, 16_000)
    driver.push(noise(0.5, 16_000, seed=1) + b"\x01")  # and half a sample
    driver.interrupt()
    assert values(driver.push(pcm)) == values(VoiceDriver(16_000, 1).push(pcm))


@pytest.mark.parametrize("emotion", ["neutral", "happy", "sad", "angry", "surprised"])
def test_weights_are_arkits_and_within_range(emotion) -> None:
    driver = VoiceDriver(16_000, 1, VoiceConfig(2.0, emotion, 1.0))
    frames = driver.push(np.random.default_rng(0).bytes(32_000)) + driver.finish()
    for frame in frames:
        assert frame.weights.shape == frame.sent.shape == (len(ARKIT_NAMES),)
        assert all(0 <= weight <= 1 for weight in frame.weights)  # NaN is not
        assert not frame.weights[~frame.sent].any()
        assert frame.weights[MOUTH_CLOSE] <= frame.weights[JAW_OPEN]


def test_an_emotion_that_goes_takes_its_shapes_with_it() -> None:
    driver, smile = VoiceDriver(16_000, 1, VoiceConfig(emotion="happy")), "mouthSmileLeft"
    happy = driver.push(noise(0.5, 16_000))[-1]
    driver.config = VoiceConfig()
    neutral = driver.push(noise(0.5, 16_000))[-1]
    between = happy.interpolate(neutral, 0.5)
    for frame in (happy, between, neutral):
        assert frame.sent[ARKIT_INDEX[smile]]
    smiles = [frame.weights[ARKIT_INDEX[smile]] for frame in (happy, between, neutral)]
    assert smiles[1] == pytest.approx((smiles[0] + smiles[2]) / 2)
    assert smiles[0] - smiles[2] > 0.2


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> Path:
    """Ten seconds of LibriSpeech."""
    path = shared_data / "speech/librispeech_116-288045-0000.flac"
    if not path.exists():
        pytest.skip(f"no recorded speech: {path} is missing")
    return path


def said(path: Path, rate: int, channels: int = 1) -> NDArray[np.float64]:
    """Jaw and lips over four seconds of a recording: [T, 2]."""
    recording = read_recording(path, rate)
    mono = np.frombuffer(recording.samples_between(0, 4), "<i2").reshape(-1, recording.channels)[
        :, :1
    ]
    frames = heard(np.repeat(mono, channels, 1).tobytes(), rate, channels)
    return np.array([f.weights[[JAW_OPEN, ARKIT_INDEX["mouthStretchLeft"]]] for f in frames], float)


@pytest.mark.parametrize("rate", [8000, 24_000, 44_100, 48_000])
def test_a_voice_moves_the_mouth_alike_at_any_rate(speech: Path, rate: int) -> None:
    usual, other = said(speech, 16_000), said(speech, rate, 2)
    assert len(usual) == len(other)
    likeness = 0.85 if rate == 8000 else 0.97  # a telephone's band says less of s and i
    for a, b in zip(usual.T, other.T, strict=True):
        assert np.corrcoef(a, b)[0, 1] > likeness


def test_the_shipped_network_hears_a_reader(speech: Path) -> None:
    """Silence, then "As I approached the city, I heard bells": b shuts the lips."""
    recording = read_recording(speech)
    frames = heard(recording.samples_between(0, 3.1), recording.rate)
    times = np.array([frame.sample / recording.rate for frame in frames])
    gaps = lip_gaps(np.array([frame.weights for frame in frames]))
    assert gaps[times < 0.35].max() <= SHUT_MM
    assert gaps[(times > 0.65) & (times < 0.85)].max() > 4  # mm: "I"
    assert gaps[(times > 2.28) & (times < 2.43)].min() <= SHUT_MM  # "b"
    assert gaps[(times > 1.5) & (times < 1.7)].max() < gaps[(times > 0.65) & (times < 0.8)].max()


@pytest.mark.parametrize("loud_db", [-90, -50, -30, -12])
def test_noise_keeps_the_mouth_shut(loud_db: float) -> None:
    chance = np.random.default_rng(0)
    pcm = (32767 * 10 ** (loud_db / 20) * chance.normal(size=32_000)).clip(-32768, 32767)
    frames = heard(pcm.astype("<i2").tobytes(), 16_000)
    shut = np.mean(lip_gaps(np.array([frame.weights for frame in frames])) <= SHUT_MM)
    assert shut > 0.9


def test_silence_keeps_the_mouth_shut() -> None:
    frames = heard(bytes(64_000), 16_000)
    assert max(frame.weights.max() for frame in frames) < 0.05


def test_a_voice_makes_a_performance() -> None:
    pcm = noise(1.0, 16_000)
    frames = voice_performance(pcm, 16_000, 1, VoiceConfig(emotion="happy"), seed=3)
    assert [f.pts_ns for f in frames] == sorted({f.pts_ns for f in frames})
    assert frames[0].pts_ns == 0
    assert frames[-1].pts_ns >= 1e9
    assert max(f.weight("mouthSmileLeft") for f in frames) > 0.2
    again = voice_performance(pcm, 16_000, 1, VoiceConfig(emotion="happy"), seed=3)
    for one, other in zip(frames, again, strict=True):
        assert_same(one, other)
