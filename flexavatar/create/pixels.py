"""Pixels of a portrait: which part of the person each shows, and picture values between pixels.

The parts are told by MediaPipe's landmarks and by colours. All that turns them into splats and
evidence is elsewhere; nothing here knows the head's mesh.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.portrait import Portrait
from flexavatar.head.texels import Zone

Mask = NDArray[np.bool_]
"""[S, S] pixels of a portrait."""

SHUT = 0.45
"""MediaPipe's blink score above which an eye counts as closed and shows its lid."""
BROW_GAP, CORNER = 0.25, 0.3
"""Shares of the way from brow to eye that are the brow's, and of the eye's width to its side."""
LASH_SHARE = 0.06
"""Length of lashes, of the eye's width."""
NEAR_IRIS = 1.25
"""Radii of the iris within which a lower lid's pixel may be its own."""
TOOTH_LIGHT = 0.45
"""Luminance over that of the skin's brightest tenth, above which a pixel may be a tooth."""
TOOTH_CHROMA = 0.42
"""Saturation above which it is a lip, tongue or gum."""


def zone_map(portrait: Portrait) -> NDArray[np.uint8]:
    """Which part each pixel shows, as far as landmarks tell: [S, S] of Zone values.

    A band around each outline belongs to nobody: lashes, lid rims and wet lips would stain
    whatever lies behind or beside them.
    """
    side = portrait.matte.shape[0]
    points = portrait.face.points[:, :2]
    zones = np.full((side, side), Zone.SKIN, np.uint8)
    openings = (
        (Zone.LEFT_EYE, topology.LEFT_EYE, 0.08),
        (Zone.RIGHT_EYE, topology.RIGHT_EYE, 0.08),
        (Zone.MOUTH, topology.MOUTH_OPENING, 0.02),
    )
    for zone, outline, band_share in openings:
        ring = points[list(outline)]
        width = max(float(np.ptp(ring[:, 0])), 1.0)
        filled = polygon_mask(ring, side, 3)
        kernel = disc_kernel(band_share * width)
        zones[cv2.dilate(filled, kernel) > 0] = Zone.BACKGROUND
        zones[cv2.erode(filled, kernel) > 0] = zone
    for fold in lid_folds(portrait):
        zones[fold & (zones == Zone.SKIN)] = Zone.BACKGROUND
    return zones


def lid_folds(portrait: Portrait) -> tuple[Mask, Mask]:
    """Pixels between eye and brow, left and right; none where the eye is shut.

    While an eye is open they show the crease, its shadow and lashes, not the lid that would close.
    """
    return _lid_fold(portrait, "Left"), _lid_fold(portrait, "Right")


def _lid_fold(portrait: Portrait, side: str) -> Mask:
    size = portrait.matte.shape[0]
    if portrait.face.scores[f"eyeBlink{side}"] > SHUT:
        return np.zeros((size, size), bool)
    points = portrait.face.points[:, :2]
    left = side == "Left"
    lid = points[list(topology.LEFT_LID_UPPER if left else topology.RIGHT_LID_UPPER)]
    brow = points[list((topology.LEFT_BROW if left else topology.RIGHT_BROW)[:5])]
    outer, inner = lid[0], lid[-1]
    rim = lid + 0.04 * (lid.mean(0) - brow.mean(0))  # lashes hang over the eye
    ends = outer + CORNER * (outer - inner), inner + 0.5 * CORNER * (inner - outer)
    hung = brow + BROW_GAP * (lid[[1, 2, 4, 6, 7]] - brow)
    outline = np.concatenate((hung[::-1], ends[:1], rim, ends[1:]))
    return polygon_mask(outline, size, 3) > 0


def eye_rim_pixels(portrait: Portrait) -> Mask:
    """Pixels around the eyes, a lash's length outwards.

    Further in lies what turns with the eye. Below, where landmarks are too high as often as too
    low, what is as near to the iris's middle as the iris itself is left out as well.
    """
    side = portrait.matte.shape[0]
    band = np.zeros((side, side), bool)
    points = portrait.face.points[:, :2]
    rows, columns = np.indices(band.shape) + 0.5
    for outline, iris in (
        (topology.LEFT_EYE, topology.LEFT_IRIS),
        (topology.RIGHT_EYE, topology.RIGHT_IRIS),
    ):
        ring, (x, y) = points[list(outline)], points[iris[0]]
        opening = polygon_mask(ring, side, 3)
        outer = cv2.dilate(opening, disc_kernel(LASH_SHARE * float(np.ptp(ring[:, 0]))))
        radius = float(np.linalg.norm(points[list(iris[1:])] - points[iris[0]], axis=1).mean())
        near = (np.hypot(columns - x, rows - y) < NEAR_IRIS * radius) & (rows > y)
        band |= (outer > 0) & (opening == 0) & ~near
    return band


