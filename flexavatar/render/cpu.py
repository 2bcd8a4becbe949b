"""The renderer on a CPU: the compiled library, or the tiled torch path where there is none."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from flexavatar.render import native
from flexavatar.render.reference import rasterize_tiled, to_rgba8
from flexavatar.types import Camera, Frame, Gaussians


class RasterContext:
    """The library's working memory for one drawing and its gradient.

    Its grown buffers go to the next one when it is dropped. One thread may use it at a time.
    """

    _idle: ClassVar[deque[int]] = deque()
    _IDLE_AT_MOST: ClassVar[int] = 4

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        try:
            self.address = self._idle.pop()
        except IndexError:
            self.address = library.flex_context_new()
        if not self.address:
            raise MemoryError("no memory for a rasteriser context")

    def __del__(self) -> None:
        if len(self._idle) < self._IDLE_AT_MOST:
            self._idle.append(self.address)
        else:
            self.library.flex_context_free(self.address)


def pinhole(camera: Camera) -> native.Pinhole:
    """The camera as the library takes it."""
    view = camera.viewmat.detach().flatten().tolist()[:12]
    (fx, _, cx), (_, fy, cy) = camera.K.detach().tolist()[:2]
    floats = ctypes.c_float * 2
    return native.Pinhole(
        (ctypes.c_float * 12)(*view), floats(fx, fy), floats(cx, cy), camera.width, camera.height
    )


def contiguous_float32(x: Tensor) -> Tensor:
    """Contiguous float32 without history; the same memory where it already is."""
    return x.detach().to(torch.float32).contiguous()


def gaussian_arrays(tensors: list[Tensor]) -> native.GaussianArrays:
    """Addresses of means, quats, scales, opacities and sh. The tensors must outlive it."""
    return native.GaussianArrays(*(x.data_ptr() for x in tensors))


def draw(
    context: RasterContext, camera: Camera, tensors: list[Tensor], image: native.Image
) -> None:
    """Fill the image. Raises MemoryError."""
    for _ in draw_strips(context, camera, tensors, image, camera.width * camera.height):
        pass


def draw_strips(
    context: RasterContext, camera: Camera, tensors: list[Tensor], image: native.Image, pixels: int
) -> Iterator[None]:
    """Fill the image, about so many pixels before each yield. Raises MemoryError."""
    image.width, image.height = camera.width, camera.height
    check = partial(_check, len(tensors[0]))
    library, arrays = context.library, gaussian_arrays(tensors)
    lens = ctypes.byref(pinhole(camera))
    check(library.flex_project(context.address, lens, len(tensors[0]), ctypes.byref(arrays)))
    step = -(-pixels // (native.TILE * camera.width)) * native.TILE
    for first in range(0, camera.height, step):
        last = min(first + step, camera.height)
        check(library.flex_draw(context.address, ctypes.byref(image), first, last))
        yield


def _check(count: int, failed: int) -> None:
    if failed:
        raise MemoryError(f"no memory to draw {count} Gaussians")


def draw_backward(
    context: RasterContext, picture: native.PictureGradient, tensors: list[Tensor]
) -> list[Tensor]:
    """Gradients of means, quats, scales, opacities and sh. Raises MemoryError."""
    grads = [torch.empty_like(x) for x in tensors]
    failed = context.library.flex_draw_backward(
        context.address,
        ctypes.byref(picture),
        ctypes.byref(gaussian_arrays(tensors)),
        ctypes.byref(gaussian_arrays(grads)),
    )
    if failed:
        raise MemoryError(f"no memory for the gradient of {len(tensors[0])} Gaussians")
    return grads


class Rasterize(torch.autograd.Function):
    """The compiled rasteriser; what it made of the scene is kept for the gradient."""

    @staticmethod
    def forward(
        ctx: Any, library: ctypes.CDLL, camera: Camera, *inputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        tensors = [contiguous_float32(x) for x in inputs]
        rgba = torch.empty(camera.height, camera.width, 4)
        depth = torch.empty(camera.height, camera.width)
        context = RasterContext(library)
        draw(context, camera, tensors, native.Image(rgba.data_ptr(), depth.data_ptr()))
        if any(ctx.needs_input_grad):
            ctx.context = context
            ctx.save_for_backward(*inputs, rgba, depth)
            ctx.set_materialize_grads(False)
        return rgba, depth

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]: the decorator's doing
        ctx: Any, *grad_outputs: Tensor | None
    ) -> Any:
        grad_rgba, grad_depth = grad_outputs
        *inputs, rgba, depth = ctx.saved_tensors
        tensors = [contiguous_float32(x) for x in inputs]
        wanted = torch.zeros_like(rgba) if grad_rgba is None else contiguous_float32(grad_rgba)
        wanted_depth = None if grad_depth is None else contiguous_float32(grad_depth)
        picture = native.PictureGradient(
            rgba.data_ptr(),
            depth.data_ptr(),
            wanted.data_ptr(),
            None if wanted_depth is None else wanted_depth.data_ptr(),
        )
        grads = draw_backward(ctx.context, picture, tensors)
        return None, None, *(g.to(x.dtype) for g, x in zip(grads, inputs, strict=True))


def rasterize(gaussians: Gaussians, camera: Camera) -> Frame:
    """Draw; differentiable in all fields of the Gaussians. Computes in float32."""
    library = native.library()
    if library is None:
        return rasterize_tiled(gaussians, camera)
    rgba, depth = Rasterize.apply(library, camera, *vars(gaussians).values())  # type: ignore[misc]
    return Frame(rgba.to(gaussians.means.dtype), depth.to(gaussians.means.dtype))


@torch.no_grad()
def rasterize_rgba8(
    gaussians: Gaussians,
    camera: Camera,
    out: np.ndarray,
    background: tuple[float, float, float] | None,
    pixels: int,
) -> Iterator[None]:
    """Draw into premultiplied RGBA bytes [H, W, 4], about so many pixels before each yield."""
    library = native.library()
    if library is None:
        torch.from_numpy(out).copy_(to_rgba8(rasterize_tiled(gaussians, camera).rgba, background))
        return
    behind = (ctypes.c_float * 4)(*((0.0,) * 4 if background is None else (*background, 1.0)))
    image = native.Image(rgba8=out.ctypes.data, background=behind)
    yield from draw_strips(RasterContext(library), camera, _arrays(gaussians), image, pixels)


@torch.no_grad()
def rasterize_depth(
    gaussians: Gaussians, camera: Camera, out: np.ndarray, pixels: int
) -> Iterator[None]:
    """Draw depth alone into float32 [H, W], about so many pixels before each yield."""
    library = native.library()
    if library is None:
        torch.from_numpy(out).copy_(rasterize_tiled(gaussians, camera).depth)
        return
    image = native.Image(depth=out.ctypes.data)
    yield from draw_strips(RasterContext(library), camera, _arrays(gaussians), image, pixels)


def _arrays(gaussians: Gaussians) -> list[Tensor]:
    return [contiguous_float32(x) for x in vars(gaussians).values()]
