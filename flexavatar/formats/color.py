"""Colours of other spaces -> sRGB: by ICC profile, and by the numbers of ITU-T H.273 (CICP)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Code values 0..1 to linear light, of which 1 is the white of a page."""
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x, y of red, green, blue and white."""

D65 = (0.3127, 0.329)
SRGB_PRIMARIES: Chromaticities = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, *D65)
ADOBE_PRIMARIES: Chromaticities = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *D65)
PRIMARIES: Mapping[int, Chromaticities] = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.31, 0.316),
    5: (0.64, 0.33, 0.29, 0.6, 0.15, 0.06, *D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *D65),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *D65),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *D65),
    22: (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *D65),
}
"""H.273, table 2, but for those of sRGB."""

WHITE_NITS = 203.0
"""Of a page, in HDR (ITU-R BT.2408): 75% of HLG, 58% of PQ; what is brighter becomes white."""
HLG_NITS, HLG_GAMMA = 1000.0, 1.2
"""The display that HLG is shown on (ITU-R BT.2100)."""
PQ, HLG = HDR = 16, 18
SRGB_NUMBER, BT2020_NUMBER = 1, 9
"""Of primaries; HDR that does not say its own has the latter."""
STEPS = 65_535
"""Of the tables that curves are looked up in."""


def _power(exponent: float) -> Curve:
    return lambda v: v**exponent


def srgb_to_linear(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """IEC 61966-2-1."""
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse."""
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)


def _pq_to_linear(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084."""
    root = v ** (1 / 78.84375)
    ratio = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return 10_000 / WHITE_NITS * ratio ** (1 / 0.1593017578125)


def _hlg_to_scene(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67, to the light before the camera; `_shown_on_display` does the rest."""
    a = 0.17883277
    b = 1 - 4 * a
    c = 0.5 - a * np.log(4 * a)
    return np.where(v <= 0.5, v**2 / 3, (np.exp((v - c) / a) + b) / 12)


CURVES: Mapping[int, Curve] = {
    4: _power(2.2), 5: _power(2.8), 8: _power(1.0), PQ: _pq_to_linear, HLG: _hlg_to_scene,
}  # fmt: skip
"""H.273, table 3. The camera curves of BT.601, 709 and 2020 are shown as sRGB is."""


@dataclass(frozen=True)
class ColorSpace:
    """What the code values of a picture mean."""

    primaries: Chromaticities = SRGB_PRIMARIES
    curve: Curve = srgb_to_linear
    hlg: bool = False


def cicp_space(primaries: int, transfer: int) -> ColorSpace | None:
    """The space of two numbers of H.273; None where it is shown as sRGB."""
    if transfer in HDR and primaries not in PRIMARIES and primaries != SRGB_NUMBER:
        primaries = BT2020_NUMBER
    if primaries not in PRIMARIES and transfer not in CURVES:
        return None
    own = PRIMARIES.get(primaries, SRGB_PRIMARIES)
    return ColorSpace(own, CURVES.get(transfer, srgb_to_linear), transfer == HLG)


ADOBE_RGB = ColorSpace(ADOBE_PRIMARIES, _power(563 / 256))


def to_srgb(rgb: NDArray[np.uint8 | np.uint16], space: ColorSpace) -> NDArray[np.uint8]:
    """Colours [H, W, 3], of 8 or 16 bits, as sRGB; those that it lacks are cut to its nearest."""
    most = np.iinfo(rgb.dtype).max
    table = np.asarray(space.curve(np.arange(most + 1) / most), np.float32)
    light = table[rgb]
    if space.hlg:
        light = _shown_on_display(light, space.primaries)
    light = np.asarray(cv2.transform(light, _to_srgb_primaries(space.primaries)), np.float32)
    np.clip(light * np.float32(STEPS) + np.float32(0.5), 0, STEPS, out=light)
    return _srgb_table()[light.astype(np.uint16)]


@lru_cache(maxsize=1)
def _srgb_table() -> NDArray[np.uint8]:
    values = linear_to_srgb(np.arange(STEPS + 1) / STEPS)
    return np.round(values * 255).astype(np.uint8)


def _shown_on_display(scene: NDArray[np.float32], primaries: Chromaticities) -> NDArray[np.float32]:
    """HLG's light before the camera [H, W, 3] as its display shows it, in whites of a page."""
    weights = np.asarray(_xyz_matrix(primaries)[1], np.float32)
    brightness = np.maximum(cv2.transform(scene, weights[None]), np.float32(1e-6))
    gain = cv2.pow(brightness, HLG_GAMMA - 1) * np.float32(HLG_NITS / WHITE_NITS)
    return scene * gain.reshape(*scene.shape[:2], 1)


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1, (1 - x - y) / y])


def _xyz_matrix(primaries: Chromaticities) -> NDArray[np.float64]:
    """Linear RGB to XYZ, white at Y = 1: [3, 3]."""
    x, y = primaries[::2], primaries[1::2]
    columns = np.stack([_xyz(*at) for at in zip(x[:3], y[:3], strict=True)], 1)
    return columns * np.linalg.solve(columns, _xyz(x[3], y[3]))


@lru_cache(maxsize=16)
def _to_srgb_primaries(primaries: Chromaticities) -> NDArray[np.float64]:
    """Linear RGB to sRGB's, white to white (Bradford): [3, 3]."""
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.03]])
    white, target = (cone @ _xyz(*at) for at in (primaries[6:], D65))
    adapted = np.linalg.inv(cone) @ np.diag(target / white) @ cone
    return np.linalg.inv(_xyz_matrix(SRGB_PRIMARIES)) @ adapted @ _xyz_matrix(primaries)


def png_space(chromaticities: Sequence[float] | None, gamma: float | None) -> ColorSpace | None:
    """By PNG's numbers: x, y of white, red, green, blue; 1 / exponent. None: sRGB, or nonsense."""
    if chromaticities is None and gamma is None:
        return None
    primaries, exponent = SRGB_PRIMARIES, 1 / 2.2 if gamma is None else gamma
    if chromaticities is not None and len(chromaticities) == len(SRGB_PRIMARIES):
        wx, wy, rx, ry, gx, gy, bx, by = chromaticities
        primaries = (rx, ry, gx, gy, bx, by, wx, wy)
    if not (all(v > 0 for v in primaries[1::2]) and 0.1 < exponent <= 2):
        return None
    columns = np.stack([_xyz(*primaries[i : i + 2]) for i in (0, 2, 4)])
    if abs(np.linalg.det(columns)) < 1e-3:
        return None
    if abs(exponent - 1 / 2.2) < 0.02 and np.allclose(primaries, SRGB_PRIMARIES, atol=2e-3):
        return None
    return ColorSpace(primaries, srgb_to_linear if gamma is None else _power(1 / exponent))


def icc_to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """A picture with this profile as sRGB; None for a damaged profile or one of other channels."""
    target, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
    for channels in (image, image.convert("RGB")):  # grey files often have a profile of colours
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(channels, source, target, intent, "RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            continue
    return None