def drawn_pixels(portrait: Portrait) -> Mask:
    """Between the lids of open eyes and a pixel around: what is drawn there is not fitted.

    Whatever else reached into them would learn the difference to the photo, and keep it as the eye
    turns.
    """
    side = portrait.matte.shape[0]
    points = portrait.face.points[:, :2]
    rings = [points[list(outline)] for outline in (topology.LEFT_EYE, topology.RIGHT_EYE)]
    openings = sum(polygon_mask(ring, side, 3) for ring in rings)
    return cv2.dilate(np.asarray(openings, np.uint8), disc_kernel(1)) > 0


def teeth_pixels(portrait: Portrait) -> tuple[Mask, Mask]:
    """Bright, colourless pixels between the lips, of the upper and of the lower row."""
    points = portrait.face.points[:, :2]
    side = portrait.matte.shape[0]
    opening = polygon_mask(points[list(topology.MOUTH_OPENING)], side)
    light = portrait.colors.max(-1)
    chroma = (light - portrait.colors.min(-1)) / np.maximum(light, 1e-3)
    bright = TOOTH_LIGHT * float(np.quantile(light[portrait.face_hull], 0.9))
    tooth = (opening > 0) & (light > bright) & (chroma < TOOTH_CHROMA)
    height = float(np.linalg.norm(points[13] - points[14]))
    width = float(np.linalg.norm(points[78] - points[308]))
    rows = np.arange(side)[:, None]
    low = rows > points[13, 1] + 0.55 * height
    lower = tooth & low & (height > 0.3 * width)
    return tooth & ~lower, lower


def hair_pixels(portrait: Portrait) -> Mask:
    """Pixels of the person that are well above the eyes and outside the face's oval."""
    points = portrait.face.points[:, :2].astype(np.float64)
    up = points[10] - points[152]
    height = float(np.linalg.norm(up))
    up /= max(height, 1e-6)
    middle = points[list(topology.LEFT_IRIS + topology.RIGHT_IRIS)].mean(0)
    ring = points[list(topology.OVAL)]
    face = polygon_mask(ring + 0.06 * (ring - ring.mean(0)), portrait.matte.shape[0])
    rows, columns = np.indices(face.shape)
    along = (columns - middle[0]) * up[0] + (rows - middle[1]) * up[1]
    across = np.abs((columns - middle[0]) * up[1] - (rows - middle[1]) * up[0])
    person = cv2.erode(portrait.matte, np.ones((5, 5))) > 0.95
    above = person & (face == 0) & (along > 0.3 * height) & (across < 0.5 * height)
    top = np.median(along[above]) if above.any() else 0.0  # the lower half may be forehead
    return above & (along >= top)


def inside_photo(portrait: Portrait) -> Mask:
    """Pixels away from the edge of the photo, where its colours are smeared."""
    return cv2.erode(portrait.inside.astype(np.uint8), np.ones((5, 5))) > 0


def polygon_mask(outline: NDArray[Any], side: int, fraction_bits: int = 0) -> NDArray[np.uint8]:
    """1 inside an outline [N, 2] of pixels, rounded to 2^-bits of one: [S, S]."""
    corners = np.round(outline * (1 << fraction_bits)).astype(np.int32)
    empty = np.zeros((side, side), np.uint8)
    return np.asarray(cv2.fillPoly(empty, [corners], 1, shift=fraction_bits), np.uint8)


def disc_kernel(radius: float) -> NDArray[np.uint8]:
    """A disc to dilate or erode with, of at least one pixel's radius."""
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def hexagonal_grid(wanted: Mask, spacing: float) -> NDArray[np.int64]:
    """A hexagonal grid of pixels inside a mask: [N, 2] x, y."""
    height, width = wanted.shape
    rows = np.arange(spacing / 2, height, spacing * 0.866)
    points = [
        np.stack((np.arange((i % 2) * spacing / 2, width, spacing), np.full(
            len(np.arange((i % 2) * spacing / 2, width, spacing)), row)), 1)
        for i, row in enumerate(rows)
    ]  # fmt: skip
    grid = np.concatenate(points).astype(np.int64)
    return grid[wanted[grid[:, 1], grid[:, 0]]]


def sample_bilinear(image: Tensor, pixels: Tensor) -> Tensor:
    """Bilinear look-up at pixel coordinates [T, 2]: [H, W] -> [T] or [H, W, C] -> [T, C]."""
    planes = image[None, None] if image.ndim == 2 else image.permute(2, 0, 1)[None]
    height, width = planes.shape[-2:]
    grid = pixels / pixels.new_tensor([width, height]) * 2 - 1
    found = torch.nn.functional.grid_sample(
        planes.float(), grid[None, None].float(), align_corners=False, padding_mode="border"
    )[0, :, 0]
    return found[0] if image.ndim == 2 else found.T


def sample_nearest(image: Tensor, pixels: Tensor) -> Tensor:
    """Nearest look-up at pixel coordinates [T, 2]: [H, W] -> [T]."""
    height, width = image.shape
    x = pixels[:, 0].floor().long().clamp(0, width - 1)
    y = pixels[:, 1].floor().long().clamp(0, height - 1)
    return image[y, x]
