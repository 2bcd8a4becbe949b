"""Pixels in a real engine: Spark, on three.js, in headless Chromium draws the live Gaussians."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bridges.npm import web_available
from tests.bridges.pictures import DrawingEngine, psnr_db
from tests.bridges.web.relay import shoot
from tests.service import PHOTO, local_config, server_and_client

pytestmark = [
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium"),
    pytest.mark.skipif(
        not web_available(), reason="needs Spark and three.js: `make test-bridges` fetches them"
    ),
]


def test_spark_draws_what_the_server_draws(tmp_path: Path) -> None:
    with server_and_client(local_config(tmp_path), DrawingEngine()) as (client, _):
        client.create_avatar([PHOTO], name="ball")
        shot = shoot(client, "ball")
    likeness = psnr_db(shot.spark, shot.server)
    print(f"Spark against the server: {likeness:.1f} dB, {shot.drawn} frames drawn")
    assert shot.drawn >= 3
    # steps of 1/255, float16 positions and a sort of its own; a mirrored or still picture has < 20
    assert likeness > 30
    assert (shot.server.max(-1) > 0).mean() > 0.05
