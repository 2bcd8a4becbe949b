"""The reference cut into tiles: what draws on a CPU when there is no compiled library.

Each tile looks only at the Gaussians whose box touches it. It is differentiable through torch,
gives the reference's picture, and is some hundred times slower than the compiled renderer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flexavatar.render.reference import Projected, composite, pixel_centres, project, to_frame
from flexavatar.types import Camera, Frame, Gaussians

TILE = 16
GAUSSIANS_AT_ONCE = 1 << 14
"""Gaussians in one tile beyond which its rows are drawn one by one: bounds the memory."""


def touching(projected: Projected, rows: range, cols: range) -> Tensor:
    """Which Gaussians reach into a rectangle of pixels: [M]."""
    low, high = projected.means - projected.radii, projected.means + projected.radii
    across = (high[:, 0] >= cols.start) & (low[:, 0] <= cols.stop)
    return across & (high[:, 1] >= rows.start) & (low[:, 1] <= rows.stop)


def draw_tile(projected: Projected, rows: range, cols: range) -> Tensor:
    """One rectangle of the picture: [rows, cols, 5], see `composite`."""
    inside = projected[touching(projected, rows, cols)]
    pixels = pixel_centres(rows, cols, projected.means)
    step = len(pixels) if len(inside.depths) <= GAUSSIANS_AT_ONCE else len(cols)
    blended = torch.cat([composite(inside, piece) for piece in pixels.split(step)])
    return blended.unflatten(0, (len(rows), len(cols)))


def rasterize_tiled(gaussians: Gaussians, camera: Camera) -> Frame:
    """The reference's picture, tile by tile."""
    projected = project(gaussians, camera)
    bands = []
    for top in range(0, camera.height, TILE):
        rows = range(top, min(top + TILE, camera.height))
        band = projected[touching(projected, rows, range(camera.width))]
        tiles = [
            draw_tile(band, rows, range(left, min(left + TILE, camera.width)))
            for left in range(0, camera.width, TILE)
        ]
        bands.append(torch.cat(tiles, 1))
    return to_frame(torch.cat(bands))
