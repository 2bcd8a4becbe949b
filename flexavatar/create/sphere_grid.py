"""Fields over the directions around a skull: how far hair reaches there, which way it flows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from flexavatar.create.hair_volume import CENTRE

ROWS, COLUMNS = 60, 120
"""Of elevation, from below to above, and of azimuth, from behind over the right to behind."""
POLE = 0.1
"""Least cosine of an elevation: neighbours at the poles are not infinitely near."""

Field = NDArray[np.float64]
"""[ROWS, COLUMNS] or [ROWS, COLUMNS, C]."""
Points = NDArray[np.float64]
"""[N, 3] metres, head frame."""


def spherical(points: Points) -> tuple[NDArray[np.float64], ...]:
    """Azimuth (0 ahead, positive to the left), elevation, both radians, and radius: [N] each."""
    away = points - np.asarray(CENTRE)
    radius = np.linalg.norm(away, axis=-1)
    azimuth = np.arctan2(away[..., 0], away[..., 2])
    return azimuth, np.arcsin((away[..., 1] / radius.clip(1e-6)).clip(-1, 1)), radius


def directions(azimuth: NDArray[np.float64], elevation: NDArray[np.float64]) -> Points:
    """Unit directions: [N] radians each -> [N, 3]."""
    level = np.cos(elevation)
    return np.stack((np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level), -1)


def cell_angles() -> tuple[Field, Field]:
    """Azimuth and elevation of every cell's middle, radians."""
    azimuth = (np.arange(COLUMNS) + 0.5) / COLUMNS * 2 * np.pi - np.pi
    elevation = (np.arange(ROWS) + 0.5) / ROWS * np.pi - np.pi / 2
    return tuple(np.meshgrid(azimuth, elevation))  # type: ignore[return-value]


def _coordinates(azimuth: NDArray[Any], elevation: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Column and row, fractional."""
    column = (azimuth + np.pi) / (2 * np.pi) * COLUMNS - 0.5
    return column, (elevation + np.pi / 2) / np.pi * ROWS - 0.5


def deposit(points: Points, values: NDArray[Any], weights: NDArray[Any]) -> tuple[Field, Field]:
    """Weighted means of values [N] or [N, C] by cell, and the weight of each cell."""
    azimuth, elevation, _ = spherical(points)
    x, y = _coordinates(azimuth, elevation)
    cells = np.round(y).astype(int).clip(0, ROWS - 1), np.round(x).astype(int) % COLUMNS
    weight = np.zeros((ROWS, COLUMNS))
    total = np.zeros((ROWS, COLUMNS, *values.shape[1:]))
    np.add.at(weight, cells, weights)
    np.add.at(total, cells, values * weights.reshape(-1, *(1,) * (values.ndim - 1)))
    divisor = np.maximum(weight, 1e-9).reshape(ROWS, COLUMNS, *(1,) * (values.ndim - 1))
    return total / divisor, weight


def interpolate(field: Field, points: Points) -> NDArray[np.float64]:
    """A field's values in the directions of points: [N] or [N, C]."""
    azimuth, elevation, _ = spherical(points)
    x, y = _coordinates(azimuth, elevation)
    around = np.concatenate((field[:, -1:], field, field[:, :1]), 1)
    at = [y.clip(0, ROWS - 1), (x % COLUMNS) + 1]
    if field.ndim == 2:
        return map_coordinates(around, at, order=1, mode="nearest")
    layers = [
        map_coordinates(around[..., c], at, order=1, mode="nearest") for c in range(field.shape[2])
    ]
    return np.stack(layers, -1)


def fill(values: Field, weight: Field, prior: Field | float, pull: float) -> Field:
    """The smoothest field near values where they have weight [ROWS, COLUMNS], else near `prior`."""
    hold = weight.ravel()
    flat = values.reshape(hold.size, -1)
    drawn = np.broadcast_to(prior, values.shape).reshape(hold.size, -1)
    solver = splu((_laplacian() + diags(hold + pull)).tocsc())
    return solver.solve(hold[:, None] * flat + pull * drawn).reshape(values.shape)


@lru_cache(maxsize=1)
def _laplacian() -> csr_matrix:
    """Of the grid's graph, whose rows close around the head."""
    number = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    level = np.maximum(np.cos(cell_angles()[1]), POLE)
    ends = [(number, np.roll(number, -1, 1), 1 / level), (number[:-1], number[1:], level[:-1])]
    rows, columns, weights = (np.concatenate([e[i].ravel() for e in ends]) for i in range(3))
    graph = csr_matrix((weights, (rows, columns)), shape=(number.size,) * 2)
    graph = graph + graph.T
    return (diags(np.asarray(graph.sum(1)).ravel()) - graph).tocsr()
