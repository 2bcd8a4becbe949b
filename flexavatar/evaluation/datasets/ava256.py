"""Ava-256 (Martinez et al., NeurIPS 2024): 80 cameras all around each person.

Layout: `CAPTURE/decoder/image/CAMERA.zip`, one archive a camera with one picture a frame, the
frame's number as its name; newer releases store AVIF. Folders named `images`, and one more level
for the segment, are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from flexavatar.errors import ImageError
from flexavatar.evaluation.datasets.recordings import (
    PICTURES,
    MultiViewFrame,
    choose_views,
    read_rgb,
)


def multi_view_frames(folder: Path) -> Iterator[MultiViewFrame]:
    """One moment of every capture: the middle one of those that most cameras have."""
    for decoder in sorted(p for p in folder.rglob("decoder") if p.is_dir()):
        archives = sorted(p for p in decoder.rglob("*.zip") if _holds_images(p, decoder))
        frames = {archive: _frame_names(archive) for archive in archives}
        number = _most_common_frame([set(names) for names in frames.values()])
        if number is None:
            continue
        pictures = [
            read_rgb(_read_member(archive, names[number]), archive.name)
            for archive, names in frames.items()
            if number in names
        ]
        if chosen := choose_views(pictures):
            yield MultiViewFrame(decoder.parent.name, chosen)


def _holds_images(archive: Path, decoder: Path) -> bool:
    return archive.relative_to(decoder).parts[0] in ("image", "images")


def _frame_names(archive: Path) -> dict[str, str]:
    """Frame number -> name inside the archive. ImageError if it is damaged."""
    try:
        with ZipFile(archive) as opened:
            paths = [PurePosixPath(name) for name in opened.namelist()]
    except (BadZipFile, OSError) as error:
        raise ImageError(f"{archive}: expected a .zip of pictures ({error})") from None
    return {path.stem: str(path) for path in paths if path.suffix.lower() in PICTURES}


def _read_member(archive: Path, name: str) -> bytes:
    with ZipFile(archive) as opened:
        return opened.read(name)


def _most_common_frame(numbers: Sequence[set[str]]) -> str | None:
    """The middle of the frames that most cameras have."""
    every = sorted(set().union(*numbers))
    if not every:
        return None
    counts = [sum(frame in camera for camera in numbers) for frame in every]
    best = [frame for frame, count in zip(every, counts, strict=True) if count == max(counts)]
    return best[len(best) // 2]
