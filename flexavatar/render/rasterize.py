"""Draw Gaussians: checks what comes in and picks the renderer of its device."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from flexavatar.errors import InputError
from flexavatar.render import cpu, cuda
from flexavatar.types import Camera, Frame, Gaussians, check_shape

MAX_SIDE = 16384
STRIP_PIXELS = 1 << 18
"""Of a picture of 512x512, which is drawn in a few milliseconds."""


def check_gaussians(gaussians: Gaussians) -> None:
    """Raise InputError unless all fields fit together and lie on one device."""
    count = len(gaussians)
    check_shape("means", gaussians.means, count, 3)
    check_shape("quats", gaussians.quats, count, 4)
    check_shape("scales", gaussians.scales, count, 3)
    check_shape("opacities", gaussians.opacities, count)
    check_shape("sh", gaussians.sh, count, 1, 3)
    kinds = {(x.device, x.dtype) for x in vars(gaussians).values()}
    if len(kinds) > 1 or not gaussians.means.is_floating_point():
        found = sorted(f"{dtype} on {device}" for device, dtype in kinds)
        raise InputError(f"Gaussians: expected one floating type on one device, got {found}")


def check_camera(camera: Camera) -> None:
    """Raise InputError unless the camera is a finite pinhole of a drawable size."""
    check_shape("viewmat", camera.viewmat, 4, 4)
    check_shape("K", camera.K, 3, 3)
    for name, side in (("width", camera.width), ("height", camera.height)):
        if not 1 <= side <= MAX_SIDE:
            raise InputError(f"camera {name}: expected 1..{MAX_SIDE}, got {side}")
    if camera.viewmat.is_cuda or camera.K.is_cuda:
        return  # looking at the values would stall the device
    viewmat, K = camera.viewmat.flatten().tolist(), camera.K.flatten().tolist()
    for name, matrix in (("viewmat", viewmat), ("K", K)):
        if not all(map(math.isfinite, matrix)):
            raise InputError(f"camera {name}: expected finite numbers, got {matrix}")
    if K[0] <= 0 or K[4] <= 0:
        raise InputError(f"camera K: expected positive focal lengths, got {K[0]} and {K[4]}")


def rasterize(gaussians: Gaussians, camera: Camera) -> Frame:
    """Draw Gaussians as gsplat does; differentiable in all their fields, not in the camera.

    Colours are max(0, 0.5 + SH_C0 * sh). Gaussians that are not finite, have no rotation or lie
    nearer than 1 cm are not drawn. Raises InputError if shapes, devices or the camera do not fit.
    """
    check_gaussians(gaussians)
    check_camera(camera)
    draw = cuda.rasterize if gaussians.means.is_cuda else cpu.rasterize
    return draw(gaussians, camera)


def rasterize_rgba8(
    gaussians: Gaussians,
    camera: Camera,
    out: np.ndarray | None = None,
    background: tuple[float, float, float] | None = None,
) -> np.ndarray:
    """The frame path: premultiplied RGBA bytes [H, W, 4], no gradients.

    `out` is written in place when given: uint8, C-contiguous, [H, W, 4]. With a `background`
    (rgb 0..1) the picture is opaque. Raises InputError as `rasterize` does, and for a wrong `out`.
    """
    if out is None:
        out = np.empty((camera.height, camera.width, 4), np.uint8)
    for _ in rgba8_strips(gaussians, camera, out, background, camera.width * camera.height):
        pass
    return out


def rgba8_strips(
    gaussians: Gaussians,
    camera: Camera,
    out: np.ndarray,
    background: tuple[float, float, float] | None = None,
    pixels: int = STRIP_PIXELS,
) -> Iterator[None]:
    """As `rasterize_rgba8`, about so many pixels before each yield; a GPU draws all at once."""
    check_gaussians(gaussians)
    check_camera(camera)
    _check_out(out, (camera.height, camera.width, 4), np.uint8)
    if gaussians.means.is_cuda:
        cuda.rasterize_rgba8(gaussians, camera, out, background)
    else:
        yield from cpu.rasterize_rgba8(gaussians, camera, out, background, pixels)


def depth_strips(
    gaussians: Gaussians, camera: Camera, out: np.ndarray, pixels: int = STRIP_PIXELS
) -> Iterator[None]:
    """Depth alone into float32 [H, W]: metres, 0 where nothing is; otherwise as `rgba8_strips`."""
    check_gaussians(gaussians)
    check_camera(camera)
    _check_out(out, (camera.height, camera.width), np.float32)
    if gaussians.means.is_cuda:
        cuda.rasterize_depth(gaussians, camera, out)
    else:
        yield from cpu.rasterize_depth(gaussians, camera, out, pixels)


def _check_out(out: np.ndarray, shape: tuple[int, ...], kind: type) -> None:
    """Raise InputError unless it can be drawn into."""
    if out.shape != shape or out.dtype != kind or not out.flags["C_CONTIGUOUS"]:
        expected = f"contiguous {np.dtype(kind)} {shape}"
        raise InputError(f"out: expected {expected}, got {out.dtype} {out.shape}")
