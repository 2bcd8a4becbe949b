"""Damaged pictures and videos: they are read or refused with ImageError, and nothing is kept.

`FLEXAVATAR_FUZZ_MEDIA=20000 python -m pytest tests/test_media_fuzz.py` tries that many.
"""

from __future__ import annotations

import io
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flexavatar.capture.photo import read_photo
from flexavatar.errors import ImageError
from flexavatar.formats.video_reader import decode_frames, probe_video
from tests.colors import BT2020, DISPLAY_P3, hlg, icc_profile, in_primaries
from tests.films import filmed
from tests.heic import icc, nclx, write_heic
from tests.test_protocol_fuzz import mutated
from tests.test_video_colors import tagged

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
FILES = int(os.environ.get("FLEXAVATAR_FUZZ_MEDIA", "300"))
GROWTH_MIB = 64
"""Of the process: decoders' own pools; 20,000 files grow it by 17."""
COLORS = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8)
PICTURE = COLORS.repeat(32, 0).repeat(32, 1)
PROFILE = icc_profile(DISPLAY_P3, 2.2)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photos() -> list[bytes]:
    """One of every kind, with profiles, transparency, palettes and tiles."""
    plain, cut = Image.fromarray(PICTURE), Image.fromarray(np.dstack((PICTURE, PICTURE[..., 0])))
    return [
        saved(plain, "JPEG", icc_profile=PROFILE), saved(plain.convert("CMYK"), "JPEG"),
        saved(cut, "PNG", icc_profile=PROFILE), saved(plain.quantize(16), "PNG"),
        saved(cut, "WEBP", icc_profile=PROFILE), saved(plain, "TIFF", icc_profile=PROFILE),
        saved(plain, "AVIF", icc_profile=PROFILE), write_heic(PICTURE, 1, [icc(PROFILE)]),
        write_heic(PICTURE.repeat(2, 0).repeat(2, 1), 2, [nclx(9, 16)]),
    ]  # fmt: skip


def videos() -> list[bytes]:
    """Plain ones, and ten bits of HLG."""
    wide = hlg(in_primaries(COLORS, BT2020), BT2020)
    return [filmed([PICTURE] * 3), filmed([PICTURE] * 3, "webm", "libvpx"),
            tagged(wide, 9, 9, 18, bits=10)]  # fmt: skip


def read_video(data: bytes) -> None:
    found = probe_video(data)
    for _ in decode_frames(found, found.evenly_spaced(3), 256):
        pass


def resident_mib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


@pytest.mark.parametrize(
    ("read", "seeds", "count"),
    [(read_photo, photos, 3 * FILES // 4), (read_video, videos, FILES // 4)],
)
def test_damaged_files(
    read: Callable[[bytes], object], seeds: Callable[[], Sequence[bytes]], count: int
) -> None:
    chance, whole, outcomes = random.Random(0), seeds(), Counter[str]()
    before = 0
    for i in range(count):
        if i == count // 4:
            before = resident_mib()
        try:
            read(mutated(chance, whole))
            outcomes["read"] += 1
        except ImageError:
            outcomes["refused"] += 1
    print(read.__name__, dict(outcomes), f"{resident_mib() - before} MiB more")
    assert outcomes["read"] > count / 20
    assert outcomes["refused"] > count / 20
    assert resident_mib() - before < GROWTH_MIB
