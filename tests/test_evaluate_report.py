"""Reports: figures as a table and as JSON, pictures inside the page."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexavatar.evaluation.charts import curve_svg
from flexavatar.evaluation.figures import FIGURES, mean_figures
from flexavatar.evaluation.report import (
    Item,
    Picture,
    PublishedResult,
    figure_lines,
    write_json,
    write_report,
)

RED = np.full((20, 30, 3), (200, 30, 30), np.uint8)
ITEMS = (
    Item(
        "ada <b>",
        {"head_psnr": 20.0, "unheard_of": 1.0},
        [Picture("truth & avatar", RED)],
        {"head_psnr over photos": [(1, 17.0), (2, 18.5)]},
        {"shapes": [{"shape": "jawOpen", "at_full": 0.75, "leak": math.nan}]},
    ),
    Item("bob", {"head_psnr": 23.0, "akd_px": math.nan}),
)
PAPER = PublishedResult("Paper P", {"psnr": 22.63}, "NeRSemble, other data than ours")


@pytest.fixture
def page(tmp_path: Path) -> str:
    path = tmp_path / "deep" / "report.html"
    write_report(path, "A title", "What it is.\n\nMore of it.", ITEMS, [PAPER])
    return path.read_text()


class _Open(HTMLParser):
    """Counts elements and follows what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "img", "br"}:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """`<path/>` opens and closes itself."""


def test_page_is_well_formed_and_needs_nothing_else(page: str) -> None:
    parser = _Open()
    parser.feed(page)
    assert not parser.stack
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "ada &lt;b&gt;" in page  # names are text, never markup
    assert page.count("<p>") == 4  # two of `about`, the signs, one before the papers' lines


def test_table_has_means_units_and_the_papers_lines(page: str) -> None:
    assert re.search(r"head_psnr ↑</td><td>dB</td><td class=\"mean\">21.500</td>", page)
    assert FIGURES["head_psnr"].meaning in html.unescape(page)
    assert "22.630" in page
    assert "other data than ours" in page
    assert "<td>–</td>" in page  # akd_px of neither


def test_pictures_are_inside(page: str) -> None:
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(found) == 1
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[0]))))
    assert picture.shape == RED.shape
    assert np.abs(picture.astype(int) - RED).max() < 12  # grey levels: JPEG


def test_json_is_flat_with_details_under_their_key(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "figures.json"
    write_json(path, ITEMS)
    found = json.loads(path.read_text())
    assert found["items"][0]["head_psnr"] == 20.0
    assert found["items"][0]["shapes"] == [{"shape": "jawOpen", "at_full": 0.75, "leak": None}]
    assert found["items"][1] == {"name": "bob", "head_psnr": 23.0, "akd_px": None}
    assert found["mean"] == {"head_psnr": 21.5, "unheard_of": 1.0, "akd_px": None}


def test_means_leave_out_what_was_not_measured() -> None:
    means = mean_figures([{"a": 1.0}, {"a": math.nan}, {"a": 3.0, "b": 5.0}])
    assert means == {"a": 2.0, "b": 5.0}


def test_lines_for_the_terminal_end_with_the_mean() -> None:
    assert figure_lines(ITEMS)[-1] == "mean: head_psnr 21.500, unheard_of 1, akd_px –"


def test_curve_rises_upwards() -> None:
    points = re.search(r'points="([^"]+)"', curve_svg([(1, 17.0), (2, 18.0), (4, 21.0)]))
    assert points is not None
    places = [tuple(map(float, p.split(","))) for p in points[1].split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
