"""`flexavatar drive` with a video or a webcam, and what becomes of a face whose camera dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from flexavatar.avatar.avatar import save_avatar
from flexavatar.capture.photo import read_photo
from flexavatar.cli import USER_ERROR, run
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.drive import video
from flexavatar.drive.performance import read_performance
from flexavatar.drive.signal import WEBCAM, Signal
from flexavatar.drive.video import VideoDriver
from flexavatar.errors import InputError
from flexavatar.evaluation.live import score_lines
from flexavatar.evaluation.video import PlayedVideo
from flexavatar.formats import frame_sources
from flexavatar.formats.frame_sources import TimedFrame, VideoFile
from flexavatar.formats.video_writer import VideoWriter
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.video_follower import follow_video
from tests.live import live_server, seen_of, watching
from tests.service import must_receive
from tests.signals import signal_of
from tests.test_engine import plain_avatar

FPS = 10


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one avatar, `ada`."""
    folder = tmp_path_factory.mktemp("avatars") / "ada"
    folder.mkdir()
    save_avatar(plain_avatar(), folder)
    return folder.parent


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the shipped portrait, with a sound."""
    path = tmp_path_factory.mktemp("films") / "me.mp4"
    rgb = cv2.resize(read_photo(SHIPPED_PORTRAIT.read_bytes()).rgb, (320, 320))
    with VideoWriter(path, 320, 320, (16_000, 1)) as writer:
        for i in range(FPS):
            writer.write_rgb(rgb, round(i * 1e9 / FPS))
            writer.write_sound(bytes(2 * 1600))
    return path


def drive(store: Path, *options: str) -> int:
    size = ["--width", "64", "--height", "48"]
    return run(["drive", "ada", "--store", str(store), *size, *options])


# ---- videos


def test_a_video_becomes_a_video_with_its_sound(store: Path, film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    record = tmp_path / "takes" / "me.csv"
    options = ["--video", str(film), "--beside", "--out", str(out), "--record", str(record)]
    assert drive(store, *options) == 0
    assert len(read_performance(record)) >= FPS - 1
    with av.open(out) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.width, picture.height) == (48 + 64, 48)  # the square film, and the avatar
        assert sound.rate == 16_000
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(picture)]
    assert len(frames) >= FPS - 1
    whole = read_photo(SHIPPED_PORTRAIT.read_bytes()).rgb
    own = cv2.resize(whole, (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(frames[0][:, :48].astype(int) - own).mean() < 12  # H.264's loss


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"this is no video", "video"), (b"", "video"), (None, "cannot read")],
)
def test_videos_that_cannot_be_followed(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None,
    message: str,
) -> None:  # fmt: skip
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    assert drive(store, "--video", str(path), "--out", str(tmp_path / "o.mp4")) == USER_ERROR
    assert message in capsys.readouterr().err


def test_a_video_of_nobody(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wall.mp4"
    with VideoWriter(path, 64, 64) as writer:
        for i in range(3):
            writer.write_rgb(np.full((64, 64, 3), 99, np.uint8), i * 10**8)
    assert drive(store, "--video", str(path), "--out", str(tmp_path / "o.mp4")) == USER_ERROR
    assert "expected a face in wall.mp4, found none in 3 pictures" in capsys.readouterr().err


def test_one_thing_at_a_time(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drive(store, "--video", "a.mp4", "--webcam", "0") == USER_ERROR
    assert "expected one of --from, --audio, --video, --webcam" in capsys.readouterr().err


# ---- the webcam


class Puppeteer(VideoDriver):
    """A driver that sees what it is told to see."""

    @property
    def calibrated(self) -> bool:
        return True

    def push(self, rgb: np.ndarray, pts_ns: int) -> Signal | None:
        if not rgb.any():
            return None
        return signal_of({"jawOpen": 0.8}, (0.0, 0.4, 0.0), pts_ns, WEBCAM)

    def recalibrate(self) -> None:
        """Nothing to learn."""


def pictures(bright: int, dark: int = 0) -> Iterator[TimedFrame]:
    """Of somebody, then of nobody, 30 a second."""
    for i in range(bright + dark):
        yield TimedFrame(np.full((4, 4, 3), i < bright, np.uint8), time.monotonic_ns())
        time.sleep(1 / 30)


def test_a_webcam_drives_and_its_end_leaves_a_living_face(tmp_path: Path) -> None:
    with live_server(tmp_path, show="ada", vmc=0) as (client, _):
        with client.start_session("ada", 64, 48, name="mine", sources=[WEBCAM]) as session:
            with watching(client, "mine") as reader:
                with follow_video(session, Puppeteer(), pictures(25)) as follower:
                    seen = seen_of(must_receive(reader))
                    while seen.told[0] < 0.75:
                        seen = seen_of(must_receive(reader))
                    follower.over.wait(10)
                assert follower.pictures == follower.faces == 25
                assert abs(seen.pts_ns - time.monotonic_ns()) < 10**10  # the picture's own time
                began = time.monotonic()
                while (seen := seen_of(must_receive(reader))).told[0] > 0.02 or seen.yaw > 0.1:
                    assert time.monotonic() - began < 1.2


def test_nobody_before_the_camera_is_an_idle_face(tmp_path: Path) -> None:
    with live_server(tmp_path, show="ada", vmc=0) as (client, _):
        with client.start_session("ada", 64, 48, name="mine", sources=[WEBCAM]) as session:
            with watching(client, "mine") as reader:
                with follow_video(session, Puppeteer(), pictures(10, 40)) as follower:
                    follower.over.wait(10)
                    assert follower.pictures - follower.faces == 40
                received = last = must_receive(reader)
                while received and time.monotonic_ns() - received.header.pts_ns >= 10**8:
                    last, received = received, reader.receive(0.05)
                assert seen_of(received or last).told[0] < 0.02


def test_a_bug_while_following_is_told(client: FlexAvatarClient) -> None:
    class Broken:
        def push(self, rgb: np.ndarray, pts_ns: int) -> None:
            raise ZeroDivisionError("a bug")

    with client.start_session("ada", 64, 48, sources=[WEBCAM]) as session:
        with pytest.raises(ZeroDivisionError):
            with follow_video(session, Broken(), pictures(2)) as follower:  # type: ignore[arg-type]
                assert follower.over.wait(10)


def test_the_command_drives_until_the_camera_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Eye:
        def frames(self) -> Iterator[TimedFrame]:
            yield from pictures(20)
            raise InputError("webcam: it has sent nothing for 5 s")

    @contextmanager
    def opened(name: str) -> Iterator[Eye]:
        assert name == "3"
        yield Eye()

    monkeypatch.setattr(frame_sources, "open_webcam", opened)
    monkeypatch.setattr(video, "VideoDriver", Puppeteer)
    monkeypatch.setattr("flexavatar.cli.drive.has_screen", lambda: False)
    with live_server(tmp_path, show="ada", vmc=0) as (client, _):
        options = ["--store", str(tmp_path / "avatars"), "--width", "64", "--height", "48"]
        record = tmp_path / "take.csv"
        options += ["--record", str(record)]
        assert run(["drive", "ada", "--webcam", "3", *options]) == USER_ERROR
        assert len(read_performance(record)) > 10
        said = capsys.readouterr()
        assert "session ada-webcam" in said.out
        assert "flexavatar view ada-webcam" in said.out
        assert "it has sent nothing" in said.err
        assert client.info().sessions == 1  # the server's own: this one was ended


def test_a_camera_that_is_not_there(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drive(store, "--webcam", str(store / "video9")) == USER_ERROR
    assert "no camera at" in capsys.readouterr().err
    assert drive(store, "--webcam", "0", "--background", "green") == USER_ERROR
    assert "expected RRGGBB" in capsys.readouterr().err


# ---- evaluation


def test_a_film_stands_in_for_a_camera(film: Path) -> None:
    """At its own pace, and what nobody takes in time is left out."""
    source = PlayedVideo(VideoFile(film))
    began = time.monotonic()
    taken = []
    for moment in source.play():
        taken.append(moment)
        time.sleep(0.15)
    assert len(taken) < len(source.moments)
    assert time.monotonic() - began > source.moments[-1].pts_ns / 1e9
    assert [m.pts_ns for m in taken] == [m.pts_ns for m in source.played]


def test_lines_are_nan_where_no_face_was_seen() -> None:
    asked, seen = score_lines([{"jawOpen": 0.5}, {}], [None, {"jawOpen": 0.4}])["jaw"]
    assert asked.tolist() == [0.5, 0.0]
    assert np.isnan(seen[0])
    assert seen[1] == 0.4


def test_the_client_tells_which_source_it_is(tmp_path: Path) -> None:
    with live_server(tmp_path, show="ada", vmc=0) as (client, _):
        with client.start_session("ada", sources=["webcam", "drive"]) as session:
            session.drive_once({"jawOpen": 0.5}, source="webcam", mouth_hidden=1.0)
            wrong: list[dict[str, Any]] = [
                {"source": "audio"},
                {"source": "vmc"},
                {"mouth_hidden": 2.0},
            ]
            for bad in wrong:
                with pytest.raises(InputError):
                    session.drive_once({"jawOpen": 0.5}, **bad)
        assert isinstance(client, FlexAvatarClient)
