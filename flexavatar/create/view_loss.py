"""How far a drawn view is from its target: in torch, and the same with its gradient compiled."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from flexavatar.create.image_metrics import ssim_map
from flexavatar.create.target import Target
from flexavatar.render import native
from flexavatar.render.cpu import contiguous_float32

SSIM_STRIDE = 2
"""Windows overlap by five pixels of seven: every second one says as much."""
SSIM_WEIGHT, MATTE_WEIGHT = 0.2, 0.1
"""Beside an absolute error of colours that weighs 1."""


def view_loss(rgba: Tensor, target: Target, background: Tensor) -> Tensor:
    """L1, structure and matte of a premultiplied picture [H, W, 4] over a background [3]."""
    library = None if rgba.is_cuda or rgba.dtype != torch.float32 else native.library()
    if library is None:
        return reference_view_loss(rgba, target, background)
    return _ViewLoss.apply(library, rgba, target, background)  # type: ignore[no-any-return]


def reference_view_loss(rgba: Tensor, target: Target, background: Tensor) -> Tensor:
    """The same in torch."""
    alpha, matte = rgba[..., 3:], target.matte[..., None]
    shown = rgba[..., :3] + (1 - alpha) * background
    wanted = target.colors * matte + (1 - matte) * background
    weight = target.weight[..., None]
    loss = ((shown - wanted).abs() * weight).mean()
    loss = loss + MATTE_WEIGHT * ((alpha - matte).abs() * weight).mean()
    unlike = 1 - ssim_map(shown, wanted, SSIM_STRIDE)
    return loss + SSIM_WEIGHT * (unlike * weight[::SSIM_STRIDE, ::SSIM_STRIDE]).mean()


class _ViewLoss(torch.autograd.Function):
    """The compiled loss, which makes its gradient on the way."""

    @staticmethod
    def forward(
        ctx: Any, library: ctypes.CDLL, rgba: Tensor, target: Target, background: Tensor
    ) -> Tensor:
        drawn = contiguous_float32(rgba)
        inputs = [contiguous_float32(x) for x in (target.colors, target.matte, target.weight)]
        height, width = target.matte.shape
        view = native.ViewTarget(
            *(x.data_ptr() for x in inputs),
            (ctypes.c_float * 3)(*background.tolist()),
            SSIM_WEIGHT,
            MATTE_WEIGHT,
            width,
            height,
        )
        scratch = torch.empty(library.flex_view_loss_scratch(width, height))
        gradient, loss = torch.empty_like(drawn), ctypes.c_double()
        addresses = (x.data_ptr() for x in (drawn, scratch, gradient))
        if library.flex_view_loss(ctypes.byref(view), *addresses, ctypes.byref(loss)):
            raise MemoryError(f"no memory to compare {width} x {height} pixels")
        ctx.save_for_backward(gradient)
        return rgba.new_tensor(loss.value)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]: the decorator's doing
        ctx: Any, *grad_outputs: Tensor
    ) -> Any:
        (gradient,) = ctx.saved_tensors
        return None, gradient * grad_outputs[0], None, None
