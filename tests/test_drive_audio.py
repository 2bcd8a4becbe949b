"""Sound over gRPC: real servers, real clients, a voice whose jaw is the sample's height."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from flexavatar.drive.voice.driver import VoiceFrame
from flexavatar.errors import BusyError, ConflictError, DriveError, InputError, SessionNotFoundError
from plugin_server import speech
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from tests.live import Seen, TellingEngine, seen_of
from tests.service import (
    PATIENCE_S,
    PHOTO,
    eventually,
    local_config,
    must_receive,
    server_and_client,
)
from tests.voices import PlainVoice, plain_voice, sound

__all__ = ["plain_voice"]  # a fixture
pytestmark = pytest.mark.usefixtures("plain_voice")
RATE = 16_000
START_NS = 5_000_000_000
BUSY_MS = 300
"""A machine that is busy with other things may be late: a gap of its own, and it says so."""


@contextmanager
def speaking(
    folder: Path, *sources: str, config: ServerConfig | None = None
) -> Iterator[tuple[FlexAvatarClient, ClientSession, FrameReader]]:
    """A session that listens to sound."""
    with server_and_client(config or local_config(folder), TellingEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
        named = sources or ("audio",)
        with client.start_session("ada", 64, 48, sources=named) as session:
            with closing(session.reader()) as reader:
                must_receive(reader)
                yield client, session, reader


def watch(reader: FrameReader, seconds: float) -> list[tuple[float, Seen]]:
    """Frames of so long, and when each came."""
    end, seen = time.monotonic() + seconds, []
    while (left := end - time.monotonic()) > 0:
        if (received := reader.receive(left)) is not None:
            seen.append((time.monotonic(), seen_of(received)))
    return seen


def spoken(seen: list[tuple[float, Seen]]) -> list[tuple[float, Seen]]:
    """Those that show the sound."""
    return [(at, one) for at, one in seen if START_NS <= one.pts_ns < START_NS + 10**11]


# ---- in step


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2)])
def test_lips_and_sound_have_one_clock(tmp_path: Path, rate: int, channels: int) -> None:
    """What a frame shows is the sound at its pts, and it comes at the sound's pace."""
    pcm = sound(rate, (0.3, 0), (0.3, 0.8), (0.3, 0.2), (0.2, 0.6), channels=channels)
    with speaking(tmp_path) as (_, session, reader):
        voice = session.drive_audio(rate, channels, pts_ns=START_NS)
        voice.write(pcm)  # at once, as synthesisers do
        frames = spoken(watch(reader, 1.8))
        report = voice.finish(20.0)
    total = len(pcm) // (2 * channels)
    frames = [(at, s) for at, s in frames if s.pts_ns < START_NS + total * 1e9 / rate]
    assert report.accepted_samples == report.rendered_samples == total
    assert report.skipped_samples == report.discarded_samples == 0
    assert report.gap_ms < BUSY_MS
    assert report.look_ahead_ms == 100
    assert abs(report.started_unix_ns / 1e9 - time.time()) < 20
    assert len(frames) > 5  # of some 60; the machine may be busy
    heights = np.frombuffer(pcm, "<i2")[::channels] / 32767
    for _, seen in frames:
        at = (seen.pts_ns - START_NS) / 1e9
        near = heights[max(0, round((at - 0.025) * rate)) : round((at + 0.025) * rate) + 1]
        assert near.min() - 0.02 <= seen.told[0] <= near.max() + 0.02, at
    came = np.array([at for at, _ in frames])
    pts = np.array([one.pts_ns for _, one in frames]) / 1e9
    late = came - pts - (came - pts).min()
    assert np.median(late) < 0.2  # at its pace


def test_a_sound_in_pieces_of_real_time(tmp_path: Path) -> None:
    pcm = sound(RATE, (1.2, 0.5))
    with speaking(tmp_path) as (_, session, _):
        with session.drive_audio(RATE) as voice:
            start = time.monotonic()
            for i in range(0, len(pcm), 1280):  # 40 ms
                time.sleep(max(0.0, start + i / 2 / RATE - time.monotonic()))
                voice.write(pcm[i : i + 1280])
        assert voice.report.rendered_samples == voice.report.accepted_samples == 1.2 * RATE
        assert voice.report.gap_ms < BUSY_MS


