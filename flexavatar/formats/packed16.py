"""Packed16: a Gaussian in 16 bytes, as gsplat-unity, NanoGS and Spark's PackedSplats hold it.

Little-endian, by byte: 0-3 r g b a (u8) | 4-9 x y z (f16, metres) | 10-11 octahedral axis (u8, u8)
| 12-14 ln scale x y z (u8) | 15 angle (u8, 255 is pi). The rotation is an axis and an angle; a
scale is exp(min + (v - 1) (max - min) / 254), and v = 0 is the scale 0. `min` and `max` travel
with the buffer. A Gaussian that is not finite, or too far for f16, is sixteen zeros: opacity 0.
Packing works on the tensors' own device: compiled on the CPU where there is a
compiler, else in torch; the two may differ by one step where a value lies between two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ctypes import POINTER, c_float, c_int, c_void_p
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from flexavatar.errors import ShapeError
from flexavatar.render import native
from flexavatar.types import SH_C0, Gaussians, check_shape

SPLAT_BYTES = 16
SMALLEST_SCALE = 1e-7  # metres; anything below is a point and keeps the range of the others fine
FARTHEST = 65504.0  # the largest number of float16
RANGE_STEP = 0.5  # ranges snap to multiples of this, so that they hold still between frames


NATIVE = {
    "flex_extent": (c_int, c_void_p, c_void_p, POINTER(c_float)),
    "flex_pack16": (c_int, POINTER(c_void_p), c_float, c_float, c_void_p),
}
"""Arguments of the functions of render/native/packed16.cpp."""


class ScaleRange(NamedTuple):
    """Natural logarithms of the smallest and largest scale that a buffer can hold, metres."""

    minimum: float
    maximum: float

    def covers(self, other: ScaleRange) -> bool:
        """Whether every scale of `other` can be held."""
        return self.minimum <= other.minimum and other.maximum <= self.maximum


class Extent(NamedTuple):
    """Range of scales and bounds of a buffer of Gaussians, which travel with it."""

    scales: ScaleRange
    bounds: tuple[float, ...]  # min x y z, max x y z of the means, metres


def extent_of(gaussians: Gaussians) -> Extent:
    """Bounds of the means, and the range, snapped outwards, that the scales need.

    Gaussians whose mean or scale cannot be packed do not count.
    """
    means, scales = gaussians.means, gaussians.scales
    if not len(gaussians):
        return Extent(ScaleRange(0.0, RANGE_STEP), (0.0,) * 6)
    if (function := _native("flex_extent", means, scales)) is not None:
        found = (c_float * 8)()
        function(len(means), means.data_ptr(), scales.data_ptr(), found)
    else:
        found = _extent_in_torch(means.detach(), scales.detach())
    if found[0] > found[4]:  # not one counts
        return Extent(ScaleRange(0.0, RANGE_STEP), (0.0,) * 6)
    return Extent(_snapped(found[3], found[7]), (*found[:3], *found[4:7]))


def _extent_in_torch(means: Tensor, scales: Tensor) -> list[float]:
    """Smallest x, y, z, scale, then the largest; infinities the wrong way round if none counts."""
    both = torch.cat((means, scales.amin(1, True), scales.amax(1, True)), 1)  # [N, 5]
    counts = ((means.abs() <= FARTHEST).all(1) & scales.isfinite().all(1))[:, None]
    low = torch.where(counts, both, torch.inf).amin(0)
    high = torch.where(counts, both, -torch.inf).amax(0)
    return torch.cat((low[:4], high[:3], high[4:])).tolist()  # at once: a GPU is waited for here


def _snapped(smallest: float, largest: float) -> ScaleRange:
    low, high = (math.log(max(x, SMALLEST_SCALE)) / RANGE_STEP for x in (smallest, largest))
    return ScaleRange(math.floor(low) * RANGE_STEP, (math.floor(high) + 1) * RANGE_STEP)


def _native(name: str, *inputs: Tensor) -> Callable[..., None] | None:
    """A function of the compiled library, if there is one and the inputs suit it."""
    suited = all(x.device.type == "cpu" and x.dtype == torch.float32 for x in inputs)
    if not suited or not all(x.is_contiguous() for x in inputs):
        return None
    if (compiled := native.library()) is None:
        return None
    function = getattr(compiled, name)
    function.restype, function.argtypes = None, NATIVE[name]
    return function


def pack(gaussians: Gaussians, scales: ScaleRange, out: Tensor | None = None) -> Tensor:
    """Gaussians of degree 0 -> uint8 [N, 16], into `out` if given. Scales are clamped to range."""
    count = len(gaussians)
    check_shape("sh", gaussians.sh, count, 1, 3)
    if out is None:
        out = torch.empty(count, SPLAT_BYTES, dtype=torch.uint8, device=gaussians.means.device)
    check_shape("out", out, count, SPLAT_BYTES)
    g = gaussians
    fields = (g.means, g.quats, g.scales, g.opacities, g.sh)
    function = _native("flex_pack16", *fields)
    if function is not None and out.is_contiguous() and out.device.type == "cpu":
        addresses = (c_void_p * 5)(*(x.data_ptr() for x in fields))
        function(count, addresses, *scales, out.data_ptr())
    else:
        pack_in_torch(gaussians, scales, out)
    return out


@torch.no_grad()
def pack_in_torch(gaussians: Gaussians, scales: ScaleRange, out: Tensor) -> None:
    """The reference, on any device: into uint8 [N, 16]."""
    out[:, 0:3] = _to_u8(gaussians.sh[:, 0] * SH_C0 + 0.5)
    out[:, 3] = _to_u8(gaussians.opacities)
    out.view(torch.float16)[:, 2:5] = gaussians.means
    out[:, 10], out[:, 11], out[:, 15] = _rotation_u8(gaussians.quats)
    out[:, 12:15] = _scales_u8(gaussians.scales, scales)
    out.mul_(_packable(gaussians)[:, None])


def _packable(gaussians: Gaussians) -> Tensor:
    """Which Gaussians are finite and near enough: [N] bool."""
    g = gaussians
    rest = torch.cat((g.quats, g.scales, g.opacities[:, None], g.sh.flatten(1)), 1)
    return (g.means.abs() <= FARTHEST).all(1) & rest.isfinite().all(1)


def unpack(packed: np.ndarray, scales: ScaleRange) -> Gaussians:
    """uint8 [N, 16] -> Gaussians on the CPU, to within the steps of the format.

    By tables, on one thread: a client has better use for the others.
    """
    if packed.ndim != 2 or packed.shape[1] != SPLAT_BYTES or packed.dtype != np.uint8:
        raise ShapeError(f"packed: expected uint8 [N, 16], got {packed.dtype} {packed.shape}")
    steps = np.arange(256, dtype=np.float32)
    logs = scales.minimum + (steps - 1) * ((scales.maximum - scales.minimum) / 254)
    sizes = np.where(steps > 0, np.exp(logs), 0).astype(np.float32)
    fields = (
        packed.view(np.float16)[:, 2:5].astype(np.float32),
        _quats_from_u8(packed),
        sizes[packed[:, 12:15]],
        (steps / 255)[packed[:, 3]],
        ((steps / 255 - 0.5) / np.float32(SH_C0))[packed[:, None, :3]],
    )
    return Gaussians(*map(torch.from_numpy, fields))


def _to_u8(x: Tensor) -> Tensor:
    """0..1 -> 0..255, rounded; 0 for what is not a number."""
    return (x * 255 + 0.5).nan_to_num_().clamp_(0, 255).to(torch.uint8)


def _scales_u8(scales: Tensor, limits: ScaleRange) -> Tensor:
    """[N, 3] metres -> uint8 steps of the logarithm; 0 for a scale of 0."""
    per_step = 254 / (limits.maximum - limits.minimum)
    steps = (scales.clamp_min(1e-30).log() - limits.minimum) * per_step + 1.5
    return torch.where(scales > 0, steps.clamp_(1, 255), 0.0).to(torch.uint8)


def _rotation_u8(quats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """wxyz [N, 4] -> octahedral axis u, v and angle, uint8 [N] each, on the side of w >= 0."""
    w, x, y, z = quats.t().contiguous()  # whole columns are several times faster than strides
    side = torch.where(w < 0, -1.0, 1.0)
    x, y, z = x * side, y * side, z * side
    angle = torch.atan2((x * x + y * y + z * z).sqrt_(), w.abs()) * (2 / math.pi)
    size = (x.abs() + y.abs() + z.abs()).clamp_min(1e-20)
    x, y = x / size, y / size
    folded_x, folded_y = 1 - y.abs(), 1 - x.abs()
    u = torch.where(z < 0, torch.copysign(folded_x, x), x)
    v = torch.where(z < 0, torch.copysign(folded_y, y), y)
    return _to_u8(u * 0.5 + 0.5), _to_u8(v * 0.5 + 0.5), _to_u8(angle)


@cache
def _axes() -> np.ndarray:
    """The unit axis of every octahedral u + 256 v: [65536, 3]."""
    v, u = np.divmod(np.arange(65536), 256)
    x, y = u / 127.5 - 1, v / 127.5 - 1
    z = 1 - abs(x) - abs(y)
    fold = np.maximum(-z, 0)
    axes = np.stack((x - np.copysign(fold, x), y - np.copysign(fold, y), z), -1)
    return (axes / np.linalg.norm(axes, axis=-1, keepdims=True)).astype(np.float32)


def _quats_from_u8(packed: np.ndarray) -> np.ndarray:
    """The inverse of `_rotation_u8`: unit wxyz [N, 4]."""
    halves = np.arange(256, dtype=np.float32) * (math.pi / 510)
    angle = packed[:, 15]
    quats = np.empty((len(packed), 4), np.float32)
    quats[:, 0] = np.cos(halves)[angle]
    quats[:, 1:] = _axes()[packed.view("<u2")[:, 5]] * np.sin(halves)[angle, None]
    return quats
