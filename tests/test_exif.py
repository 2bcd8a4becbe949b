"""EXIF is advice: a good photo is read whatever its tags hold, and odd tags say nothing."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from flexavatar.capture.photo import Photo, read_photo
from flexavatar.errors import ImageError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
"""Pillow says what it finds odd, and reads on."""
SIZE = (400, 300)
DIAGONAL_PX, DIAGONAL_MM = 500, np.hypot(36, 24)
MAKE, MODEL, ORIENTATION, X_RESOLUTION, EXIF, GPS = 0x10F, 0x110, 0x112, 0x11A, 0x8769, 0x8825
FOCAL, FOCAL_35MM = 0x920A, 0xA405

Tag = tuple[int, int, int, bytes]
"""Number, type, count of values, bytes."""


def short(tag: int, *values: int) -> Tag:
    return tag, 3, len(values), struct.pack(f"<{len(values)}H", *values)


def rational(tag: int, *values: int) -> Tag:
    return tag, 5, len(values) // 2, struct.pack(f"<{len(values)}I", *values)


def text(tag: int, value: bytes) -> Tag:
    return tag, 2, len(value), value


HELD = short(ORIENTATION, 6)
"""Turn by 90 degrees to see it upright."""
CAMERA = (text(MAKE, b"Maker\0"), text(MODEL, b"Model\0"))
LENS = (rational(FOCAL, 50, 10), short(FOCAL_35MM, 28))
ODD = {
    "two numbers": (3, 2, struct.pack("<HH", 26, 28)),
    "no numbers": (3, 0, b""),
    "many numbers": (3, 200, b"\1\0" * 200),
    "text": (2, 6, b"26 mm\0"),
    "empty text": (2, 0, b""),
    "no known letters": (2, 4, b"\xe9\xff\xfe\0"),
    "bytes": (7, 4, b"\x00\xff\x10\x20"),
    "one byte": (1, 1, b"\x06"),
    "two fractions": (5, 2, struct.pack("<IIII", 26, 1, 28, 1)),
    "over 0": (5, 1, struct.pack("<II", 50, 0)),
    "0 over 0": (5, 1, struct.pack("<II", 0, 0)),
    "negative": (10, 1, struct.pack("<ii", -5, 1)),
    "huge": (4, 1, struct.pack("<I", 0xFFFFFFFF)),
    "not a number": (11, 1, struct.pack("<f", float("nan"))),
    "infinite": (12, 1, struct.pack("<d", float("inf"))),
    "of no type": (99, 1, b"\1\2\3\4"),
    "beyond the end": (2, 100_000, b"\0\0\0\1"),
}


def directory(tags: Sequence[Tag], offset: int) -> bytes:
    """A TIFF directory that begins at this byte of the block."""
    table, data = struct.pack("<H", len(tags)), b""
    for tag, kind, count, raw in sorted(tags):
        place = raw.ljust(4, b"\0")
        if len(raw) > 4:
            place = struct.pack("<I", offset + 6 + 12 * len(tags) + len(data))
            data += raw
        table += struct.pack("<HHI", tag, kind, count) + place
    return table + bytes(4) + data


def exif_of(main: Sequence[Tag], lens: Sequence[Tag]) -> bytes:
    """Both directories as they stand in a file."""
    first = [*main, (EXIF, 4, 1, bytes(4))]
    first[-1] = (EXIF, 4, 1, struct.pack("<I", 8 + len(directory(first, 8))))
    head = directory(first, 8)
    return b"Exif\0\0II*\0\x08\0\0\0" + head + directory(lens, 8 + len(head))


def picture(exif: bytes, kind: str, size: tuple[int, int] = SIZE) -> bytes:
    """`PNG text` holds it as old programs wrote it."""
    buffer, image, info = io.BytesIO(), Image.new("RGB", size), PngInfo()
    if kind == "PNG text":
        info.add_text("Raw profile type exif", f"\nexif\n{len(exif):8}\n{exif.hex()}\n")
        image.save(buffer, "PNG", pnginfo=info)
    else:
        image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


KINDS = ("JPEG", "PNG", "WEBP", "PNG text")


@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_read_is_used(kind: str) -> None:
    photo = read_photo(picture(exif_of((HELD, *CAMERA), LENS), kind))
    assert photo.rgb.shape == (400, 300, 3)
    assert photo.focal_px == pytest.approx(28 / DIAGONAL_MM * DIAGONAL_PX, rel=1e-6)  # rounding
    assert photo.lens == "Maker Model 5.0 28.0 [300, 400]"


def taken(size: tuple[int, int], *lens: Tag) -> Photo:
    """By one camera."""
    return read_photo(picture(exif_of(CAMERA, lens), "JPEG", size))


def test_lenses_are_told_apart() -> None:
    photo, upright = taken((400, 300), *LENS), taken((300, 400), *LENS)
    zoomed = taken((400, 300), rational(FOCAL, 90, 10), short(FOCAL_35MM, 50))
    assert photo.lens == upright.lens
    assert photo.lens != zoomed.lens
    assert taken((400, 300)).lens is None


def test_a_picture_that_was_cut_is_not_believed() -> None:
    photo = taken((400, 180), *LENS)
    assert (photo.lens, photo.focal_px) == (None, None)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("tag", [MAKE, MODEL, FOCAL, FOCAL_35MM, X_RESOLUTION, GPS])
def test_an_odd_tag_is_ignored_and_others_are_used(tag: int, odd: str) -> None:
    main = [HELD, *(t for t in CAMERA if t[0] != tag)]
    lens = [t for t in LENS if t[0] != tag]
    (lens if tag in (FOCAL, FOCAL_35MM) else main).append((tag, *ODD[odd]))
    for kind in KINDS:
        photo = read_photo(picture(exif_of(main, lens), kind))
        assert photo.rgb.shape == (400, 300, 3)
        assert (photo.focal_px is None) == (tag == FOCAL_35MM)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_orientation_is_upright(odd: str) -> None:
    for kind in KINDS:
        photo = read_photo(picture(exif_of([(ORIENTATION, *ODD[odd])], LENS), kind))
        assert photo.rgb.shape == (300, 400, 3)
        assert photo.focal_px is not None


def test_a_damaged_block_is_ignored() -> None:
    """Any bytes: it is read or ignored, never an error."""
    whole = exif_of((HELD, *CAMERA), LENS)
    random = np.random.default_rng(0)
    for kind, _ in itertools.product(("JPEG", "PNG", "WEBP"), range(60)):
        block = bytearray(whole[: random.integers(7, len(whole) + 1)])
        for place in random.integers(6, len(block), 4):
            block[place] = random.integers(256)
        assert sorted(read_photo(picture(bytes(block), kind)).rgb.shape) == [3, 300, 400]


def test_a_damaged_picture_is_still_refused() -> None:
    data = picture(exif_of((HELD,), ()), "JPEG")
    with pytest.raises(ImageError, match="damaged or cut off"):
        read_photo(data[:-400])
