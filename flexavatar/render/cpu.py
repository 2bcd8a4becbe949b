"""The renderer on a CPU: the compiled library, or the tiled torch path where there is none."""

from __future__ import annotations

import ctypes
from collections import deque
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from flexavatar.render import native
from flexavatar.render.rgba8 import to_rgba8
from flexavatar.render.tiled import rasterize_tiled
from flexavatar.types import Camera, Frame, Gaussians


class Context:
    """The library's working memory for one drawing. Used by one thread at a time."""

    _idle: ClassVar[deque[Context]] = deque(maxlen=8)

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self.address = library.flex_context_new()
        if not self.address:
            raise MemoryError("no memory for a rasteriser context")

    def __del__(self) -> None:
        if getattr(self, "address", None):
            self.library.flex_context_free(self.address)

    @classmethod
    def take(cls, library: ctypes.CDLL) -> Context:
        """An idle context with its grown buffers, else a new one."""
        try:
            return cls._idle.pop()
        except IndexError:
            return cls(library)

    def give_back(self) -> None:
        """Keep this context for the next drawing."""
        self._idle.append(self)


def pinhole(camera: Camera) -> native.Pinhole:
    """The camera as the library takes it."""
    view = camera.viewmat.detach().flatten().tolist()[:12]
    (fx, _, cx), (_, fy, cy) = camera.K.detach().tolist()[:2]
    return native.Pinhole(tuple(view), (fx, fy), (cx, cy), camera.width, camera.height)  # type: ignore[arg-type]


def plain(x: Tensor) -> Tensor:
    """Contiguous float32 without history; the same tensor where it already is."""
    return x.detach().to(torch.float32).contiguous()


def arrays(tensors: tuple[Tensor, ...]) -> native.GaussianArrays:
    """Addresses of means, quats, scales, opacities and sh. The tensors must outlive it."""
    return native.GaussianArrays(*(x.data_ptr() for x in tensors))


def draw(
    context: Context, camera: Camera, tensors: tuple[Tensor, ...], image: native.Image
) -> None:
    """Fill the image. Raises MemoryError."""
    image.width, image.height = camera.width, camera.height
    failed = context.library.flex_draw(
        context.address,
        ctypes.byref(pinhole(camera)),
        len(tensors[0]),
        ctypes.byref(arrays(tensors)),
        ctypes.byref(image),
    )
    if failed:
        raise MemoryError(f"no memory to draw {len(tensors[0])} Gaussians")


def rasterize(gaussians: Gaussians, camera: Camera) -> Frame:
    """Draw; differentiable in all fields of the Gaussians."""
    library = native.library()
    if library is None:
        return rasterize_tiled(gaussians, camera)
    tensors = tuple(plain(x) for x in vars(gaussians).values())
    rgba = torch.empty(camera.height, camera.width, 4)
    depth = torch.empty(camera.height, camera.width)
    context = Context.take(library)
    draw(context, camera, tensors, native.Image(rgba.data_ptr(), depth.data_ptr()))
    context.give_back()
    return Frame(rgba.to(gaussians.means), depth.to(gaussians.means))


@torch.no_grad()
def rasterize_rgba8(
    gaussians: Gaussians,
    camera: Camera,
    out: np.ndarray,
    background: tuple[float, float, float] | None,
) -> None:
    """Draw into premultiplied RGBA bytes [H, W, 4]."""
    library = native.library()
    if library is None:
        torch.from_numpy(out).copy_(to_rgba8(rasterize_tiled(gaussians, camera).rgba, background))
        return
    tensors = tuple(plain(x) for x in vars(gaussians).values())
    behind = (0.0,) * 4 if background is None else (*background, 1.0)
    context = Context.take(library)
    draw(context, camera, tensors, native.Image(None, None, out.ctypes.data, behind))  # type: ignore[arg-type]
    context.give_back()
