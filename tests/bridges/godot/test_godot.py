"""Pixels in a real engine: Godot 3, with scripts and a shader alone, draws the live Gaussians."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bridges.godot.screenshot import take_screenshot
from tests.bridges.pictures import screenshot_of_ball

pytestmark = [
    pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")
    for program in ("godot3", "Xvfb")
]


def test_godot_draws_what_the_server_draws(tmp_path: Path) -> None:
    screenshot = screenshot_of_ball(tmp_path, take_screenshot)
    assert screenshot.keys >= 1
    assert screenshot.deltas >= 3
    # Steps of 1/255 and float16 positions leave 50. A blur of 0.1 instead of 0.3 pixels^2 has 48,
    # splats at one depth in the other order 40, unsorted ones 30, a mirror 14, blended light 13.
    assert screenshot.likeness_db > 49
