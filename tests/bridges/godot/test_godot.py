"""Pixels in a real engine: Godot 3, with scripts and a shader alone, draws the live Gaussians."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bridges.godot.shoot import shoot
from tests.bridges.pictures import DrawingEngine, psnr_db
from tests.service import PHOTO, local_config, server_and_client

pytestmark = [
    pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")
    for program in ("godot3", "Xvfb")
]


def test_godot_draws_what_the_server_draws(tmp_path: Path) -> None:
    with server_and_client(local_config(tmp_path), DrawingEngine()) as (client, _):
        client.create_avatar([PHOTO], name="ball")
        shot = shoot(client, "ball")
    likeness = psnr_db(shot.godot, shot.server)
    print(f"Godot against the server: {likeness:.1f} dB, {shot.drawn} frames drawn")
    assert shot.keys >= 1
    assert shot.deltas >= 3
    assert shot.drawn >= 3
    # Steps of 1/255 and float16 positions leave 50. A blur of 0.1 instead of 0.3 pixels^2 has 48,
    # splats at one depth in the other order 40, unsorted ones 30, a mirror 14, blended light 13.
    assert likeness > 49
    assert (shot.server.max(-1) > 0).mean() > 0.05
