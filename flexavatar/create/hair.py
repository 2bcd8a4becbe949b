"""Where hair grows and what colours it has, as photos show them; part of the skin's first guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.capture.portrait import Portrait
from flexavatar.create.pixels import hair_pixels

BARE, HAT = 0.12, 0.3
"""Distance of the hair's colour from the skin's, of the skin's length, within which a head is bare;
spread of colours from which it is no hair."""
LUMINANCE = np.array((0.3, 0.6, 0.1), np.float32)
FLAT, GRAIN_PX = 0.012, 2.0
"""Mean difference from the smoothed picture, of its lightness, up to which it is cloth; pixels."""
MATT, DARKER = 0.4, 0.9
"""Share of the skin's own colour in skin that shines, and of its lightness below which it is
hair."""
RECEDING, LEAST_HAIR = 0.6, 0.12
"""Ratio of distances from the skin's colour that tells hair from forehead; hair's least share."""
LEAST_SPREAD = 0.03
"""Even black hair in flat light has this contrast."""


@dataclass(frozen=True)
class Hair:
    """Where hair grows and what colour it has; skin on a bald head, cloth under a hat."""

    scalp: Tensor  # [T] 0..1, ears included where hair hides them
    ears: Tensor  # [T] 0..1
    tone: Tensor  # [3] median colour
    spread: float  # median distance of its colours from the median
    has_strands: bool  # it is hair, and not a bare head or a hat
    is_bare: bool = False  # there is nothing but skin
    thickness: float = 0.0  # metres, of most of it

    @property
    def grows(self) -> Tensor:
        """Texels of the scalp alone: [T] bool."""
        return (self.scalp > 0.5) & (self.ears < 0.3)

    def resembles(self, colors: Tensor, most: float) -> Tensor:
        """Colours at most so many spreads from the hair's own: [T, 3] -> [T] bool."""
        return (colors - self.tone).norm(dim=-1) < most * self.spread

    def with_free_ears(self) -> Hair:
        """The same beside ears that it does not cover."""
        return replace(self, scalp=self.scalp * (1 - self.ears))


def measure_hair(
    portraits: Sequence[Portrait], scalp: Tensor, ears: Tensor, thickness: float
) -> Hair:
    """The hair of a person in photos, at texels of which `scalp` and `ears` are masks [T] 0..1.

    From pixels around and above the face; brown where there are hardly any.
    """
    colors = np.concatenate([portrait.colors[hair_pixels(portrait)] for portrait in portraits])
    if len(colors) < 30:
        return Hair(scalp, ears, torch.tensor([0.25, 0.2, 0.17]), 0.1, False, False, thickness)
    faces = np.concatenate([portrait.colors[portrait.face_hull] for portrait in portraits])
    skin = np.median(faces, 0)
    colors = _without_skin(colors, skin)
    tone = np.median(colors, 0).astype(np.float32)
    spread = float(np.median(np.linalg.norm(colors - tone, axis=1)))
    bare = spread < HAT and is_skin(tone, skin)
    grain = float(np.mean([_grain(portrait) for portrait in portraits]))
    tone, strands = (skin, False) if bare else (tone, spread < HAT and grain > FLAT)
    spread = max(spread, LEAST_SPREAD)
    return Hair(scalp, ears, torch.from_numpy(tone), spread, strands, bare, thickness)


def _grain(portrait: Portrait) -> float:
    """How much finer than the smoothed picture hair is, of its own lightness."""
    light = portrait.colors @ LUMINANCE
    own = cv2.erode(hair_pixels(portrait).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if not own.any():
        return 0.0
    fine = np.abs(light - cv2.GaussianBlur(light, (0, 0), GRAIN_PX))
    return float(fine[own].mean() / max(float(light[own].mean()), 0.05))


def is_skin(tone: NDArray[np.float32], skin: NDArray[np.float32]) -> bool:
    """A colour [3] that is the skin's, or the skin's with light that it mirrors."""
    if np.linalg.norm(tone - skin) < BARE * np.linalg.norm(skin):
        return True
    if tone.mean() < DARKER * skin.mean():
        return False
    basis = np.stack((skin, np.ones(3, np.float32)), 1)
    (share, shine), *_ = np.linalg.lstsq(basis, tone, rcond=None)
    return bool(share > MATT and shine > 0.02)


def _without_skin(colors: NDArray[np.float32], skin: NDArray[np.float32]) -> NDArray[np.float32]:
    """The half that is hair where hair recedes: [N, 3] -> [M, 3]; all of a bald or full head."""
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_COUNT, 10, 0)
    _, half, means = cv2.kmeans(colors, 2, np.zeros(0), stop, 3, cv2.KMEANS_PP_CENTERS)
    away = np.linalg.norm(means - skin, axis=1)
    far = half.ravel() == int(away.argmax())
    both = away.min() < RECEDING * away.max() and far.mean() > LEAST_HAIR
    return colors[far] if both else colors
