"""Pictures with their times: films that are whole and others, cameras that are there and not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flexavatar.errors import ImageError, InputError
from flexavatar.formats import frame_sources
from flexavatar.formats.frame_sources import VideoFile, Webcam, open_webcam
from flexavatar.formats.video_writer import VideoWriter
from flexavatar.types import NS_PER_S


def write_film(path: Path, frames: int = 20, fps: float = 25.0) -> Path:
    """Grey that gets brighter."""
    with VideoWriter(path, 64, 48) as video:
        for i in range(frames):
            video.write_rgb(np.full((48, 64, 3), 10 * i, np.uint8), round(i * NS_PER_S / fps))
    return path


def test_a_film_has_its_pictures_at_their_times(tmp_path: Path) -> None:
    film = VideoFile(write_film(tmp_path / "a.mp4"))
    moments = [*film.frames()]
    assert film.frame_count == len(moments) == 20
    assert film.fps == pytest.approx(25, rel=0.06)  # the file's own mean: it has no last interval
    assert [m.pts_ns for m in moments] == pytest.approx(
        [i * NS_PER_S / 25 for i in range(20)], abs=1e5
    )
    assert [int(m.rgb.mean()) for m in moments] == pytest.approx([10 * i for i in range(20)], abs=4)


def test_files_that_are_no_films(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with av.open(tmp_path / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        frame.rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name, message in (
        ("cut", "damaged or cut off"),
        ("text", "video"),
        ("empty", "video"),
        ("sound", "a file without one"),
        ("absent", "cannot read"),
    ):
        with pytest.raises(ImageError, match=message):
            VideoFile(tmp_path / f"{name}.mp4")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file"), "no camera at /dev/video7; found"),
        (PermissionError(13, "Permission denied"), "group video"),
        (OSError(16, "Device or resource busy"), "in use by another program"),
        (OSError(25, "Inappropriate ioctl"), "cannot be opened as a camera"),
    ],
)
def test_cameras_that_are_not_to_be_had(
    monkeypatch: pytest.MonkeyPatch, error: OSError, message: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(frame_sources.av, "open", refuse)
    with pytest.raises(InputError, match=message), open_webcam("7"):
        pass


def test_a_camera_gives_its_newest_picture_and_says_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film stands in: it is read at once, so that all but the last are missed."""
    path = write_film(tmp_path / "a.mp4")
    monkeypatch.setattr(frame_sources, "SILENT_S", 0.5)
    camera = Webcam(av.open(str(path)))
    time.sleep(0.3)
    moments = camera.frames()
    first = next(moments)
    assert first.rgb.mean() == pytest.approx(190, abs=4)
    assert abs(first.pts_ns - time.monotonic_ns()) < 5 * NS_PER_S
    with pytest.raises(InputError, match="has sent nothing"):
        next(moments)
    camera.close()
