"""Colours as other spaces write them, and profiles that say so."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

D65, D50 = (0.3127, 0.329), (0.3457, 0.3585)
SRGB = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, *D65)
DISPLAY_P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *D65)
ADOBE_RGB = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *D65)
BT2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *D65)
PROPHOTO = (0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001, *D50)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)

Array = NDArray[np.float64]


def xyz(x: float, y: float) -> Array:
    return np.array([x, y, 1 - x - y]) / y


def to_d50(primaries: Sequence[float]) -> Array:
    """Linear RGB to XYZ under D50, as in profiles: [3, 3]."""
    columns = np.stack([xyz(*primaries[i : i + 2]) for i in (0, 2, 4)], 1)
    white = xyz(*primaries[6:8])
    scale = BRADFORD @ xyz(*D50) / (BRADFORD @ white)
    adapt = np.linalg.inv(BRADFORD) @ np.diag(scale) @ BRADFORD
    return adapt @ (columns * np.linalg.solve(columns, white))


def srgb_light(colors: NDArray[np.uint8]) -> Array:
    """Linear light, 1 is white."""
    v = colors / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def in_primaries(colors: NDArray[np.uint8], primaries: Sequence[float]) -> Array:
    """Linear light [..., 3] of sRGB colours, in other primaries."""
    across = np.linalg.inv(to_d50(primaries)) @ to_d50(SRGB)
    return (srgb_light(colors) @ across.T).clip(0, 1)


def in_space(colors: NDArray[np.uint8], primaries: Sequence[float], gamma: float) -> Array:
    """Code values 0..1 of sRGB colours in a space of these primaries and this exponent."""
    return in_primaries(colors, primaries) ** (1 / gamma)


def pq(light: Array) -> Array:
    """Light in whites of 203 nits -> SMPTE ST 2084."""
    power = (light * 203 / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: Array, primaries: Sequence[float]) -> Array:
    """Light on a display of 1000 nits, in whites of 203 -> ARIB STD-B67."""
    shown = light * 203 / 1000
    columns = np.stack([xyz(*primaries[i : i + 2]) for i in (0, 2, 4)], 1)
    weights = np.linalg.solve(columns, xyz(*primaries[6:8]))
    brightness = np.maximum(shown @ weights, 1e-9)[..., None]
    scene = shown * brightness ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 0.1)) + c
    )


def icc_profile(primaries: Sequence[float], gamma: float, space: bytes = b"RGB ") -> bytes:
    """A display's profile, ICC version 2: a matrix and one exponent; or of grey."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79)}
    tags[b"cprt"], tags[b"wtpt"] = b"text" + bytes(4) + b"none\0\0\0\0", _xyz_tag(xyz(*D50))
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for i, name in enumerate(b"rgb"):
            tags[bytes([name]) + b"XYZ"] = _xyz_tag(to_d50(primaries)[:, i])
            tags[bytes([name]) + b"TRC"] = curve
    table, data, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        tag += bytes(-len(tag) % 4)
        table += struct.pack(">4sII", name, start + len(data), len(tag))
        data += tag
    header = struct.pack(
        ">I4sI4s4s4s", start + len(data), bytes(4), 0x02100000, b"mntr", space, b"XYZ "
    )
    header += bytes(12) + b"acsp" + bytes(28) + _xyz_tag(xyz(*D50))[8:]
    return header.ljust(128, b"\0") + table + data


def _xyz_tag(value: Array) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in value))
