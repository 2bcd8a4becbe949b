"""Line charts for reports: a curve as SVG, and what was asked beside what came, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

WIDTH, HEIGHT, MARGIN = 360, 220, 44
"""Of an SVG, its own units."""
ASKED_COLOR, SHOWN_COLOR = (150, 150, 150), (30, 90, 220)

Array = NDArray[np.float64]


def curve_svg(points: Sequence[tuple[float, float]]) -> Markup:
    """Points (x, y) joined by a line, each with its value; empty if there are none."""
    if not points:
        return Markup("")
    xs, ys = _normalised([p[0] for p in points]), _normalised([p[1] for p in points])
    places = [
        (MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN))
        for x, y in zip(xs, ys, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = Markup("").join(
        Markup(
            '<circle cx="{:.1f}" cy="{:.1f}" r="3"/>'
            '<text x="{:.1f}" y="{:.1f}">{}</text><text x="{:.1f}" y="{}">{}</text>'
        ).format(x, y, x, y - 8, f"{value:.4g}", x, HEIGHT - MARGIN + 18, f"{at:g}")
        for (x, y), (at, value) in zip(places, points, strict=True)
    )
    base = HEIGHT - MARGIN
    return Markup(
        '<svg class="curve" viewBox="0 0 {} {}" role="img">'
        '<path d="M{} {}V{}H{}"/><polyline points="{}"/>{}</svg>'
    ).format(WIDTH, HEIGHT, MARGIN / 2, MARGIN / 2, base, WIDTH - MARGIN / 2, line, marks)


def _normalised(values: Sequence[float]) -> list[float]:
    """Values moved into 0..1; all in the middle if they are equal."""
    low, high = min(values), max(values)
    return [0.5 if high == low else (v - low) / (high - low) for v in values]


def blank_chart(width: int, height: int) -> NDArray[np.uint8]:
    """A white picture to draw lines on: [height, width, 3]."""
    return np.full((height, width, 3), 255, np.uint8)


def draw_lines(chart: NDArray[np.uint8], x: Array, asked: Array, shown: Array) -> None:
    """What was asked in grey and what came of it in blue: heights in pixels at x, each [T]."""
    for y, color in ((asked, ASKED_COLOR), (shown, SHOWN_COLOR)):
        points = np.stack((x, y), 1).round().astype(np.int32)
        cv2.polylines(chart, [points], False, color, 1, cv2.LINE_AA)
