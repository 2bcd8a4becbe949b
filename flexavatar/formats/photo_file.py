"""Which files are photos, and which colours their bytes declare."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from PIL import Image

from flexavatar.formats.color import ADOBE_RGB, ColorSpace, cicp_space, png_space
from flexavatar.formats.exif import is_adobe_rgb

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF")
FORMATS_IN_WORDS = "a JPEG, PNG, WebP, HEIC or AVIF picture"
OTHERS: Mapping[bytes, str] = {
    b"GIF8": "a GIF",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"FUJIFILMCCD-RAW": "a camera's raw file",
    b"IIRO": "a camera's raw file",
    b"IIU\0": "a camera's raw file",
    b"\x76\x2f\x31\x01": "an OpenEXR picture",
    b"#?RADIANCE": "a Radiance picture",
    b"<svg": "an SVG drawing",
    b"PK\x03\x04": "a ZIP archive",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}
"""Beginnings of files that people take for photos."""
BRANDS: Mapping[bytes, str] = {b"crx ": "a camera's raw file", b"jxl ": "a JPEG XL picture"}
"""Of files in boxes, as HEIC and AVIF are."""
COLOR_BOX, HEADER_BYTES = b"colrnclx", 65_536
"""Where AVIF says its colours, which Pillow does not tell; within the first bytes."""


@lru_cache(maxsize=1)
def register_heif() -> None:
    """Teach Pillow to open HEIC."""
    import pi_heif

    pi_heif.register_heif_opener()


def describe_other(data: bytes) -> str:
    """What bytes that cannot be read as a photo seem to be, and the way out if there is one."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    kinds = [name for signature, name in OTHERS.items() if start.startswith(signature)]
    if not kinds and data[4:8] == b"ftyp":
        brand = data[8:12].decode("latin-1")
        kinds = [BRANDS.get(data[8:12], f"a picture in the format {brand!r}")]
    if kinds:
        return f"{kinds[0]}: export it as JPEG or PNG"
    return f"{len(data)} bytes of something else"


def declared_space(image: Image.Image, data: bytes) -> ColorSpace | None:
    """The colour space that a file declares beside an ICC profile; None: sRGB."""
    if image.format == "PNG":
        return _png_space(image, data)
    if image.format == "AVIF":
        return _avif_space(data)
    numbers = image.info.get("nclx_profile")  # of HEIC
    if isinstance(numbers, Mapping):
        return cicp_space(numbers["color_primaries"], numbers["transfer_characteristics"])
    return ADOBE_RGB if is_adobe_rgb(image) else None


def _png_space(image: Image.Image, data: bytes) -> ColorSpace | None:
    """By cICP, which has the last word, or by gAMA and cHRM."""
    header = data[: max(0, data.find(b"IDAT"))]
    at = header.find(b"\0\0\0\4cICP") + 8
    if at >= 8 and at + 2 <= len(header):
        return cicp_space(header[at], header[at + 1])
    if "srgb" in image.info:
        return None
    return png_space(image.info.get("chromaticity"), image.info.get("gamma"))


def _avif_space(data: bytes) -> ColorSpace | None:
    at = data.find(COLOR_BOX, 0, HEADER_BYTES) + len(COLOR_BOX)
    numbers = data[at : at + 4]
    if at < len(COLOR_BOX) or len(numbers) < 4:
        return None
    return cicp_space(int.from_bytes(numbers[:2]), int.from_bytes(numbers[2:]))
