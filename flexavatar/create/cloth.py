"""Clothes and neck where no photo shows them: turned around the neck as on a lathe.

Garments are nearly the same all around at one distance along neck and shoulder, so what is unseen
takes the colours of what is seen there, from the side that shows more.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.create.evidence import Evidence
from flexavatar.head.texels import Texels

SLOPE, NECK_RADIUS = 1.15, 0.055
"""Metres along a shoulder per metre away from the neck's axis, and where shoulders begin."""
TILT = 0.38
"""Metres that a collar sits higher per metre further back."""
SHOWN, UNSEEN = 0.3, 0.12
"""Weights of evidence from which cloth is a source, and below which it is made up."""
RANGE = (math.radians(35), math.radians(75))
"""Azimuths of sources that what is behind repeats, to and fro."""
AROUND = 0.035
"""Metres along a shoulder that a radian around the neck counts as."""
NEIGHBOURS, FEWEST = 5, 150
SHADE = 0.9
"""Lightness behind, where lamps of portraits do not reach."""
HIGHEST = -0.075
"""Height over the eyes' middle from which it is neck: metres."""


def turn_cloth(colors: Tensor, seen: Evidence, texels: Texels, points: Tensor) -> Tensor:
    """Colours [T, 3] of the neutral points [T, 3], completed on neck and shoulders."""
    body = torch.maximum(texels.masks["neck"], texels.masks["shoulders"]) > 0.5
    body &= points[:, 1] < HIGHEST
    source = (body & (seen.weight > SHOWN)).numpy()
    target = (body & (seen.weight < SHOWN)).numpy()
    if source.sum() < FEWEST or not target.any():
        return colors
    place = points.double().numpy()
    axis = float(place[(texels.masks["neck"] > 0.7).numpy(), 2].mean())
    along, azimuth = lathe_coordinates(place, axis)
    better = 1.0 if (azimuth[source] > 0).sum() >= (azimuth[source] < 0).sum() else -1.0
    side = np.where(np.abs(azimuth) > math.pi * 0.72, better, np.where(azimuth < 0, -1.0, 1.0))
    folded = np.stack((along, AROUND * _fold(np.abs(azimuth))), 1)
    result = colors.clone()
    for own in (-1.0, 1.0):
        givers = np.flatnonzero(source & ((azimuth < 0) == (own < 0)))
        takers = np.flatnonzero(target & (side == own))
        if len(givers) < NEIGHBOURS or not len(takers):
            continue
        distance, near = cKDTree(folded[givers]).query(folded[takers], k=NEIGHBOURS)
        share = torch.from_numpy(1 / (distance + 1e-3)).float()[..., None]
        mean = (seen.colors[torch.from_numpy(givers[near])] * share).sum(1) / share.sum(1)
        taking = torch.from_numpy(takers)
        behind = torch.from_numpy(np.abs(azimuth[takers]) > math.pi / 2)[:, None]
        mean = torch.where(behind, SHADE * mean, mean)
        part = ((seen.weight[taking] - UNSEEN) / (SHOWN - UNSEEN)).clamp(0, 1)[:, None]
        result[taking] = torch.lerp(mean, colors[taking], part)
    return result


def lathe_coordinates(
    points: NDArray[np.float64], axis_z: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres down the neck and out along the shoulder, and azimuth around the neck: [N] each."""
    z = points[:, 2] - axis_z
    radius = np.hypot(points[:, 0], z)
    along = SLOPE * np.maximum(radius - NECK_RADIUS, 0) - (points[:, 1] + TILT * z)
    return along, np.arctan2(points[:, 0], z)


def _fold(azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Beyond the sources' range to and fro over it: [N] >= 0."""
    low, high = RANGE
    width = high - low
    back = width - np.abs((azimuth - high) % (2 * width) - width)  # 0 at `high`, rising, falling
    return np.where(azimuth < high, azimuth, high - back)
