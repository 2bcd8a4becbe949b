"""The open head's chart to paint on: flat lists of texels, grids of them, and their paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from flexavatar.easing import smoothstep
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import auricle_mask
from flexavatar.head.mesh_operators import components
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import interpolate_barycentric, make_texels, texel_frames
from flexavatar.render.light import Color
from flexavatar.training.people.noise import Array, Field, f32

Index = NDArray[np.int64]
RIM = 3.0
"""Texels from the chart's border within which relief fades: its slope is not known there."""


@dataclass(frozen=True, eq=False)
class PaintCanvas:
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
    spacing: Array  # [T] metres from one texel to the next, the longer way

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def skin(self) -> NDArray[np.bool_]:
        """Texels on the outside of the body: [T]."""
        inner = [self.masks[name] for name in ("eyes", "teeth", "tongue", "cavity")]
        return np.max(inner, axis=0) < 0.5

    def at_texels(self, field: NDArray[np.floating]) -> Array:
        """Interpolate a vertex field at the texels: [V, C] -> [T, C]."""
        field = field.astype(np.float32, copy=False)
        total = field[self.ids[:, 0]] * self.bary[:, :1]
        total += field[self.ids[:, 1]] * self.bary[:, 1:2]
        total += field[self.ids[:, 2]] * self.bary[:, 2:]
        return total

    def grid(self, field: Array) -> Array:
        """Texels as a picture, continued past the chart's borders: [T, C] -> [size, size, C]."""
        return field[self.bleed].reshape(self.size, self.size, -1)

    def tilt_of_relief(self, height: Array) -> Array:
        """How a relief tilts the normal, minus its surface gradient: [T] metres -> [T, 3]."""
        down, right = np.gradient(self.grid(height[:, None])[..., 0])
        along, across = self._duals
        right, down = right.reshape(-1)[self.cells], down.reshape(-1)[self.cells]
        return f32(-(along * right[:, None] + across * down[:, None]) * self.fade[:, None])

    def noise_visibility(self, scale: float) -> Array:
        """1 where the chart can hold noise of so many bumps a metre, 0 where it is too coarse."""
        return smooth(self.spacing * scale, 1.1, 0.5)

    def stretched_spacing(self, points: Array) -> Array:
        """Metres between texels that lie elsewhere, the longer way: [T, 3] -> [T]."""
        down, right = np.gradient(self.grid(points), axis=(0, 1))
        down, right = down.reshape(-1, 3)[self.cells], right.reshape(-1, 3)[self.cells]
        longer = np.maximum((down * down).sum(1), (right * right).sum(1))
        return np.sqrt(f32(longer))

    def soft_edge(self, distance: Field, width_m: float) -> Array:
        """0 below and 1 above a border, as soft as the chart is coarse: signed metres [T]."""
        half = np.maximum(width_m, 0.9 * self.spacing)
        return smooth(distance / half, -1, 1)

    def chart_pixels(self, faces: Index, bary: Array) -> Array:
        """Where points of faces [N] lie on the chart, in pixels of its grid: [N, 2]."""
        corners = self.head.uv_faces.numpy()[faces]
        found = self._corners[corners[:, 0]] * bary[:, :1]
        found += self._corners[corners[:, 1]] * bary[:, 1:2]
        found += self._corners[corners[:, 2]] * bary[:, 2:]
        low, high = self._islands
        inner = self._inner_faces[faces]
        first = corners[inner, 0]
        found[inner] = np.clip(found[inner], low[first], high[first])
        return found

    @cached_property
    def shallow(self) -> Array:
        """1 outside, 0 at the back of the mouth, where no light finds its way back: [V]."""
        masks = self.head.masks
        return (1 - torch.maximum(masks["cavity"], 0.6 * masks["tongue"])).numpy()

    @cached_property
    def eye_faces(self) -> NDArray[np.bool_]:
        """Faces of the eyeballs: [F]."""
        return self.head.masks["eyes"].numpy()[self.head.faces.numpy()[:, 0]] > 0.5

    @cached_property
    def _inner_faces(self) -> NDArray[np.bool_]:
        """Faces of teeth, tongue and cavity, whose islands lie close together: [F]."""
        masks = [self.head.masks[name].numpy() for name in ("teeth", "tongue", "cavity")]
        return np.max(masks, axis=0)[self.head.faces.numpy()].min(1) > 0.5

    @cached_property
    def _corners(self) -> Array:
        """The chart's corners in pixels of its grid: [Vt, 2]."""
        size = self.size
        return f32(self.head.uvs.numpy() * (size, -size) + (-0.5, size - 0.5))

    @cached_property
    def _islands(self) -> tuple[Array, Array]:
        """Half a texel inside the box of each corner's island, low and high: [Vt, 2] each."""
        piece = components(self.head.uv_faces.numpy(), len(self._corners))
        low = np.full((piece.max() + 1, 2), np.inf, np.float32)
        high = -low
        np.minimum.at(low, piece, self._corners)
        np.maximum.at(high, piece, self._corners)
        return low[piece] + 0.6, high[piece] - 0.6

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
def load_canvas(size: int) -> PaintCanvas:
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
    masks["ear"] = interpolate_barycentric(auricle_mask(head), texels.binding).numpy()
    return PaintCanvas(
        size=size,
        head=head,
        cells=cells,
        ids=texels.binding.vertex_ids.numpy(),
        bary=texels.binding.bary.numpy(),
        points=interpolate_barycentric(head.template, texels.binding).numpy(),
        masks=masks,
        bleed=index[(rows * size + cols).reshape(-1)],
        fade=np.clip((inside - 1) / RIM, 0, 1).astype(np.float32),
        spacing=texel_frames(head, head.template, chart).spacing.amax(1).numpy(),
    )


