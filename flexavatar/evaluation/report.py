"""A report that anybody can open: one HTML file with its pictures inside, and the same as JSON."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from numpy.typing import NDArray
from PIL import Image

from flexavatar.evaluation.charts import curve_svg
from flexavatar.evaluation.figures import ARROWS, figure_of, mean_figures

JPEG_QUALITY = 88


@dataclass(frozen=True)
class Picture:
    """One picture of a report."""

    caption: str
    rgb: NDArray[np.uint8]  # [H, W, 3]


@dataclass(frozen=True)
class Item:
    """Figures, pictures and tables of one input: a video, a person, a photo."""

    name: str
    figures: Mapping[str, float]
    """Flat: name -> value, NaN where it was not measured. `figures.FIGURES` knows units."""
    pictures: Sequence[Picture] = ()
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Title -> points (x, y), in rising x."""
    tables: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    """Key -> rows of details: under the item's picture, and under `key` in JSON."""


@dataclass(frozen=True)
class PublishedResult:
    """A paper's figures, to stand beside ours and not against them."""

    name: str
    figures: Mapping[str, float]
    source: str
    """The paper's data, and a word that they differ from ours."""


def write_report(
    path: Path,
    title: str,
    about: str,
    items: Sequence[Item],
    published: Sequence[PublishedResult] = (),
) -> None:
    """One HTML file without anything outside it: table, mean, published lines, pictures, curves.

    `about` is plain text; a blank line starts a paragraph.
    """
    names = list(dict.fromkeys(name for item in items for name in item.figures))
    lines = list(dict.fromkeys(name for line in published for name in line.figures))
    page = _template().render(
        title=title,
        paragraphs=[p for p in about.split("\n\n") if p.strip()],
        items=items,
        names=names,
        mean=mean_figures([item.figures for item in items]),
        published=published,
        published_names=lines,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def write_json(path: Path, items: Sequence[Item]) -> None:
    """`{"items": [{"name": .., figures.., tables..}], "mean": {..}}`; null where NaN."""
    rows = [
        {"name": item.name, **_null_where_nan(item.figures)}
        | {key: [_null_where_nan(row) for row in rows] for key, rows in item.tables.items()}
        for item in items
    ]
    mean = _null_where_nan(mean_figures([item.figures for item in items]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"items": rows, "mean": mean}, indent=1, allow_nan=False) + "\n")


def figure_lines(items: Sequence[Item]) -> list[str]:
    """One line an item and one for their mean, for a terminal."""
    mean = Item("mean", mean_figures([item.figures for item in items]))
    return [
        f"{item.name}: "
        + ", ".join(f"{name} {_format_value(v)}" for name, v in item.figures.items())
        for item in (*items, mean)
    ]


def data_uri(rgb: NDArray[np.uint8]) -> str:
    """A picture [H, W, 3] as JPEG in a data: URI."""
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(data, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _null_where_nan(row: Mapping[str, object]) -> dict[str, object]:
    """A row for JSON, which knows no NaN and no infinity."""
    bad = {k for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
    return {k: None if k in bad else v for k, v in row.items()}


def _format_value(value: object) -> str:
    """Three decimals, none for whole numbers, a dash for what was not measured."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if value.is_integer() else f"{value:.3f}"


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"shown": _format_value, "data_uri": data_uri, "curve": curve_svg}
    environment.globals |= {"figure_of": figure_of, "arrows": ARROWS, "nan": math.nan}
    source = resources.files("flexavatar.evaluation").joinpath("report.html")
    return environment.from_string(source.read_text(encoding="utf-8"))