def test_a_pause_is_counted_and_nothing_is_lost(tmp_path: Path) -> None:
    with speaking(tmp_path) as (_, session, reader):
        with session.drive_audio(RATE) as voice:
            voice.write(sound(RATE, (0.4, 0.5)))
            seen = watch(reader, 1.2)
            assert seen[-1][1].told[0] < 0.02  # closed, and alive
            voice.write(sound(RATE, (0.4, 0.5)))
        assert voice.report.rendered_samples == voice.report.accepted_samples == 0.8 * RATE
        assert voice.report.gaps == 1
        assert 300 < voice.report.gap_ms < 2000


def test_the_style_is_the_next_chunks(tmp_path: Path) -> None:
    with speaking(tmp_path) as (_, session, reader):
        voice = session.drive_audio(RATE, pts_ns=START_NS)
        voice.write(sound(RATE, (0.4, 0.4)))
        voice.restyle(pb.VoiceStyle(intensity=2.0, emotion="happy"))
        voice.write(sound(RATE, (0.4, 0.4)))
        frames = spoken(watch(reader, 1.8))
        voice.finish(20.0)
    early = [s.told for _, s in frames if 0.08e9 < s.pts_ns - START_NS < 0.25e9]
    late = [s.told for _, s in frames if 0.5e9 < s.pts_ns - START_NS < 0.75e9]
    assert early
    assert late
    np.testing.assert_allclose([t[[0, 2]] for t in early], [[0.4, 0.0]] * len(early), atol=0.01)
    np.testing.assert_allclose([t[[0, 2]] for t in late], [[0.8, 1.0]] * len(late), atol=0.01)


# ---- cut anywhere


