"""Pictures with alpha over one grey: mid grey for measuring, a neutral one to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, Gaussians

GREY = 0.5
"""What both pictures of a comparison stand before."""
BACKGROUND = (176, 178, 182)
"""A neutral grey: holes, halos and floaters stand out against it, whatever their colour."""

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


def over_background(rgba: np.ndarray) -> np.ndarray:
    """Premultiplied uint8 [H, W, 4] over BACKGROUND -> [H, W, 3]."""
    return over_color(rgba, BACKGROUND)


def over_color(rgba: np.ndarray, color: Sequence[int]) -> np.ndarray:
    """Premultiplied uint8 [H, W, 4] over a colour of 0..255 -> [H, W, 3]."""
    empty = 255 - rgba[..., 3:].astype(np.uint16)
    behind = (empty * np.array(color, np.uint16) + 127) // 255
    return np.minimum(rgba[..., :3] + behind, 255).astype(np.uint8)
