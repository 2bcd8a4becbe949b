"""How alike two pictures are, and how close an avatar comes to its photo."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.avatar.avatar import AnyAvatar, animator_of
from flexavatar.capture.portrait import MATTE_THRESHOLD, Portrait
from flexavatar.render.composite import over_mid_grey, rasterize_over_grey


def psnr_db(shown: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1, any shape; 99 for equal ones."""
    error = float(np.mean((shown.astype(np.float64) - wanted) ** 2))
    return 99.0 if error < 1e-10 else -10 * math.log10(error)


def ssim_map(a: Tensor, b: Tensor, stride: int = 1, window: int = 7) -> Tensor:
    """Structural similarity of every `stride`-th pixel: [H, W, C] -> [H / stride, W / stride, C].

    Wang et al. 2004 with a uniform window: box filters, one axis at a time, are far cheaper than
    Gaussians and rank pictures alike.
    """
    x, y = a.permute(2, 0, 1)[None], b.permute(2, 0, 1)[None]
    pooled = torch.cat((x, y, x * x, y * y, x * y), 1)
    for axis in ((window, 1), (1, window)):
        step = tuple(stride if n > 1 else 1 for n in axis)
        pad = tuple(n // 2 for n in axis)
        pooled = torch.nn.functional.avg_pool2d(pooled, axis, step, pad, count_include_pad=False)
    mx, my, xx, yy, xy = pooled.chunk(5, 1)
    vx, vy, cov = xx - mx * mx, yy - my * my, xy - mx * my
    c1, c2 = 0.01**2, 0.03**2
    value = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return value[0].permute(1, 2, 0)


def input_psnr_db(avatar: AnyAvatar, portrait: Portrait) -> float:
    """The avatar in its photo's pose and camera against the photo, inside the matte.

    Both are laid over mid grey, each with its own transparency, so that a hole counts as an error.
    `portrait` is the avatar's first photo, of the camera's size.
    """
    shown = rasterize_over_grey(animator_of(avatar).animate(avatar.codes), avatar.camera)
    wanted = over_mid_grey(portrait.colors, portrait.matte)
    inside = (portrait.matte > MATTE_THRESHOLD) & portrait.inside
    return psnr_db(shown[inside], wanted[inside])


def face_psnr_db(portrait: Portrait, shown: NDArray[np.float32]) -> float:
    """A drawn face [S, S, 3] over mid grey against its photo, inside the landmarks' hull."""
    hull = portrait.face_hull
    return psnr_db(shown[hull], over_mid_grey(portrait.rgb, portrait.matte)[hull])
