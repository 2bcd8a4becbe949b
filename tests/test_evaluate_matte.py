"""Mattes against the truth: made cutouts, and people rendered with alpha where they are at hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flexavatar.capture.portrait import Portrait
from flexavatar.cli import run
from flexavatar.errors import InputError
from flexavatar.evaluation.figures import FIGURES
from flexavatar.evaluation.matte import (
    BAND,
    PICTURES,
    Cutout,
    evaluate_matte,
    matte_figures,
    read_backgrounds,
    read_cutout,
)
from flexavatar.formats.picture import to_uint8


@pytest.fixture(scope="module")
def person(portrait: Portrait, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with its own matte for alpha, as if seen from three sides."""
    folder = tmp_path_factory.mktemp("people") / "sample"
    folder.mkdir()
    rgba = to_uint8(np.dstack((portrait.colors, portrait.matte)))
    for name in PICTURES:
        Image.fromarray(rgba).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blue wall, wide, and a green one, high."""
    folder = tmp_path_factory.mktemp("backgrounds")
    Image.new("RGB", (700, 300), (40, 60, 160)).save(folder / "blue.png")
    Image.new("RGB", (90, 400), (60, 150, 70)).save(folder / "green.jpg")
    (folder / "licence.txt").write_text("mine")
    return folder


@pytest.fixture(scope="module")
def cutout(person: Path) -> Cutout:
    return read_cutout(person / PICTURES[0])


def test_the_truth_has_no_error(portrait: Portrait, cutout: Cutout) -> None:
    true = replace(portrait, matte=cutout.alpha, colors=cutout.colors)
    assert set(matte_figures(true, cutout).values()) == {0}


def test_each_figure_sees_its_own_fault(portrait: Portrait, cutout: Cutout) -> None:
    """A light patch of wall far from the person, a hole in the forehead, a blurred outline."""
    true = replace(portrait, matte=cutout.alpha, colors=cutout.colors)
    taken, holed = cutout.alpha.copy(), cutout.alpha.copy()
    taken[40:72, :32] = 1
    x, y = portrait.face.points[9, :2].astype(int)
    holed[y - 8 : y + 8, x - 8 : x + 8] = 0
    soft = cv2.GaussianBlur(cutout.alpha, (0, 0), 4)
    figures = [matte_figures(replace(true, matte=m), cutout) for m in (taken, holed, soft)]
    share = 32 * 32 / portrait.inside.sum()
    assert figures[0]["background_taken"] == pytest.approx(share, rel=1e-6)
    assert figures[1]["person_lost"] == pytest.approx(256 / (cutout.alpha > 0.5).sum(), rel=1e-6)
    assert figures[0]["alpha_error_band"] == figures[1]["alpha_error_band"] == 0
    assert figures[2]["alpha_error_band"] > 0.05
    wrong = matte_figures(replace(true, colors=cutout.colors * 0 + 1), cutout)
    assert wrong["color_error_band"] > 0.3
    assert BAND * len(cutout.alpha) == 12


def test_a_person_before_walls(person: Path, backgrounds: Path) -> None:
    walls = read_backgrounds(backgrounds)
    assert [wall.name for wall in walls] == ["blue.png", "green.jpg"]
    item = evaluate_matte(person, walls, each=1)
    assert item.figures.keys() <= FIGURES.keys()
    assert item.figures["alpha_error_band"] < 0.15
    assert item.figures["background_taken"] < 0.003
    assert len(item.pictures) == 2 * len(PICTURES)
    again = evaluate_matte(person, walls, each=1)
    assert again.figures == item.figures
    assert again.pictures[0].caption == item.pictures[0].caption


def test_the_command_writes_figures(person: Path, backgrounds: Path, tmp_path: Path) -> None:
    path = tmp_path / "matte.json"
    options = ["--each", "1", "--json", str(path), "--html", str(tmp_path / "matte.html")]
    assert run(["evaluate", "matte", str(person), "--backgrounds", str(backgrounds), *options]) == 0
    found = json.loads(path.read_text())
    assert found["items"][0]["name"] == "sample"
    assert found["mean"]["color_error_band"] < 0.1


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        read_backgrounds(tmp_path)
    with pytest.raises(InputError, match=r"yaw\+000"):
        evaluate_matte(tmp_path, [tmp_path])
    Image.new("RGB", (64, 64)).save(tmp_path / PICTURES[0])
    with pytest.raises(InputError, match="alpha"):
        read_cutout(tmp_path / PICTURES[0])
