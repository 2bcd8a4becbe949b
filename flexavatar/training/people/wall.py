"""What is behind a synthetic person."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.training.people.noise import f32
from flexavatar.training.people.traits import Traits


def draw_wall(traits: Traits, height: int, width: int) -> Tensor:
    """Plain, shaded, or a room out of focus: [H, W, 3] 0..1."""
    rng = np.random.default_rng((traits.seed, 3))
    tone = f32(traits.wall)
    if traits.wall_kind == "plain":
        picture = np.broadcast_to(tone, (height, width, 3))
    elif traits.wall_kind == "slope":
        corners = tone * rng.uniform(0.6, 1.3, (2, 2, 1)).astype(np.float32)
        picture = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        side = int(rng.integers(4, 10))
        spots = (
            tone * rng.uniform(0.5, 1.4, (side, side, 1)) * rng.uniform(0.9, 1.1, (side, side, 3))
        )
        picture = cv2.resize(
            spots.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    return torch.from_numpy(np.array(picture, np.float32).clip(0, 1))