def smooth(x: Field, zero: float, one: float) -> Array:
    """0 at `zero`, 1 at `one`, smooth between."""
    return f32(smoothstep(x, zero, one))


def gaussian_spot(
    points: Array, centre: tuple[float, ...], size: float | tuple[float, ...]
) -> Array:
    """A soft spot, 1 in its middle; as many axes as `centre` has: [N, 3] -> [N]."""
    arms = (points[:, : len(centre)] - f32(centre)) / np.asarray(size, np.float32)
    return np.exp(-0.5 * (arms * arms).sum(1))


def polyline_distance(points: Array, line: NDArray[np.floating]) -> tuple[Array, Array]:
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
        arm = points - line[i]
        share = np.clip(arm @ side / max(float(side @ side), 1e-12), 0, 1)
        arm -= share[:, None] * side
        far = np.einsum("nk,nk->n", arm, arm)
        nearer = far < best
        best = np.where(nearer, far, best)
        along = np.where(nearer, f32(ends[i] + share * (ends[i + 1] - ends[i])), along)
    return np.sqrt(best), along


@dataclass
class Paint:
    """Material of T texels, painted layer on layer."""

    albedo: Array  # [T, 3] linear
    gloss: Array  # [T] strength of the mirror part
    relief: Array  # [T] metres above the mesh

    @staticmethod
    def blank(canvas: PaintCanvas) -> Paint:
        """Black and matt texels."""
        count = len(canvas)
        return Paint(
            np.zeros((count, 3), np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
        )

    def cover(
        self, share: Field, color: Field | Color, gloss: float, relief: Field | float
    ) -> None:
        """Lay an opaque layer over all: share [T], color [T, 3] or [3]."""
        self.albedo += share[:, None] * (np.asarray(color, np.float32) - self.albedo)
        self.gloss += share * (f32(gloss) - self.gloss)
        self.relief += share * (np.asarray(relief, np.float32) - self.relief)

    def tint(self, share: Field, color: Field | Color) -> None:
        """Lay a colour over some, keeping gloss and relief."""
        self.albedo += share[:, None] * (np.asarray(color, np.float32) - self.albedo)

    def absorb(self, amount: Field, color: tuple[float, float, float]) -> None:
        """Darken as a filter does: amount [T] times absorption per channel."""
        self.albedo *= np.exp(-np.outer(amount, f32(color)))


def scatter_texels(count: int, index: NDArray[np.int64], values: Field) -> Array:
    """Values at some texels, 0 at the others: [N], [N] -> [T]."""
    full = np.zeros(count, np.float32)
    full[index] = values
    return full
