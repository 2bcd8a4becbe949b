"""EXIF of a picture: its orientation and its lens.

EXIF is advice from a stranger: a tag may hold any type, any number of values, or not be readable at
all. What cannot be read is as good as absent.
"""

from __future__ import annotations

import math
from numbers import Real

from PIL import ExifTags, Image

UPRIGHT: dict[float, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each orientation but 1 needs to be upright. `ImageOps.exif_transpose` would also write the
other tags anew, and fails where one is odd."""
FOCAL_RANGE_MM = (10, 400)
"""Of focal lengths equivalent to full frame: nobody is photographed with others."""

INTEROPERABILITY = 1
"""Tag of the directory of that name."""


def upright(image: Image.Image) -> Image.Image:
    """The picture as its camera was held; as it is if EXIF does not say. Loads it."""
    image.load()  # a TIFF is turned by this, and then has no orientation any more
    method = UPRIGHT.get(_number(image, ExifTags.Base.Orientation) or 1)
    return image if method is None else image.transpose(method)


def equivalent_focal_mm(image: Image.Image) -> float | None:
    """The focal length that shows as much on full frame, millimetres."""
    focal = _number(image, ExifTags.Base.FocalLengthIn35mmFilm, ExifTags.IFD.Exif)
    low, high = FOCAL_RANGE_MM
    return focal if focal is not None and low <= focal <= high else None


def lens_name(image: Image.Image) -> str | None:
    """Camera, focal lengths and size: equal for pictures that were taken through one lens."""
    maker, model = (_text(image, tag) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    focal = _number(image, ExifTags.Base.FocalLength, ExifTags.IFD.Exif)
    equivalent = equivalent_focal_mm(image)
    if not model or not (focal or equivalent):
        return None
    return f"{maker} {model} {focal} {equivalent} {sorted(image.size)}"


def is_adobe_rgb(image: Image.Image) -> bool:
    """Whether a camera wrote AdobeRGB without a profile, as DCF has it."""
    return _text_of(_tag(image, INTEROPERABILITY, ExifTags.IFD.Interop)) == "R03"


def _number(image: Image.Image, tag: int, directory: int | None = None) -> float | None:
    """A tag that holds one finite number."""
    value = _tag(image, tag, directory)
    number = float(value) if isinstance(value, Real) else math.nan
    return number if math.isfinite(number) else None


def _text(image: Image.Image, tag: int) -> str | None:
    """A tag that holds text."""
    return _text_of(_tag(image, tag))


def _text_of(value: object) -> str | None:
    return value.strip("\0 ") or None if isinstance(value, str) else None


def _tag(image: Image.Image, tag: int, directory: int | None = None) -> object:
    """The value of a tag of the main directory or of another, whatever its type."""
    try:
        exif = image.getexif()
        return exif.get(tag) if directory is None else exif.get_ifd(directory).get(tag)
    except Exception:  # damaged bytes fail in many ways
        return None
