"""Hair as a photo shows it: its pixels, which way it runs there, and its colours along strands."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from flexavatar.capture import topology
from flexavatar.capture.portrait import Portrait
from flexavatar.create.pixels import Mask, polygon_mask

LUMINANCE = np.array((0.3, 0.6, 0.1), np.float32)
GRADIENT_PX, WINDOW_PX = 1.0, 3.0
"""Standard deviations that the picture, and the gradients' products, are smoothed with."""
SEEDS, LENGTH = 900, 44
"""Places from which the photo's strands are followed, and pixels to each side."""
SHORTEST = 14
"""Pixels of the shortest strand that is kept."""
STEADINESS = 0.6
"""Share of its own direction that a strand keeps from pixel to pixel."""
SAMPLES = 16
"""Colours along each strand."""
GROWN_PX, STEPS_OF_GREY, SEED_STRIDE = 1.5, 3, 97
"""Smoothing, and levels of 255 from pixel to pixel, over which hair goes on; pixels between
seeds."""
SHADES = 1.0
"""Spreads from a lighter or darker tone of the hair's within which a strand is hair."""
LIKE_HAIR, LEAST_SPREAD = 2.6, 0.1
"""Spreads of the hair's colours within which a pixel may be hair, and the least: locks that hang in
shadow are darker than those on the crown."""


@dataclass(frozen=True)
class HairPattern:
    """The hair in one photo."""

    mask: Mask  # [S, S]
    directions: NDArray[np.float32]  # [S, S, 2] unit, x right and y down; the sign says nothing
    coherence: NDArray[np.float32]  # [S, S] 0..1 how sure they are
    profiles: NDArray[np.float32]  # [P, SAMPLES, 3] colours along strands, upper end first
    middles: NDArray[np.float32]  # [P, 2] pixels


def hair_pattern(
    portrait: Portrait, tone: NDArray[np.float32], spread: float, skin: Mask
) -> HairPattern:
    """What a photo shows of hair of a known median colour; `skin` [S, S] is none for certain."""
    mask = _hair_mask(portrait, tone, spread, skin)
    directions, coherence = _orientation(portrait.colors)
    profiles, middles = _strands_in_photo(portrait.colors, mask, directions)
    own = _is_shade_of(profiles.mean(1), tone, SHADES * max(spread, LEAST_SPREAD))
    return HairPattern(mask, directions, coherence, profiles[own], middles[own])


def _is_shade_of(
    colors: NDArray[np.float32], tone: NDArray[np.float32], within: float
) -> NDArray[np.bool_]:
    """Colours [N, 3] that are a tone [3], lighter or darker: [N]."""
    share = ((colors @ tone) / max(float(tone @ tone), 1e-6)).clip(0.2, 1.6)
    return np.linalg.norm(colors - share[:, None] * tone, axis=1) < within


