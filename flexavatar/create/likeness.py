"""Figures for how close an avatar comes to a photo."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAvatar, animator_of
from flexavatar.capture.portrait import MATTE_THRESHOLD, Portrait
from flexavatar.render.composite import over_mid_grey, rasterize_over_grey


def psnr_db(shown: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1, any shape; 99 for equal ones."""
    error = float(np.mean((shown.astype(np.float64) - wanted) ** 2))
    return 99.0 if error < 1e-10 else -10 * math.log10(error)


def input_psnr_db(avatar: AnyAvatar, portrait: Portrait) -> float:
    """The avatar in its photo's pose and camera against the photo, inside the matte.

    Both are laid over mid grey, each with its own transparency, so that a hole counts as an error.
    `portrait` is the avatar's first photo, of the camera's size.
    """
    shown = rasterize_over_grey(animator_of(avatar).animate(avatar.codes), avatar.camera)
    wanted = over_mid_grey(portrait.colors, portrait.matte)
    inside = (portrait.matte > MATTE_THRESHOLD) & portrait.inside
    return psnr_db(shown[inside], wanted[inside])
