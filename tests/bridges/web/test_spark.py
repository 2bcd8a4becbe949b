"""Pixels in a real engine: Spark, on three.js, in headless Chromium draws the live Gaussians."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, Gaussians
from tests.bridges.npm import web_available
from tests.bridges.web.relay import psnr_db, shoot
from tests.service import PHOTO, TinyEngine, local_config, server_and_client

pytestmark = [
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium"),
    pytest.mark.skipif(
        not web_available(), reason="needs Spark and three.js: `make test-bridges` fetches them"
    ),
]


class DrawingEngine(TinyEngine):
    """The tiny engine, with the product's own rasteriser."""

    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        out[:] = (rasterize(gaussians, camera).rgba.clamp(0, 1) * 255).round().byte().numpy()


def test_spark_draws_what_the_server_draws(tmp_path: Path) -> None:
    with server_and_client(local_config(tmp_path), DrawingEngine()) as (client, _):
        client.create_avatar([PHOTO], name="ball")
        shot = shoot(client, "ball")
    likeness = psnr_db(shot)
    print(f"Spark against the server: {likeness:.1f} dB, {shot.drawn} frames drawn")
    assert shot.drawn >= 3
    # steps of 1/255, float16 positions and a sort of its own; a mirrored or still picture has < 20
    assert likeness > 30
    assert (shot.server.max(-1) > 0).mean() > 0.05