def _hair_mask(portrait: Portrait, tone: NDArray[np.float32], spread: float, skin: Mask) -> Mask:
    """Pixels of hair's colours that hang together with those above the brows."""
    like = np.linalg.norm(portrait.colors - tone, axis=-1) < LIKE_HAIR * max(spread, LEAST_SPREAD)
    points = portrait.face.points[:, :2]
    face = polygon_mask(points[list(topology.OVAL)], len(like)) > 0
    candidates = like & (portrait.matte > 0.9) & portrait.inside & ~skin & ~face
    candidates = cv2.morphologyEx(
        candidates.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)
    )
    candidates = cv2.morphologyEx(candidates, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels = cv2.connectedComponents(candidates)
    brows = points[[*topology.LEFT_BROW, *topology.RIGHT_BROW], 1].min()
    above = np.unique(labels[: max(0, int(brows))])
    core = np.isin(labels, above[above > 0])
    allowed = (portrait.matte > 0.9) & portrait.inside & ~skin
    return _grow_gradually(core, allowed, portrait.colors)


def _grow_gradually(core: Mask, allowed: Mask, colors: NDArray[np.float32]) -> Mask:
    """A mask, grown over colours that change little between pixels, as into a lock's shadow."""
    soft = cv2.GaussianBlur(colors, (0, 0), GROWN_PX)
    picture = np.asarray(np.round(soft * 255), np.uint8)
    height, width = core.shape
    grown = np.zeros((height + 2, width + 2), np.uint8)
    grown[1:-1, 1:-1] = ~allowed
    seeds = cv2.erode(core.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    for y, x in np.argwhere(seeds & allowed)[::SEED_STRIDE]:
        if grown[y + 1, x + 1] == 0:
            at, flags = (int(x), int(y)), 4 | (2 << 8) | cv2.FLOODFILL_MASK_ONLY
            cv2.floodFill(picture, grown, at, 0, (STEPS_OF_GREY,) * 3, (STEPS_OF_GREY,) * 3, flags)
    return core | (grown[1:-1, 1:-1] == 2)


def _orientation(
    colors: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Along which lines run [S, S, 2], and how surely [S, S], by the structure tensor."""
    light = cv2.GaussianBlur(colors @ LUMINANCE, (0, 0), GRADIENT_PX)
    gx, gy = (cv2.Sobel(light, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    xx, xy, yy = (cv2.GaussianBlur(p, (0, 0), WINDOW_PX) for p in (gx * gx, gx * gy, gy * gy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2  # along, not across
    strength = np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-7)
    return np.stack((np.cos(angle), np.sin(angle)), -1), np.asarray(strength, np.float32)


def _strands_in_photo(
    colors: NDArray[np.float32], mask: Mask, directions: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours along lines that are followed through the hair both ways, and their middles."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    y, x = np.nonzero(inner)
    if len(x) == 0:
        return np.zeros((0, SAMPLES, 3), np.float32), np.zeros((0, 2), np.float32)
    rng = np.random.default_rng(0)
    seeds = rng.choice(len(x), min(SEEDS, len(x)), replace=False)
    start = np.stack((x[seeds], y[seeds]), 1).astype(np.float64)
    first = directions[y[seeds], x[seeds]]
    back, back_count = _follow(start, -first, inner > 0, directions)
    ahead, ahead_count = _follow(start, first, inner > 0, directions)
    soft = cv2.GaussianBlur(colors, (0, 0), 0.6)
    profiles: list[NDArray[np.float32]] = []
    middles: list[NDArray[np.float64]] = []
    for i in np.flatnonzero(back_count + ahead_count > SHORTEST):
        line = np.concatenate((back[i, : back_count[i]][::-1], ahead[i, : ahead_count[i]]))
        line = line if line[0, 1] <= line[-1, 1] else line[::-1]
        at = line[np.linspace(0, len(line) - 1, SAMPLES).round().astype(int)]
        rows = [map_coordinates(soft[..., c], at[:, ::-1].T, order=1) for c in range(3)]
        profiles.append(np.stack(rows, 1).astype(np.float32))
        middles.append(line[len(line) // 2])
    if not profiles:
        return np.zeros((0, SAMPLES, 3), np.float32), np.zeros((0, 2), np.float32)
    return np.stack(profiles), np.stack(middles).astype(np.float32)


def _follow(
    start: NDArray[np.float64],
    heading: NDArray[np.floating],
    mask: Mask,
    directions: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Places [N, LENGTH, 2] pixel by pixel, and how many of them are inside the mask: [N]."""
    height, width = mask.shape
    at, alive = start.copy(), np.ones(len(start), bool)
    path, count = np.zeros((len(start), LENGTH, 2)), np.zeros(len(start), np.int64)
    for step in range(LENGTH):
        x, y = at[:, 0].astype(int).clip(0, width - 1), at[:, 1].astype(int).clip(0, height - 1)
        alive &= mask[y, x] & ((at >= 0) & (at < (width, height))).all(1)
        path[:, step] = at
        count += alive
        along = directions[y, x]
        along = along * np.where((along * heading).sum(1, keepdims=True) < 0, -1, 1)
        heading = STEADINESS * heading + (1 - STEADINESS) * along
        heading = heading / np.linalg.norm(heading, axis=1, keepdims=True).clip(1e-6)
        at = at + heading
    return path, count
