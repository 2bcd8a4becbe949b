"""The client's photos and videos before they go out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flexavatar.errors import ImageError

Photo = bytes | Path
"""An image or video file, or its content."""


def read_photo_files(photos: Sequence[Photo]) -> list[bytes]:
    """The files' bytes. Raises ImageError if there is none, or one cannot be read."""
    if not photos:
        raise ImageError("photos: expected 1 to 16 files, got none")
    return [_content(photo) for photo in photos]


def _content(photo: Photo) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return photo.read_bytes()
    except OSError as error:
        raise ImageError(f"{photo}: expected a photo or video: {error.strerror}") from error
