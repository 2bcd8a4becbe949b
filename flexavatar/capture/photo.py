"""Bytes of a photo -> upright pixels and the focal length that the file tells."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from flexavatar.errors import ImageError
from flexavatar.formats.exif import equivalent_focal_mm, lens_name, upright

MAX_SIDE = 16_384
MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
LIMITS = f"at most {MAX_SIDE} pixels a side and {MAX_PIXELS // 10**6} million in all"
MIN_SIDE = 64
WORKING_SIDE = 2_048
"""Larger photos are reduced to this: a head needs no more, and memory stays small."""

FULL_FRAME_MM = float(np.hypot(36, 24))
"""Diagonal of the film that equivalent focal lengths refer to: 4.25 mm before a sensor of 7.06 mm,
as in phones, are called 26 mm."""
SENSOR_SHAPES = (4 / 3, 3 / 2, 16 / 9)
"""Pictures of another shape were cut after they were taken: what EXIF says is not theirs."""


@dataclass(frozen=True)
class Photo:
    """An upright picture."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    focal_px: float | None  # from EXIF, in pixels of `rgb`; None when the file does not say
    lens: str | None = None  # photos with the same name have one focal length, if the file says


def read_photo(data: bytes) -> Photo:
    """Decode JPEG, PNG, WebP or TIFF bytes. Raises ImageError saying what is wrong."""
    if not data:
        raise ImageError("photo: expected a JPEG, PNG or WebP picture, got 0 bytes")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(*image.size)
            uncut = _is_uncut(*image.size)
            focal_mm = equivalent_focal_mm(image) if uncut else None
            lens = lens_name(image) if uncut else None
            image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            return replace(_to_working_size(_to_rgb(upright(image)), focal_mm), lens=lens)
    except UnidentifiedImageError:
        raise ImageError(
            f"photo: expected a JPEG, PNG or WebP picture, got {len(data)} bytes of something else"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"photo: expected {LIMITS}: {error}") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"photo: the picture is damaged or cut off ({error})") from None


def photo_from_array(rgb: NDArray[np.uint8]) -> Photo:
    """Wrap decoded pixels [H, W, 3] uint8, a video frame for example."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ImageError(f"photo: expected [H, W, 3] uint8, got {rgb.shape} {rgb.dtype}")
    _check_size(rgb.shape[1], rgb.shape[0])
    return _to_working_size(Image.fromarray(rgb), None)


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(f"photo: expected {LIMITS}, got {width} x {height}")
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"photo: expected at least {MIN_SIDE} pixels a side, got {width} x {height}"
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB, with what is transparent laid on white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _is_uncut(width: int, height: int) -> bool:
    """Whether the picture can be all that the sensor saw."""
    shape = max(width, height) / min(width, height)
    return any(abs(shape / whole - 1) < 0.01 for whole in SENSOR_SHAPES)


def _to_working_size(image: Image.Image, focal_mm: float | None) -> Photo:
    """A photo no larger than WORKING_SIDE; the focal length is equivalent to full frame."""
    longest = max(image.size)
    if longest > WORKING_SIDE:
        ratio = WORKING_SIDE / longest
        size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    diagonal = float(np.hypot(*image.size))
    focal = None if focal_mm is None else focal_mm / FULL_FRAME_MM * diagonal
    return Photo(np.asarray(image, dtype=np.uint8).copy(), focal)
