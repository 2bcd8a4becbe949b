"""Bytes of a photo -> upright sRGB pixels, and what the file tells of its lens and a cut-out."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from flexavatar.errors import ImageError
from flexavatar.formats.color import ColorSpace, icc_to_srgb, to_srgb
from flexavatar.formats.exif import equivalent_focal_mm, lens_name, upright
from flexavatar.formats.photo_file import (
    FORMATS,
    FORMATS_IN_WORDS,
    declared_space,
    describe_other,
    register_heif,
)

MAX_SIDE = 16_384
MAX_PIXELS = 64_000_000
LIMITS = f"at most {MAX_SIDE} pixels a side and {MAX_PIXELS // 10**6} million in all"
MIN_SIDE = 64
WORKING_SIDE = 2_048
"""Larger photos are reduced to this: a head needs no more, and memory stays small."""

FULL_FRAME_MM = float(np.hypot(36, 24))
"""Diagonal of the film that equivalent focal lengths refer to: 4.25 mm before a sensor of 7.06 mm,
as in phones, are called 26 mm."""
SENSOR_SHAPES = (4 / 3, 3 / 2, 16 / 9)
"""Pictures of another shape were cut after they were taken: what EXIF says is not theirs."""
OPAQUE = 250
"""Of 255: a picture that is nowhere below is no cut-out."""
SHOWN = 32
"""Of 255: where a cut-out has more of the person than this, its colour is known."""

Region = tuple[float, float, float, float]
"""Left, top, right, bottom of a part of an upright picture, in shares of its width and height."""
WHOLE: Region = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Photo:
    """An upright picture, or a part of one."""

    rgb: NDArray[np.uint8]  # [H, W, 3] sRGB; white where a cut-out has nothing
    focal_px: float | None  # from EXIF, in pixels of `rgb`; None when the file does not say
    lens: str | None = None  # photos with the same name have one focal length, if the file says
    alpha: NDArray[np.uint8] | None = None  # [H, W] of a cut-out, 255 full; None: it is none
    reduction: float = 1.0  # pixels of the file a pixel of `rgb`, along one side


def read_photo(data: bytes, region: Region = WHOLE) -> Photo:
    """Decode a photo file, or one region of it at up to WORKING_SIDE.

    Raises ImageError saying what is wrong.
    """
    if not data:
        raise ImageError(f"photo: expected {FORMATS_IN_WORDS}, got 0 bytes")
    register_heif()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _read_image(image, data, region)
    except UnidentifiedImageError:
        raise ImageError(
            f"photo: expected {FORMATS_IN_WORDS}, got {describe_other(data)}"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"photo: expected {LIMITS}: {error}") from None
    except (OSError, EOFError, RuntimeError, SyntaxError, ValueError) as error:
        raise ImageError(f"photo: the picture is damaged or cut off ({error})") from None


def _read_image(image: Image.Image, data: bytes, region: Region) -> Photo:
    _check_size(*image.size)
    uncut = _is_uncut(*image.size)
    focal_mm = equivalent_focal_mm(image) if uncut else None
    lens = lens_name(image) if uncut else None
    space, diagonal, longest = declared_space(image, data), np.hypot(*image.size), max(image.size)
    if region == WHOLE:
        image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
    turned = upright(image)
    _check_size(*turned.size)  # HEIC may hold more than it says
    part = _cut_out_region(turned, region)
    small = _to_working_size(_without_palette(part))
    reduction = longest / max(turned.size) * part.width / small.width
    focal = None if focal_mm is None else focal_mm / FULL_FRAME_MM * float(diagonal) / reduction
    rgb, alpha = _to_srgb_and_alpha(small, space)
    return Photo(rgb, focal, lens, alpha, reduction)


def photo_from_array(rgb: NDArray[np.uint8]) -> Photo:
    """Wrap decoded pixels [H, W, 3] uint8, a video frame for example."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ImageError(f"photo: expected [H, W, 3] uint8, got {rgb.shape} {rgb.dtype}")
    _check_size(rgb.shape[1], rgb.shape[0])
    image = _to_working_size(Image.fromarray(rgb))
    return Photo(np.array(image, np.uint8), None, reduction=rgb.shape[1] / image.width)


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(f"photo: expected {LIMITS}, got {width} x {height}")
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"photo: expected at least {MIN_SIDE} pixels a side, got {width} x {height}"
        )


def _is_uncut(width: int, height: int) -> bool:
    """Whether the picture can be all that the sensor saw."""
    shape = max(width, height) / min(width, height)
    return any(abs(shape / whole - 1) < 0.01 for whole in SENSOR_SHAPES)


def _cut_out_region(image: Image.Image, region: Region) -> Image.Image:
    if region == WHOLE:
        return image
    left, right = (round(share * image.width) for share in region[::2])
    top, bottom = (round(share * image.height) for share in region[1::2])
    return image.crop((left, top, right, bottom))


def _without_palette(image: Image.Image) -> Image.Image:
    """A mode that can be resized and has 8 bits a channel; transparency becomes a channel."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        return image.convert("RGBA")
    return (
        image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB") else image.convert("RGB")
    )


def _to_working_size(image: Image.Image) -> Image.Image:
    """A picture no larger than WORKING_SIDE."""
    longest = max(image.size)
    if longest <= WORKING_SIDE:
        return image
    ratio = WORKING_SIDE / longest
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _to_srgb_and_alpha(
    image: Image.Image, space: ColorSpace | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Colours [H, W, 3], and [H, W] of a cut-out. Half transparent pixels keep their own colour."""
    if image.mode not in ("LA", "RGBA"):
        return _to_srgb(image, space), None
    rgb = _to_srgb(image.convert(image.mode[:-1]), space)
    alpha = np.array(image.getchannel("A"), np.uint8)
    if alpha.min() > OPAQUE:
        return rgb, None
    shown = np.minimum(alpha, SHOWN)[..., None].astype(np.uint16)
    over_white = (rgb * shown + 255 * (SHOWN - shown)) // SHOWN
    return over_white.astype(np.uint8), alpha


def _to_srgb(image: Image.Image, space: ColorSpace | None) -> NDArray[np.uint8]:
    """Opaque colours, [H, W, 3]."""
    profile = image.info.get("icc_profile")
    converted = icc_to_srgb(image, profile) if profile else None
    if converted is not None:
        return np.array(converted, np.uint8)
    rgb = np.array(image.convert("RGB"), np.uint8)
    return rgb if space is None else to_srgb(rgb, space)
