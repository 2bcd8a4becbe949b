"""The page with nothing but the avatar, in Chromium: its alpha, and how it comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flexavatar.types import Camera, Gaussians
from tests.browser import browsing, need_chromium
from tests.service import PHOTO, TinyEngine, eventually, local_config, server_and_client

CLEAR = {"r": 0, "g": 0, "b": 0, "a": 0}


class FadingEngine(TinyEngine):
    """Red that fades from left to right, premultiplied; nothing in the upper half."""

    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        out[:] = 0
        height, width, _ = out.shape
        alpha = np.linspace(255, 0, width).astype(np.uint8)
        out[height // 2 :, :, 3] = alpha
        out[height // 2 :, :, 0] = alpha // 2


def test_the_avatar_on_transparent_ground(tmp_path: Path) -> None:
    need_chromium("the page for OBS")
    config = local_config(tmp_path)
    with server_and_client(config, FadingEngine()) as (client, addresses):
        client.create_avatar([PHOTO], name="ada")
        url = f"{addresses.http_address}/view/me"
        with browsing(tmp_path / "profile", url) as page:
            page.ask("Emulation.setDefaultBackgroundColorOverride", color=CLEAR)
            page.resize(64, 64)
            assert not page.picture().any()  # nobody is there yet
            with client.start_session("ada", name="me", width=64, height=64):
                eventually(lambda: bool(page.picture().any()))
                seen = page.picture()
                assert not seen[:32].any()
                alpha = np.linspace(255, 0, 64).astype(np.uint8)
                np.testing.assert_array_equal(seen[40, :, 3], alpha)
                red = seen[40, :, 2] * (alpha / 255)
                # straight colours are whole numbers, and so were the premultiplied ones
                np.testing.assert_allclose(red, alpha // 2, atol=1.0)
                assert not seen[40, :, :2].any()
            eventually(lambda: not page.picture().any())  # it has ended, and is not shown any more
            width = "document.querySelector('canvas').width"
            with client.start_session("ada", name="me", width=32, height=32):
                eventually(lambda: page.evaluate(width) == 32)  # it comes back by itself
