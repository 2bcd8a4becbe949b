"""Photos of every kind that people send: their formats, their colours, their cut-outs."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flexavatar.capture.photo import read_photo
from flexavatar.errors import ImageError
from tests.colors import (
    ADOBE_RGB,
    BT2020,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    hlg,
    icc_profile,
    in_primaries,
    in_space,
    pq,
    srgb_light,
)
from tests.heic import icc, nclx, turned_left, write_heic

COLORS = np.random.default_rng(0).integers(50, 206, (8, 8, 3)).astype(np.uint8)
"""As sRGB; within every space that is tried."""
PATCH = 32
SPACES = {
    "Display P3": (DISPLAY_P3, 2.2),
    "AdobeRGB": (ADOBE_RGB, 2.19921875),
    "ProPhoto": (PROPHOTO, 1.8),
}
EXACT = 2
"""Levels of 255: rounding to 8 bits, twice."""
CODED = 4
"""With a lossy code in between, whose error the wider space enlarges."""

Picture = NDArray[np.uint8]


def patches(codes: NDArray[np.floating[Any]]) -> Picture:
    """Code values 0..1 [8, 8, 3] as a picture of patches."""
    return np.round(codes * 255).astype(np.uint8).repeat(PATCH, 0).repeat(PATCH, 1)


def error_of(data: bytes, expected: Picture = COLORS) -> int:
    """The largest difference of any patch's middle."""
    rgb = read_photo(data).rgb
    assert rgb.shape == (8 * PATCH, 8 * PATCH, 3)
    middle = rgb[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH]
    return int(np.abs(middle.astype(int) - expected).max())


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_with(picture: Picture, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with chunks before its pixels."""
    data = saved(Image.fromarray(picture))
    extra = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + extra + data[33:]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_profile_is_followed(space: str, kind: str) -> None:
    """The picture is as it looked, whatever space its numbers are in."""
    picture = Image.fromarray(patches(in_space(COLORS, *SPACES[space])))
    assert (
        error_of(saved(picture, kind, icc_profile=icc_profile(*SPACES[space]), lossless=True))
        <= EXACT
    )


def test_a_phone_s_jpeg_in_display_p3() -> None:
    profile = icc_profile(*SPACES["Display P3"])
    picture = Image.fromarray(patches(in_space(COLORS, *SPACES["Display P3"])))
    assert (
        error_of(saved(picture, "JPEG", quality=100, subsampling=0, icc_profile=profile)) <= CODED
    )
    assert (
        error_of(saved(picture, "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile))
        <= CODED
    )


def test_profiles_of_other_modes_are_followed() -> None:
    """Grey, with a palette, half transparent, and grey with a profile of colours."""
    grey = COLORS.copy()
    grey[:] = COLORS[..., :1]
    own = np.round(in_space(grey, SRGB, 1.8)[..., 0] * 255).astype(np.uint8)
    picture = Image.fromarray(own.repeat(PATCH, 0).repeat(PATCH, 1))
    for space in (b"GRAY", b"RGB "):
        assert error_of(saved(picture, icc_profile=icc_profile(SRGB, 1.8, space)), grey) <= EXACT
    wide = Image.fromarray(patches(in_space(COLORS, *SPACES["Display P3"])))
    profile = icc_profile(*SPACES["Display P3"])
    assert error_of(saved(wide.quantize(256), icc_profile=profile)) <= EXACT
    wide.putalpha(100)
    assert error_of(saved(wide, icc_profile=profile)) <= EXACT


def test_a_damaged_profile_is_ignored() -> None:
    profile = icc_profile(*SPACES["Display P3"])
    for spoilt in (b"nothing", profile[:200], bytes(128) + profile[128:], b"\xff" * 500):
        assert error_of(saved(Image.fromarray(patches(COLORS / 255)), icc_profile=spoilt)) == 0


def test_a_camera_that_says_adobe_rgb_in_exif_alone() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: 0xFFFF, 0xA005: {1: "R03"}})
    picture = Image.fromarray(patches(in_space(COLORS, *SPACES["AdobeRGB"])))
    assert error_of(saved(picture, "JPEG", quality=100, subsampling=0, exif=exif)) <= CODED


def test_png_says_its_colours_by_numbers() -> None:
    light = in_primaries(COLORS, DISPLAY_P3)
    as_srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    assert error_of(png_with(patches(as_srgb), (b"cICP", bytes([12, 13, 0, 1])))) <= EXACT
    order = [*ADOBE_RGB[6:], *ADOBE_RGB[:6]]
    chromaticities = struct.pack(">8I", *(round(v * 100_000) for v in order))
    gamma = struct.pack(">I", 45_470)
    own = patches(in_space(COLORS, *SPACES["AdobeRGB"]))
    assert error_of(png_with(own, (b"gAMA", gamma), (b"cHRM", chromaticities))) <= EXACT
    linear = patches(srgb_light(COLORS))
    assert error_of(png_with(linear, (b"gAMA", struct.pack(">I", 100_000)))) <= 4  # 8 bits of light
    for nonsense in (bytes(32), b"\xff" * 32):
        data = png_with(patches(COLORS / 255), (b"cHRM", nonsense))
        assert error_of(data) == 0


@pytest.mark.parametrize("tiles", [1, 2])
def test_heic_is_read(tiles: int) -> None:
    """Whole and in tiles, turned, in Display P3 by profile and by number."""
    plain = patches(COLORS / 255)
    assert error_of(write_heic(plain, tiles)) <= CODED
    turned = write_heic(plain, tiles, [turned_left(1)])
    assert error_of(turned, np.rot90(COLORS).copy()) <= CODED
    wide = patches(in_space(COLORS, *SPACES["Display P3"]))
    assert error_of(write_heic(wide, tiles, [icc(icc_profile(*SPACES["Display P3"]))])) <= CODED


def test_hdr_photos_are_shown_as_srgb() -> None:
    """Bounds: a step of their 8 bits is up to 5 levels, which the narrower primaries double."""
    light = in_primaries(COLORS, BT2020)
    for codes, transfer, most in ((pq(light), 16, 10), (hlg(light, BT2020), 18, 5)):
        picture = patches(codes)
        assert error_of(png_with(picture, (b"cICP", bytes([9, transfer, 0, 1])))) <= most
        assert error_of(write_heic(picture, 1, [nclx(9, transfer)])) <= 2 * most  # of a lossy code


def test_avif_is_read() -> None:
    data = saved(Image.fromarray(patches(COLORS / 255)), "AVIF", quality=100, subsampling="4:4:4")
    assert error_of(data) <= CODED
    assert data.count(b"colrnclx") == 1
    at = data.index(b"colrnclx") + 8
    wide = patches(in_primaries(COLORS, DISPLAY_P3) ** (1 / 2.2))
    own = saved(Image.fromarray(wide), "AVIF", quality=100, subsampling="4:4:4")
    assert error_of(own[:at] + struct.pack(">HH", 12, 4) + own[at + 4 :]) <= CODED


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"GIF89a", "a GIF"), (b"%PDF-1.7", "a PDF"), (b"\xff\x0a\0", "a JPEG XL"),
        (b"\0\0\0\x18ftypcrx ", "a camera's raw file"), (b"8BPS\0\1", "a Photoshop file"),
        (b"\n <!DOCTYPE html>", "a web page"), (b"\0\0\0\x18ftypabcd", "in the format 'abcd'"),
    ],
)  # fmt: skip
def test_what_is_no_photo_is_named_with_the_way_out(start: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=f"HEIC or AVIF picture, got .*{name}.*: export it as"):
        read_photo(start + bytes(400))


def test_damaged_heic_is_refused() -> None:
    data = write_heic(patches(COLORS / 255), 2)
    for spoilt in (data[: len(data) // 2], data[:40]):
        with pytest.raises(ImageError):
            read_photo(spoilt)
