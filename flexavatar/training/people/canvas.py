"""The open head's chart as something to paint on: flat lists of texels, and grids of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from flexavatar.appearance.hair import ears_proper
from flexavatar.appearance.regions import make_texels, read
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.training.people.noise import Array, Field, f32

Index = NDArray[np.int64]
RIM = 3.0
"""Texels from the chart's border within which relief fades: its slope is not known there."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """T texels of a chart of `size` x `size`, in the space of the template."""

    size: int
    head: FlameHead
    cells: Index  # [T] row * size + column
    ids: Index  # [T, 3] vertices around each texel
    bary: Array  # [T, 3]
    points: Array  # [T, 3] metres, on the template
    masks: Mapping[str, Array]  # [T] each, 0..1
    bleed: Index  # [size * size] nearest texel of every cell
    fade: Array  # [T] 0 at the chart's border, 1 inside

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def skin(self) -> NDArray[np.bool_]:
        """Texels on the outside of the body: [T]."""
        inner = [self.masks[name] for name in ("eyes", "teeth", "tongue", "cavity")]
        return np.max(inner, axis=0) < 0.5

    def spread(self, field: NDArray[np.floating]) -> Array:
        """A vertex field at the texels: [V, C] -> [T, C]."""
        field = field.astype(np.float32, copy=False)
        total = field[self.ids[:, 0]] * self.bary[:, :1]
        total += field[self.ids[:, 1]] * self.bary[:, 1:2]
        total += field[self.ids[:, 2]] * self.bary[:, 2:]
        return total

    def grid(self, field: Array) -> Array:
        """Texels as a picture, continued past the chart's borders: [T, C] -> [size, size, C]."""
        return field[self.bleed].reshape(self.size, self.size, -1)

    def slopes(self, height: Array) -> Array:
        """How a relief tilts the normal, minus its surface gradient: [T] metres -> [T, 3]."""
        down, right = np.gradient(self.grid(height[:, None])[..., 0])
        along, across = self._duals
        right, down = right.reshape(-1)[self.cells], down.reshape(-1)[self.cells]
        return f32(-(along * right[:, None] + across * down[:, None]) * self.fade[:, None])

    @cached_property
    def _duals(self) -> tuple[Array, Array]:
        """What a change per column and per row is multiplied by to get a gradient: [T, 3] each."""
        down, right = np.gradient(self.grid(self.points), axis=(0, 1))
        down, right = down.reshape(-1, 3)[self.cells], right.reshape(-1, 3)[self.cells]
        rr, rd, dd = (right * right).sum(1), (right * down).sum(1), (down * down).sum(1)
        area = np.maximum(rr * dd - rd * rd, (2e-4) ** 4)[:, None]
        along = (right * dd[:, None] - down * rd[:, None]) / area
        across = (down * rr[:, None] - right * rd[:, None]) / area
        return along, across


@lru_cache(maxsize=4)
def load_canvas(size: int) -> Canvas:
    """The open head's chart, `size` x `size` texels."""
    head = load_open_head()
    texels = make_texels(head, size)
    chart = texels.chart
    cells = (chart.rows * size + chart.cols).numpy()
    index = np.zeros(size * size, np.int64)
    index[cells] = np.arange(len(cells))
    valid = chart.valid.numpy()
    rows, cols = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    inside = distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1].reshape(-1)[cells]
    masks = {name: mask.numpy() for name, mask in texels.masks.items()}
    masks["ear"] = read(ears_proper(head), texels.binding).numpy()
    return Canvas(
        size=size,
        head=head,
        cells=cells,
        ids=texels.binding.vertex_ids.numpy(),
        bary=texels.binding.bary.numpy(),
        points=read(head.template, texels.binding).numpy(),
        masks=masks,
        bleed=index[(rows * size + cols).reshape(-1)],
        fade=np.clip((inside - 1) / RIM, 0, 1).astype(np.float32),
    )


def smooth(x: Field, zero: float, one: float) -> Array:
    """0 at `zero`, 1 at `one`, smooth between."""
    t = np.clip((x - zero) / (one - zero), 0, 1)
    return f32(t * t * (3 - 2 * t))


def blob(points: Array, centre: tuple[float, ...], size: float | tuple[float, ...]) -> Array:
    """A soft spot, 1 in its middle; as many axes as `centre` has: [N, 3] -> [N]."""
    arms = (points[:, : len(centre)] - f32(centre)) / np.asarray(size, np.float32)
    return np.exp(-0.5 * (arms * arms).sum(1))


def distance_to(points: Array, line: NDArray[np.floating]) -> tuple[Array, Array]:
    """Distance to a polyline, and where along it 0..1 the nearest point is.

    [N, D], [K, D] -> [N] metres, [N].
    """
    best = np.full(len(points), np.inf, np.float32)
    along = np.zeros(len(points), np.float32)
    line = line.astype(np.float32)
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    ends = np.concatenate(([0], np.cumsum(lengths))) / lengths.sum()
    for i in range(len(line) - 1):
        side = line[i + 1] - line[i]
        share = np.clip((points - line[i]) @ side / max(float(side @ side), 1e-12), 0, 1)
        far = np.linalg.norm(points - line[i] - share[:, None] * side, axis=1)
        nearer = far < best
        best[nearer] = far[nearer]
        along[nearer] = (ends[i] + share * (ends[i + 1] - ends[i]))[nearer]
    return best, along
