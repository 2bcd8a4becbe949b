"""The renderer on a CPU."""

from __future__ import annotations

import numpy as np
import torch

from flexavatar.render.rgba8 import to_rgba8
from flexavatar.render.tiled import rasterize_tiled
from flexavatar.types import Camera, Frame, Gaussians


def rasterize(gaussians: Gaussians, camera: Camera) -> Frame:
    """Draw, tile by tile."""
    return rasterize_tiled(gaussians, camera)


@torch.no_grad()
def rasterize_rgba8(
    gaussians: Gaussians,
    camera: Camera,
    out: np.ndarray,
    background: tuple[float, float, float] | None,
) -> None:
    """Draw into premultiplied RGBA bytes [H, W, 4]."""
    torch.from_numpy(out).copy_(to_rgba8(rasterize(gaussians, camera).rgba, background))
