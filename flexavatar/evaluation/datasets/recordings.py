"""What data sets come down to: videos of one person, and one moment seen by several cameras.

Which of many cameras' pictures avatars are made from, and which one is held out, the papers do not
say. Ours are found by the faces alone, so no calibration is needed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from flexavatar.capture.landmarks import FaceLandmarks, detect_face
from flexavatar.errors import FaceError, ImageError
from flexavatar.formats.video_reader import read_frames

PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".avif"))
VIDEOS = frozenset((".mp4", ".mov", ".mkv", ".webm", ".avi"))
MOST_INPUTS = 4
NOSE, RIGHT_CHEEK, LEFT_CHEEK = 1, 234, 454


@dataclass(frozen=True)
class FaceVideo:
    """A recording of one person."""

    name: str
    source: Path
    """A video, or a folder with one picture a frame."""

    @contextmanager
    def video(self) -> Iterator[Path]:
        """The recording as a video file, while the block runs."""
        if self.source.is_file():
            yield self.source
            return
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.name}.mov"
            pack_frames(pictures_in(self.source), path)
            yield path

    def first_frame(self) -> bytes:
        """The first frame as a photo file."""
        if self.source.is_dir():
            return pictures_in(self.source)[0].read_bytes()
        return as_png(read_frames(self.source, [0])[0])


@dataclass(frozen=True)
class MultiViewFrame:
    """One person at one moment from several sides: photo files, the last to be held out."""

    name: str
    photos: tuple[bytes, ...]


def pictures_in(folder: Path) -> list[Path]:
    """Picture files of a folder by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)


def pack_frames(pictures: Sequence[Path], path: Path) -> None:
    """Pictures of one size to a video that loses nothing (PNG in QuickTime), 25 a second.

    Raises ImageError for a file that is no picture, or of another size than the first.
    """
    with av.open(path, "w", format="mov") as container:
        stream = container.add_stream("png", rate=25)
        assert isinstance(stream, VideoStream)
        for i, picture in enumerate(pictures):
            rgb = read_rgb(picture.read_bytes(), picture.name)
            height, width = rgb.shape[:2]
            if i == 0:
                stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
            if (width, height) != (stream.width, stream.height):
                size = f"{stream.width} x {stream.height}"
                raise ImageError(f"{picture.name}: expected {size}, got {width} x {height}")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


def read_rgb(data: bytes, name: str) -> NDArray[np.uint8]:
    """Any picture file, AVIF too: [H, W, 3]. Raises ImageError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"), np.uint8)
    except (UnidentifiedImageError, OSError) as error:
        raise ImageError(f"{name}: expected a picture ({error})") from None


def as_png(rgb: NDArray[np.uint8]) -> bytes:
    """[H, W, 3] -> a photo file."""
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, "PNG", compress_level=1)
    return data.getvalue()


def choose_views(pictures: Sequence[NDArray[np.uint8]]) -> tuple[bytes, ...]:
    """Up to MOST_INPUTS photos and one held out, as files; empty if under two show a face.

    The first is the most frontal. The others spread evenly from the leftmost to the rightmost; the
    one to be held out lies between the middle and one end.
    """
    seen = [(turn, p) for p in pictures if (turn := _turn_or_none(p)) is not None]
    seen.sort(key=lambda one: one[0])
    if len(seen) < 2:
        return ()
    front = min(range(len(seen)), key=lambda i: abs(seen[i][0]))
    held = (front + len(seen) - 1) // 2 if front < len(seen) - 1 else 0
    if held == front:
        held = front + 1
    rest = [i for i in range(len(seen)) if i not in (front, held)]
    spread = np.linspace(0, len(rest) - 1, min(MOST_INPUTS - 1, len(rest))).round().astype(int)
    order = [front, *(rest[i] for i in spread), held]
    return tuple(as_png(seen[i][1]) for i in order)


def _turn_or_none(picture: NDArray[np.uint8]) -> float | None:
    """`face_turn` of the one face in a picture, None if there is not one."""
    try:
        return face_turn(detect_face(picture))
    except FaceError:
        return None


def face_turn(face: FaceLandmarks) -> float:
    """How far a face is turned: 0 ahead, -1 and 1 where the nose meets the cheeks' outline."""
    nose, right, left = face.points[[NOSE, RIGHT_CHEEK, LEFT_CHEEK], 0]
    return float((2 * nose - right - left) / max(abs(left - right), 1e-6))
