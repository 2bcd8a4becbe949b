"""One instant of a head as SPZ, Niantic's packed Gaussians: 20 bytes each before compression.

Version 3 is one gzip stream, version 4 a zstd stream for each attribute behind a table of their
sizes. Both hold the same bytes, attribute after attribute. The frame is the head's own: x right,
y up, z towards who looks. Source: github.com/nianticlabs/spz, load-spz.cc.
"""

from __future__ import annotations

import gzip
import struct
from typing import Literal

import numpy as np
import zstandard
from numpy.typing import NDArray

from flexavatar.errors import InputError
from flexavatar.types import Gaussians

SpzVersion = Literal[3, 4]
MAGIC = 0x5053474E
HEADER = struct.Struct("<IIIBBBB")  # magic, version, count, degree, fractional bits, flags, streams
FOURTH_HEADER_BYTES = 32
FRACTION_BITS = 16
"""Of a coordinate's 24: steps of 15 micrometres, up to 128 m. Readers take it from the header."""
FARTHEST = float(1 << (23 - FRACTION_BITS))
COLOR_SCALE = 0.15
"""Of a harmonic's coefficient in a colour's byte."""
ZSTD_LEVEL = 12


def to_spz(gaussians: Gaussians, version: SpzVersion = 3) -> bytes:
    """The file. Raises InputError for a Gaussian 128 m away or further."""
    if len(gaussians) and not bool((gaussians.means.abs() < FARTHEST).all()):
        raise InputError(f"SPZ: expected Gaussians within {FARTHEST:g} m, got one further away")
    attributes = [values.tobytes() for values in _attributes(gaussians)]
    header = (MAGIC, version, len(gaussians), 0, FRACTION_BITS, 0)
    if version == 3:
        return gzip.compress(HEADER.pack(*header, 0) + b"".join(attributes), mtime=0)
    streams = [zstandard.compress(data, ZSTD_LEVEL) for data in attributes]
    start = HEADER.pack(*header, len(streams)) + struct.pack("<I12x", FOURTH_HEADER_BYTES)
    sizes = zip(streams, attributes, strict=True)
    table = b"".join(struct.pack("<QQ", len(stream), len(data)) for stream, data in sizes)
    return start + table + b"".join(streams)


def _attributes(gaussians: Gaussians) -> tuple[NDArray[np.uint8], ...]:
    """Positions, opacities, colours, logarithms of scales, rotations."""
    steps = np.rint(gaussians.means.cpu().numpy() * float(1 << FRACTION_BITS)).astype("<i4")
    logs = gaussians.scales.clamp_min(1e-9).log().cpu().numpy()
    return (
        np.ascontiguousarray(steps).view(np.uint8).reshape(-1, 3, 4)[..., :3],
        _rounded(gaussians.opacities.cpu().numpy() * 255),
        _rounded((gaussians.sh[:, 0].cpu().numpy() * COLOR_SCALE + 0.5) * 255),
        _rounded((logs + 10) * 16),
        _smallest_three(gaussians.quats.cpu().numpy()),
    )


def _rounded(values: np.ndarray) -> NDArray[np.uint8]:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _smallest_three(quats: np.ndarray) -> NDArray[np.uint8]:
    """wxyz [N, 4] -> [N, 4] bytes: which of xyzw is largest, and sign and size of the others."""
    turned = quats[:, (1, 2, 3, 0)] / np.linalg.norm(quats, axis=1, keepdims=True)
    rows = np.arange(len(turned))
    largest = np.abs(turned).argmax(1)
    turned = turned * np.where(turned[rows, largest] < 0, -1.0, 1.0)[:, None]
    sizes = np.rint(np.abs(turned) * (511 * np.sqrt(2))).clip(0, 511).astype(np.uint32)
    words = largest.astype(np.uint32)
    for axis in range(4):
        part = (words << 10) | ((turned[:, axis] < 0).astype(np.uint32) << 9) | sizes[:, axis]
        words = np.where(largest == axis, words, part)
    return words.astype("<u4").view(np.uint8).reshape(-1, 4)
