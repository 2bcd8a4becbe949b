"""Float pictures to bytes."""

from __future__ import annotations

import torch
from torch import Tensor


def to_rgba8(rgba: Tensor, background: tuple[float, float, float] | None) -> Tensor:
    """Premultiplied floats [H, W, 4] to bytes, over an opaque background if there is one."""
    if background is not None:
        behind = torch.tensor((*background, 1.0), dtype=rgba.dtype, device=rgba.device)
        rgba = rgba + (1 - rgba[..., 3:]) * behind
    return (rgba * 255 + 0.5).clamp(0, 255).to(torch.uint8)
