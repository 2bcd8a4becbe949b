"""Pixels in a real engine: Spark, on three.js, in headless Chromium draws the live Gaussians."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bridges.npm import web_available
from tests.bridges.pictures import screenshot_of_ball
from tests.bridges.web.relay import take_screenshot

pytestmark = [
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium"),
    pytest.mark.skipif(
        not web_available(), reason="needs Spark and three.js: `make test-bridges` fetches them"
    ),
]


def test_spark_draws_what_the_server_draws(tmp_path: Path) -> None:
    screenshot = screenshot_of_ball(tmp_path, take_screenshot)
    # steps of 1/255, float16 positions and a sort of its own; a mirrored or still picture has < 20
    assert screenshot.likeness_db > 30
