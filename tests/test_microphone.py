"""`flexavatar drive --microphone`: sound from a device, which a file stands in for here."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flexavatar.cli import USER_ERROR, run
from flexavatar.errors import InputError
from flexavatar.formats import microphone
from flexavatar.formats.microphone import RATE, Microphone, open_microphone
from plugin_server.client.voice_follower import follow_voice
from plugin_server.pb import flexavatar_pb2 as pb
from tests.live import seen_of
from tests.service import must_receive
from tests.test_drive_audio import speaking


def wav(seconds: float, rate: int = 48_000) -> bytes:
    """A tone of 440 Hz, as a device gives it."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
        file.writeframes(np.repeat(tone.astype("<i2"), 2).tobytes())
    return buffer.getvalue()


def test_pieces_are_mono_at_the_voice_s_rate() -> None:
    with closing(Microphone(av.open(io.BytesIO(wav(1.0)), "r"))) as opened:
        samples = np.frombuffer(b"".join(opened.pieces()), "<i2")
    assert len(samples) == pytest.approx(RATE, abs=100)  # what a resampler keeps back
    spectrum = np.abs(np.fft.rfft(samples[:RATE]))
    assert np.argmax(spectrum) * RATE / len(samples[:RATE]) == pytest.approx(440, abs=5)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file"), OSError(16, "Device or resource busy")]
)
def test_devices_that_are_not_to_be_had(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(microphone.av, "open", refuse)
    with (
        pytest.raises(InputError, match=r"'hw:9' cannot be opened .*arecord -L"),
        open_microphone("hw:9"),
    ):
        pass


def test_what_is_heard_is_said(tmp_path: Path) -> None:
    """At its pace: a second of sound, in pieces as a device gives them."""
    pieces = np.frombuffer(wav(1.0, RATE)[44:], "<i2")[::2].reshape(-1, 320)

    def heard() -> Iterator[bytes]:
        for piece in pieces:
            time.sleep(0.02)
            yield piece.tobytes()

    with speaking(tmp_path) as (_, session, reader):
        with follow_voice(session, heard(), RATE, pb.VoiceStyle()) as follower:
            while not follower.over.is_set():
                seen_of(must_receive(reader))
        assert follower.report.accepted_samples == RATE
        assert follower.report.rendered_samples + follower.report.skipped_samples == RATE


def test_a_device_that_fails_is_told(tmp_path: Path) -> None:
    def heard() -> Iterator[bytes]:
        yield bytes(640)
        raise InputError("microphone: it sends no more (gone)")

    with speaking(tmp_path) as (_, session, _):
        with pytest.raises(InputError, match="sends no more"):
            with follow_voice(session, heard(), RATE, pb.VoiceStyle()) as follower:
                assert follower.over.wait(20)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flexavatar.cli.drive.has_screen", lambda: False)

    @contextmanager
    def opened(name: str) -> Iterator[Microphone]:
        assert name == "hw:3"
        with closing(Microphone(av.open(io.BytesIO(wav(0.5)), "r"))) as one:
            yield one

    monkeypatch.setattr(microphone, "open_microphone", opened)
    with speaking(tmp_path):
        where = ["--store", str(tmp_path / "avatars"), "--width", "64", "--height", "48"]
        assert run(["drive", "ada", "--microphone", "hw:3", *where]) == 0
        said = capsys.readouterr()
        assert "session ada-microphone" in said.out
    assert run(["drive", "ada", "--microphone", "x", "--webcam", "0"]) == USER_ERROR
    assert "expected one of" in capsys.readouterr().err
