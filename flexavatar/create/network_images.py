"""Photos as a model of `flexavatar.models` takes them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.capture.portrait import Portrait
from flexavatar.render.composite import over_mid_grey


def network_images(portraits: Sequence[Portrait], side: int) -> Tensor:
    """People over mid grey, small: [N, 3, side, side] 0..1."""
    return torch.stack([_network_image(portrait, side) for portrait in portraits])


def _network_image(portrait: Portrait, side: int) -> Tensor:
    whole = over_mid_grey(portrait.colors, portrait.matte)
    small = cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.asarray(small, np.float32)).permute(2, 0, 1).clamp(0, 1)
