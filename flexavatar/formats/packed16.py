"""Packed16: a Gaussian in 16 bytes, as gsplat-unity, NanoGS and Spark's PackedSplats hold it.

Little-endian, by byte: 0-3 r g b a (u8) | 4-9 x y z (f16, metres) | 10-11 octahedral axis (u8, u8)
| 12-14 ln scale x y z (u8) | 15 angle (u8, 255 is pi). The rotation is an axis and an angle; a
scale is exp(min + (v - 1) (max - min) / 254), and v = 0 is the scale 0. `min` and `max` travel
with the buffer. Works on the tensors' own device.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from flexavatar.errors import ShapeError
from flexavatar.types import SH_C0, Gaussians, check_shape

SPLAT_BYTES = 16
SMALLEST_SCALE = 1e-7  # metres; anything below is a point and keeps the range of the others fine
RANGE_STEP = 0.5  # ranges snap to multiples of this, so that they hold still between frames


class ScaleRange(NamedTuple):
    """Natural logarithms of the smallest and largest scale that a buffer can hold, metres."""

    minimum: float
    maximum: float

    def covers(self, other: ScaleRange) -> bool:
        """Whether every scale of `other` can be held."""
        return self.minimum <= other.minimum and other.maximum <= self.maximum


def scale_range(scales: Tensor) -> ScaleRange:
    """The range, snapped outwards, that these scales need: [N, 3] metres."""
    if scales.numel() == 0:
        return ScaleRange(0.0, RANGE_STEP)
    low, high = torch.aminmax(scales.detach())
    low_ln = math.log(max(float(low), SMALLEST_SCALE)) / RANGE_STEP
    high_ln = math.log(max(float(high), SMALLEST_SCALE)) / RANGE_STEP
    return ScaleRange(math.floor(low_ln) * RANGE_STEP, (math.floor(high_ln) + 1) * RANGE_STEP)


def pack(gaussians: Gaussians, scales: ScaleRange, out: Tensor | None = None) -> Tensor:
    """Gaussians of degree 0 -> uint8 [N, 16], into `out` if given. Scales are clamped to range."""
    count = len(gaussians)
    check_shape("sh", gaussians.sh, count, 1, 3)
    if out is None:
        out = torch.empty(count, SPLAT_BYTES, dtype=torch.uint8, device=gaussians.means.device)
    check_shape("out", out, count, SPLAT_BYTES)
    with torch.no_grad():
        out[:, 0:3] = _to_u8(gaussians.sh[:, 0] * SH_C0 + 0.5)
        out[:, 3] = _to_u8(gaussians.opacities)
        out.view(torch.float16)[:, 2:5] = gaussians.means
        u, v, angle = _rotation_u8(gaussians.quats)
        out[:, 10], out[:, 11], out[:, 15] = u, v, angle
        out[:, 12:15] = _scales_u8(gaussians.scales, scales)
    return out


def unpack(packed: Tensor, scales: ScaleRange) -> Gaussians:
    """uint8 [N, 16] -> Gaussians, to within the steps of the format."""
    check_shape("packed", packed, None, SPLAT_BYTES)
    if packed.dtype != torch.uint8:
        raise ShapeError(f"packed: expected uint8, got {packed.dtype}")
    colours = packed[:, :4].float() / 255
    steps = packed[:, 12:15].float()
    logs = scales.minimum + (steps - 1) * ((scales.maximum - scales.minimum) / 254)
    return Gaussians(
        means=packed.view(torch.float16)[:, 2:5].float(),
        quats=_quats_from_u8(packed[:, 10], packed[:, 11], packed[:, 15]),
        scales=torch.where(steps > 0, logs.exp(), 0.0),
        opacities=colours[:, 3].contiguous(),
        sh=((colours[:, :3] - 0.5) / SH_C0)[:, None],
    )


def _to_u8(x: Tensor) -> Tensor:
    """0..1 -> 0..255, rounded."""
    return (x * 255 + 0.5).clamp_(0, 255).to(torch.uint8)


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


def _quats_from_u8(u: Tensor, v: Tensor, angle: Tensor) -> Tensor:
    """The inverse of `_rotation_u8`: unit wxyz [N, 4]."""
    x, y = u.float() / 127.5 - 1, v.float() / 127.5 - 1
    z = 1 - x.abs() - y.abs()
    fold = (-z).clamp_min(0)
    x, y = x - torch.copysign(fold, x), y - torch.copysign(fold, y)
    axis = torch.nn.functional.normalize(torch.stack((x, y, z), -1), dim=-1)
    half = angle.float() * (math.pi / 510)
    return torch.cat((half.cos()[:, None], axis * half.sin()[:, None]), -1)
