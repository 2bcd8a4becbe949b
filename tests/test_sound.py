"""Sound files of any kind, and videos with sound."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from flexavatar.drive.voice.config import VoiceConfig
from flexavatar.drive.voice.driver import voice_performance
from flexavatar.drive.voice.features import read_sound
from flexavatar.errors import InputError
from flexavatar.evaluation.avatar_renderer import write_performance_video
from flexavatar.formats.sound import read_recording
from flexavatar.formats.video_reader import count_frames
from flexavatar.formats.video_writer import VideoWriter
from tests.test_engine import plain_avatar

HZ = 440.0
LOSSY_FRAMES = 4096
"""Samples that codecs add before and after."""


def write(
    path: Path, rate: int, channels: int, codec: str, seconds: float = 0.5, title: str = ""
) -> None:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    tone = 8000 * np.sin(2 * np.pi * HZ * np.arange(round(seconds * rate)) / rate)
    with av.open(path, "w") as file:
        if title:
            file.metadata["title"] = title
        stream = file.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        samples = np.repeat(tone.astype("<i2")[:, None], channels, 1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "s16", layout)
        frame.rate = rate
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.wav", "pcm_s16le", 8000, 1),
        ("a.wav", "pcm_s24le", 96_000, 2),
        ("a.wav", "pcm_s16le", 48_000, 6),
        ("a.flac", "flac", 44_100, 2),
        ("a.mp3", "libmp3lame", 22_050, 1),
        ("a.m4a", "aac", 48_000, 2),
    ],
)
def test_any_kind_of_file_is_read(
    tmp_path: Path, name: str, codec: str, rate: int, channels: int
) -> None:
    path = tmp_path / name
    write(path, rate, channels, codec)
    recording = read_recording(path)
    assert recording.rate == (rate if rate <= 48_000 else 48_000)
    assert recording.channels == min(channels, 2)
    assert abs(recording.seconds - 0.5) < LOSSY_FRAMES / rate
    sound = read_sound(path)
    middle = sound[len(sound) // 4 : -len(sound) // 4]
    found = np.argmax(np.abs(np.fft.rfft(middle))) * 16_000 / len(middle)
    assert found == pytest.approx(HZ, abs=5)  # Hz between the transform's bins


def test_titles_in_any_encoding_are_read_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, 8000, 1, "pcm_s16le", title="Bruits de la mer")
    data = path.read_bytes()
    assert data.count(b"Bruits de la mer") == 1
    path.write_bytes(data.replace(b"Bruits de la mer", "Bruits dé la mer".encode("latin-1")))
    assert read_recording(path).seconds == pytest.approx(0.5)


def test_files_without_sound_are_refused(tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    with VideoWriter(silent, 64, 64) as video:
        video.write(np.zeros((64, 64, 4), np.uint8), 0)
    with pytest.raises(InputError, match="no sound"):
        read_recording(silent)
    for name, data in (("text.wav", b"not a sound at all" * 99), ("empty.wav", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            read_recording(tmp_path / name)
    with pytest.raises(InputError, match="missing"):
        read_recording(tmp_path / "missing.wav")


def test_a_piece_of_a_recording(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 16_000, 2, "pcm_s16le")
    recording = read_recording(tmp_path / "a.wav")
    pieces = [recording.samples_between(i / 30, (i + 1) / 30) for i in range(20)]
    assert b"".join(pieces) == recording.pcm


def test_a_video_keeps_its_sound_in_time(tmp_path: Path) -> None:
    path, rate = tmp_path / "said.mp4", 44_100
    beep = np.zeros((rate, 2), np.int16)
    beep[rate // 2 :] = 8000 * np.sign(np.sin(np.arange(rate // 2) * 0.1))[:, None]
    with VideoWriter(path, 64, 64, (rate, 2)) as video:
        for i in range(10):
            video.write(np.full((64, 64, 4), 255, np.uint8), i * 100_000_000)
            video.write_sound(beep[i * rate // 10 : (i + 1) * rate // 10].tobytes())
    recording = read_recording(path)
    heard = np.frombuffer(recording.pcm, "<i2").reshape(-1, 2)[:, 0].astype(float)
    began = np.flatnonzero(np.abs(heard) > 2000)[0] / recording.rate
    assert began == pytest.approx(0.5, abs=0.03)  # an AAC frame lasts 23 ms


def test_an_avatar_says_a_recording(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 22_050, 1, "pcm_s16le")
    sound = read_recording(tmp_path / "a.wav")
    frames = voice_performance(sound.pcm, sound.rate, sound.channels, VoiceConfig())
    write_performance_video(
        plain_avatar(), frames, tmp_path / "said.mp4", (64, 64), 30.0, sound=sound
    )
    said = read_recording(tmp_path / "said.mp4")
    assert said.rate == sound.rate
    assert abs(said.seconds - sound.seconds) < LOSSY_FRAMES / said.rate
    assert count_frames(tmp_path / "said.mp4") >= 0.5 * 30
