"""What one view of an avatar should look like."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.types import Camera


@dataclass(frozen=True)
class Target:
    """What one view should look like."""

    camera: Camera
    colors: Tensor  # [H, W, 3] the person's colours
    matte: Tensor  # [H, W] share of the person
    weight: Tensor  # [H, W] how much each pixel counts
    landmarks: Tensor | None = None  # [K, 2] pixels where close-ups look; None: there are none

    def closeup(self, zoom: float, x: float, y: float, side: int) -> Target:
        """A square window of `side` pixels, enlarged `zoom` times, around a point of this one."""
        shift = np.array((side / 2 - x * zoom, side / 2 - y * zoom))
        K = self.camera.K.clone()
        K[:2] *= zoom
        K[:2, 2] += torch.from_numpy(shift).to(K)
        warp = np.array(((zoom, 0, shift[0]), (0, zoom, shift[1])))
        warp[:, 2] += 0.5 * zoom - 0.5  # OpenCV counts from the middle of the first pixel

        def enlarged(picture: Tensor, border: int) -> Tensor:
            found = cv2.warpAffine(
                picture.cpu().numpy(), warp, (side, side), flags=cv2.INTER_CUBIC, borderMode=border
            )
            return torch.from_numpy(np.asarray(found)).clamp(0, 1).to(picture)

        colors, matte = (enlarged(x, cv2.BORDER_REPLICATE) for x in (self.colors, self.matte))
        weight = enlarged(self.weight, cv2.BORDER_CONSTANT)
        return Target(replace(self.camera, K=K, width=side, height=side), colors, matte, weight)
