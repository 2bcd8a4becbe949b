"""People without their surroundings: pictures over one grey, for comparing."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, Gaussians

GREY = 0.5

RgbImage = NDArray[np.float32]
"""[H, W, 3] 0..1."""


@torch.no_grad()
def rasterize_over_grey(gaussians: Gaussians, camera: Camera) -> RgbImage:
    """Gaussians as the camera sees them, over mid grey."""
    rgba = rasterize(gaussians, camera).rgba.clamp(0, 1).cpu().numpy()
    return premultiplied_over_mid_grey(rgba[..., :3], rgba[..., 3])


def over_mid_grey(colors: RgbImage, alpha: NDArray[np.float32]) -> RgbImage:
    """Colours [H, W, 3] shown as much as `alpha` [H, W] says, over mid grey."""
    return premultiplied_over_mid_grey(np.asarray(colors * alpha[..., None], np.float32), alpha)


def premultiplied_over_mid_grey(colors: RgbImage, alpha: NDArray[np.float32]) -> RgbImage:
    """Colours [H, W, 3] that `alpha` [H, W] is in already, over mid grey."""
    return np.asarray(colors + (1 - alpha[..., None]) * GREY, np.float32)
