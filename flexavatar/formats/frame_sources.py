"""Pictures with their times, one after the other: of a video file and of a webcam."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from flexavatar.errors import ImageError, InputError
from flexavatar.formats.video_reader import (
    open_container,
    pixel_aspect,
    probe_video,
    upright_rgb,
)
from flexavatar.types import NS_PER_S

DEVICES = Path("/dev")
CAMERA_OPTIONS = {"video_size": "640x480", "framerate": "30"}
SILENT_S = 5.0
"""A camera that sends nothing for so long is gone."""
LONGEST_SIDE = 1_920


@dataclass(frozen=True)
class TimedFrame:
    """One picture and its time."""

    rgb: NDArray[np.uint8]  # [H, W, 3] upright
    pts_ns: int
    """Of a file: since its first picture. Of a camera: the monotonic clock."""


class VideoFile:
    """A video file, checked before it is read."""

    def __init__(self, path: Path) -> None:
        """Raises ImageError for a file that is no video, has no pictures, or is cut off."""
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise ImageError(f"video: cannot read {path}: {error.strerror}") from error
        self.frame_count = probe_video(self._data).frames

    @property
    def fps(self) -> float:
        """Pictures a second."""
        with open_container(self._data) as (_, stream):
            return float(stream.average_rate or 25)

    def frames(self) -> Iterator[TimedFrame]:
        """All pictures in order; one without a later time than the one before is left out."""
        first, last = None, -1
        with open_container(self._data) as (container, stream):
            stream.thread_type, aspect = "AUTO", pixel_aspect(stream)
            for frame in container.decode(stream):
                seconds = frame.time or 0.0
                first = seconds if first is None else first
                pts_ns = round((seconds - first) * NS_PER_S)
                if pts_ns > last:
                    yield TimedFrame(upright_rgb(frame, LONGEST_SIDE, aspect), pts_ns)
                    last = pts_ns


class Webcam:
    """A camera, read by a thread of its own that keeps the newest picture."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._changed = threading.Condition()
        self._newest: TimedFrame | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            aspect = pixel_aspect(self._container.streams.video[0])
            for frame in self._container.decode(video=0):
                moment = TimedFrame(upright_rgb(frame, LONGEST_SIDE, aspect), time.monotonic_ns())
                with self._changed:
                    self._newest = moment
                    self._changed.notify()
                if self._closing:
                    return
        except (FFmpegError, OSError):
            pass  # whoever waits for the next picture hears of it
        finally:
            self._closing = True

    def frames(self) -> Iterator[TimedFrame]:
        """Pictures as they come; those that nobody took in time are left out.

        Raises InputError once the camera sends no more.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None, SILENT_S)
                moment, self._newest = self._newest, None
            if moment is None:
                raise InputError(f"webcam: it has sent nothing for {SILENT_S:g} s")
            yield moment

    def close(self) -> None:
        """Stop reading and close the device."""
        self._closing = True
        self._thread.join(SILENT_S)
        if not self._thread.is_alive():
            self._container.close()


@contextmanager
def open_webcam(name: str) -> Iterator[Webcam]:
    """A camera by its number or its device's path. Raises InputError saying what is wrong."""
    path = DEVICES / f"video{name}" if name.isdecimal() else Path(name)
    try:
        container = av.open(str(path), format="v4l2", options=CAMERA_OPTIONS)
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(f"webcam: {_why_not(path, error)}") from None
    with closing(Webcam(container)) as camera:
        yield camera


def _why_not(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        found = ", ".join(sorted(str(p) for p in path.parent.glob("video*"))) or "none"
        return f"no camera at {path}; found {found}"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by you: join the group video"
    if getattr(error, "errno", None) == 16:  # EBUSY
        return f"{path} is in use by another program"
    return f"{path} cannot be opened as a camera ({error})"