@pytest.mark.parametrize("channels", [1, 2])
def test_samples_may_end_in_the_next_piece(tmp_path: Path, channels: int) -> None:
    """Written 4095 bytes a time, as programs read files: nothing is lost, nothing becomes noise."""
    pcm = np.arange(RATE // 2 * channels, dtype="<i2").tobytes()
    with speaking(tmp_path) as (client, session, _):
        voice = session.drive_audio(RATE, channels)
        for start in range(0, len(pcm), 4095):
            voice.write(pcm[start : start + 4095])
        assert voice.finish(PATIENCE_S).accepted_samples == RATE // 2
        header = pb.AudioHeader(
            session_id=session.info.session_id, owner_token=session.info.owner_token,
            sample_rate=RATE, channels=channels,
        )  # fmt: skip
        chunks = [pcm[start : start + 4095] for start in range(0, len(pcm), 4095)]
        requests = [pb.DriveAudioRequest(chunk=chunk) for chunk in chunks]
        reports = [*client.audio_stream(iter([pb.DriveAudioRequest(header=header), *requests]))]
        assert reports[-1].accepted_samples == RATE // 2


def test_interrupt_right_after_opening(tmp_path: Path) -> None:
    with speaking(tmp_path) as (_, session, _):
        for _ in range(10):
            voice = session.drive_audio(RATE)
            voice.restyle(pb.VoiceStyle(intensity=0.5))
            voice.interrupt()
            voice.write(bytes(RATE // 5))
            assert voice.finish(PATIENCE_S).accepted_samples == RATE // 10


# ---- interrupted


def test_interrupt_drops_what_is_queued_and_goes_on(tmp_path: Path) -> None:
    with speaking(tmp_path) as (_, session, reader):
        voice = session.drive_audio(RATE, pts_ns=START_NS)
        voice.write(sound(RATE, (20.0, 0.7)))
        eventually(lambda: seen_of(must_receive(reader)).told[0] > 0.6)
        report = voice.interrupt()
        assert 0 < report.rendered_samples < 5 * RATE
        assert report.discarded_samples == report.accepted_samples - report.rendered_samples
        began = time.monotonic()
        while seen_of(must_receive(reader)).told[0] > 0.0:
            assert time.monotonic() - began < 1.0
        voice.write(sound(RATE, (0.3, 0.4)))
        report = voice.finish(20.0)
    assert report.rendered_samples + report.discarded_samples == report.accepted_samples
    assert report.pts_ns == START_NS + report.accepted_samples * 10**9 // RATE


def test_hanging_up_in_the_middle_leaves_a_living_face(tmp_path: Path) -> None:
    with speaking(tmp_path) as (_, session, reader):
        voice = session.drive_audio(RATE)
        voice.write(sound(RATE, (30.0, 0.7)))
        eventually(lambda: seen_of(must_receive(reader)).told[0] > 0.6)
        voice.__exit__(KeyError, KeyError(), None)  # its block has failed
        began = time.monotonic()
        while seen_of(must_receive(reader)).told[0] > 0.0:
            assert time.monotonic() - began < 1.0
        seen = watch(reader, 0.5)
        assert len({one.pts_ns for _, one in seen}) > 5  # it idles
        with session.drive_audio(RATE) as voice:  # and may speak again
            voice.write(sound(RATE, (0.1, 0.7)))


def test_a_session_that_ends_ends_its_sound(tmp_path: Path) -> None:
    with speaking(tmp_path) as (client, session, _):
        voice = session.drive_audio(RATE)
        voice.write(sound(RATE, (30.0, 0.7)))
        eventually(lambda: voice.report.accepted_samples > 0)
        client.delete_avatar("ada")
        with pytest.raises(SessionNotFoundError):
            voice.finish(20.0)


# ---- limits and refusals


def test_a_full_queue_holds_the_stream_back(tmp_path: Path) -> None:
    config = local_config(tmp_path, max_audio_s=1.0)
    with speaking(tmp_path, config=config) as (client, session, _):
        assert client.info().limits.audio_seconds == 1
        with session.drive_audio(RATE) as voice:
            voice.write(sound(RATE, (2.5, 0.3)))
            eventually(lambda: voice.report.rendered_samples > 0.3 * RATE)
            report = voice.report
            assert report.accepted_samples - report.rendered_samples <= 1.1 * RATE
        assert voice.report.rendered_samples == 2.5 * RATE


def test_the_newer_stream_speaks(tmp_path: Path) -> None:
    """The older one may be dead; what it had to say is dropped, and it is told."""
    with speaking(tmp_path) as (_, session, reader):
        voice = session.drive_audio(RATE)
        voice.write(sound(RATE, (20.0, 0.3)))
        eventually(lambda: voice.report.accepted_samples > 0)
        with session.drive_audio(RATE, pts_ns=START_NS) as second:
            second.write(sound(RATE, (0.5, 0.6)))
        with pytest.raises(ConflictError, match="a newer stream has taken over"):
            voice.finish(20.0)
        assert second.report.rendered_samples == 0.5 * RATE
        frames = [one for _, one in watch(reader, 0.5) if one.pts_ns >= START_NS]
        assert max(one.told[0] for one in frames) == pytest.approx(0.6, abs=0.01)


def test_twins_do_not_speak_at_once(tmp_path: Path) -> None:
    with speaking(tmp_path) as (_, session, _):
        voice = session.drive_audio(RATE)
        voice.write(sound(RATE, (20.0, 0.3)))
        eventually(lambda: voice.report.accepted_samples > 0)
        with pytest.raises(ConflictError):
            once(session, 0, sound(RATE, (0.1, 0.3)))
        voice.interrupt()
        voice.finish(20.0)
        once(session, 0, sound(RATE, (5.0, 0.3)))
        with pytest.raises(ConflictError, match="something is said already"):
            session.drive_audio(RATE).finish(20.0)


@pytest.mark.parametrize(
    ("header", "chunk", "message"),
    [
        (pb.AudioHeader(sample_rate=7_999), b"", "8000..48000"),
        (pb.AudioHeader(sample_rate=96_000), b"", "8000..48000"),
        (pb.AudioHeader(sample_rate=RATE, channels=3), b"", "1 or 2 channels"),
        (pb.AudioHeader(sample_rate=RATE), b"123", "whole samples of 2 bytes, got 3"),
        (pb.AudioHeader(sample_rate=RATE, channels=2), b"123456", "whole samples of 4 bytes"),
        (pb.AudioHeader(sample_rate=RATE), bytes(1_048_578), "1048576 bytes at most"),
        (pb.AudioHeader(sample_rate=RATE, pts_ns=2**63), b"", "2\\^62"),
        (
            pb.AudioHeader(sample_rate=RATE, style=pb.VoiceStyle(emotion="bored")), b"", "emotion",
        ),
        (
            pb.AudioHeader(sample_rate=RATE, style=pb.VoiceStyle(intensity=9)), b"", "intensity",
        ),
        (
            pb.AudioHeader(sample_rate=RATE, style=pb.VoiceStyle(intensity=float("nan"))),
            b"",
            "intensity",
        ),
    ],
)  # fmt: skip
def test_what_is_no_sound(
    tmp_path: Path, header: pb.AudioHeader, chunk: bytes, message: str
) -> None:
    with speaking(tmp_path) as (client, session, _):
        header.session_id = session.info.session_id
        header.owner_token = session.info.owner_token
        with pytest.raises(DriveError, match=message):
            client.call("DriveAudioOnce", pb.DriveAudioOnceRequest(header=header, chunk=chunk))
        parts = [pb.DriveAudioRequest(header=header), pb.DriveAudioRequest(chunk=chunk)]
        with pytest.raises(Exception, match=message):
            list(client.audio_stream(iter(parts)))


def test_a_stream_without_header_and_a_session_without_sound(tmp_path: Path) -> None:
    with speaking(tmp_path, "drive") as (client, session, _):
        with pytest.raises(DriveError, match="expected 'audio' among this session's, got drive"):
            session.drive_audio(RATE).finish(20.0)
        with pytest.raises(Exception, match="expected the header first"):
            list(client.audio_stream(iter([pb.DriveAudioRequest(chunk=b"12")])))
        with client.start_session("ada") as plain:
            for act in (plain.drive_audio(RATE).finish, plain.interrupt_audio):
                with pytest.raises(DriveError, match="'audio' among its sources"):
                    act()
            with pytest.raises(DriveError, match="a session that has sources"):
                plain.drive_once({"jawOpen": 0.5}, source="webcam")


# ---- the unary twin


def once(
    session: ClientSession, position: int, chunk: bytes, last: bool = False, rate: int = RATE
) -> pb.DriveAudioResponse:
    request = once_request(session, position, chunk, last, rate)
    return session._client.call("DriveAudioOnce", request)


def once_request(
    session: ClientSession, position: int, chunk: bytes, last: bool = False, rate: int = RATE
) -> pb.DriveAudioOnceRequest:
    header = pb.AudioHeader(
        session_id=session.info.session_id,
        owner_token=session.info.owner_token,
        sample_rate=rate,
        pts_ns=START_NS,
    )
    return pb.DriveAudioOnceRequest(header=header, position=position, chunk=chunk, last=last)


def test_chunks_by_the_unary_twin(tmp_path: Path) -> None:
    config = local_config(tmp_path, max_audio_s=1.0)
    with speaking(tmp_path, config=config) as (_, session, reader):
        chunk = sound(RATE, (0.4, 0.6))
        assert once(session, 0, chunk).accepted_samples == 0.4 * RATE
        with pytest.raises(InputError, match="position: expected 6400, got 6401"):
            once(session, 6401, chunk)
        with pytest.raises(ConflictError, match="6400 samples"):
            once(session, 0, chunk)
        with pytest.raises(InputError, match="the same with every chunk"):
            once(session, 6400, chunk, rate=8_000)
        once(session, 6400, chunk)
        with pytest.raises(BusyError, match="at most 1 s in the queue"):
            once(session, 12800, sound(RATE, (1.5, 0.6)))
        report = once(session, 12800, sound(RATE, (0.02, 0.6)), last=True)
        assert report.accepted_samples == 0.82 * RATE
        frames = spoken(watch(reader, 1.6))
        assert max(one.told[0] for _, one in frames) == pytest.approx(0.6, abs=0.01)
        assert frames[-1][1].pts_ns >= START_NS + 0.8e9
        assert once(session, 0, chunk).accepted_samples == 0.4 * RATE  # a new one
        report = session.interrupt_audio()
        assert report.discarded_samples + report.rendered_samples == 0.4 * RATE
        eventually(lambda: session.interrupt_audio() == pb.DriveAudioResponse())
        with pytest.raises(InputError, match="expected 0, got 6400"):
            once(session, 6400, chunk)


class SlowVoice(PlainVoice):
    """Takes its time, and notices a second thread in it."""

    inside = most_inside = pushes = 0

    def push(self, pcm: bytes) -> list[VoiceFrame]:
        cls = SlowVoice
        cls.inside, cls.pushes = cls.inside + 1, cls.pushes + 1
        cls.most_inside = max(cls.most_inside, cls.inside)
        time.sleep(0.3)
        cls.inside -= 1
        return super().push(pcm)


def test_a_call_that_is_cancelled_is_said_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that was taken is shown, and one thread alone is in the voice at any time."""
    monkeypatch.setattr(speech, "VoiceDriver", SlowVoice)
    chunk = sound(RATE, (0.5, 0.6))
    with speaking(tmp_path) as (client, session, reader):
        call = FlexAvatarStub(client.channel).DriveAudioOnce.future(once_request(session, 0, chunk))
        eventually(lambda: SlowVoice.inside == 1)
        call.cancel()
        assert once(session, 8000, chunk, last=True).accepted_samples == 16_000
        frames = spoken(watch(reader, 3.0))
        assert SlowVoice.pushes == 4
        assert SlowVoice.most_inside == 1
    assert frames[-1][1].pts_ns >= START_NS + 0.98e9  # all of it was shown
