"""Interpolation between two instants of the same Gaussians, compiled on the CPU."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.nn.functional import normalize

from flexavatar.render import native
from flexavatar.types import Gaussians

LEAST_SCALE = 1e-9
"""Metres, of a splat: sizes are blended by their logarithms."""


def blend_gaussians(a: Gaussians, b: Gaussians, share: float, out: Gaussians) -> Gaussians:
    """`share` of `b` and the rest of `a`, N each, written into `out`: contiguous float32.

    As `blend_field` has it. No gradients.
    """
    library = None if out.means.is_cuda else native.library()
    if library is None:
        for name, x in vars(a).items():
            blend_field(name, x, getattr(b, name), share, getattr(out, name))
        return out
    arrays = [ctypes.byref(_addresses(x)) for x in (a, b, out)]
    if library.flex_blend(len(out), arrays[0], arrays[1], share, arrays[2]):
        raise MemoryError("no memory to blend Gaussians")
    return out


def lerp(a: Tensor, b: Tensor, share: float, out: Tensor) -> None:
    """`a + share (b - a)` into `out`: contiguous float32 of one shape. No gradients."""
    library = None if out.is_cuda else native.library()
    if library is None:
        torch.lerp(a, b, share, out=out)
        return
    assert all(x.is_contiguous() and x.dtype == torch.float32 for x in (a, b, out))
    if library.flex_lerp(a.data_ptr(), b.data_ptr(), share, out.numel(), out.data_ptr()):
        raise MemoryError("no memory to blend")


def blend_field(name: str, a: Tensor, b: Tensor, share: float, out: Tensor) -> None:
    """One field of Gaussians, interpolated between `a` and `b` [N, ...], into `out`.

    Sizes are blended by their logarithms, turns on the shorter way, all else as it is.
    """
    if name == "scales":
        one, other = (x.clamp_min(LEAST_SCALE).log_() for x in (a, b))
        torch.lerp(one, other, share, out=out).exp_()
    elif name == "quats":
        out.copy_(nlerp(a, b, share))
    else:
        torch.lerp(a, b, share, out=out)


def nlerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Normalised linear interpolation of quaternions [..., 4]; of b and -b the nearer is meant."""
    a, b = normalize(a, dim=-1), normalize(b, dim=-1)
    near = torch.where((a * b).sum(-1, keepdim=True) < 0, -b, b)
    return normalize(torch.lerp(a, near, share), dim=-1)


def _addresses(gaussians: Gaussians) -> native.GaussianArrays:
    assert all(x.is_contiguous() and x.dtype == torch.float32 for x in vars(gaussians).values())
    return native.GaussianArrays(*(x.data_ptr() for x in vars(gaussians).values()))
