"""Pictures to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from flexavatar.render.composite import over_background

TRANSPARENT = (".png", ".webp")


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """Floats 0..1 of any shape -> uint8."""
    return np.round(picture.clip(0, 1) * 255).astype(np.uint8)


def straight_alpha(rgba: np.ndarray) -> np.ndarray:
    """Premultiplied uint8 [H, W, 4] -> colours as picture files store them."""
    alpha = rgba[..., 3:].astype(np.uint16)
    colors = (rgba[..., :3].astype(np.uint16) * 255 + alpha // 2) // np.maximum(alpha, 1)
    return np.concatenate((np.minimum(colors, 255).astype(np.uint8), rgba[..., 3:]), -1)


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """RGB or premultiplied RGBA, uint8 [H, W, 3 or 4]; over grey where the format is opaque."""
    if pixels.shape[-1] == 4:
        transparent = path.suffix.lower() in TRANSPARENT
        pixels = straight_alpha(pixels) if transparent else over_background(pixels)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
