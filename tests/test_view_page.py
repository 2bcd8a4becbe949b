"""The page with nothing but the avatar, in Chromium: its alpha, and how it comes back."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from websockets.sync.client import connect

from flexavatar.types import Camera, Gaussians
from tests.service import PATIENCE_S, PHOTO, TinyEngine, eventually, local_config, server_and_client

CHROMIUM = shutil.which("chromium")
CLEAR = {"r": 0, "g": 0, "b": 0, "a": 0}
Ask = Callable[..., dict[str, Any]]


class FadingEngine(TinyEngine):
    """Red that fades from left to right, premultiplied; nothing in the upper half."""

    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        out[:] = 0
        height, width, _ = out.shape
        alpha = np.linspace(255, 0, width).astype(np.uint8)
        out[height // 2 :, :, 3] = alpha
        out[height // 2 :, :, 0] = alpha // 2


@contextmanager
def browsing(folder: Path, url: str) -> Iterator[Ask]:
    """A page in Chromium without a window, and a way to ask it by the DevTools protocol."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=64,64",
        f"--user-data-dir={folder}", "--remote-debugging-port=0", url,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            told = folder / "DevToolsActivePort"
            eventually(lambda: told.exists() and len(told.read_text().split()) == 2)
            port = told.read_text().split()[0]
            with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_S) as answer:
                pages = [p for p in json.load(answer) if p["type"] == "page"]
            address = pages[0]["webSocketDebuggerUrl"]
            numbers = itertools.count(1)
            with connect(address, max_size=None, proxy=None) as line:

                def ask(method: str, **parameters: Any) -> dict[str, Any]:
                    number = next(numbers)
                    line.send(json.dumps({"id": number, "method": method, "params": parameters}))
                    while (answer := json.loads(line.recv(PATIENCE_S))).get("id") != number:
                        pass
                    return answer["result"]

                yield ask
        finally:
            browser.terminate()


def picture(ask: Ask) -> np.ndarray:
    """What is seen of the page [H, W, 4]: BGRA, straight alpha."""
    shot = base64.b64decode(ask("Page.captureScreenshot", format="png")["data"])
    seen = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_UNCHANGED)
    assert seen is not None, "Chromium writes PNG"
    return seen


def canvas_width(ask: Ask) -> int:
    script = "document.querySelector('canvas').width"
    return ask("Runtime.evaluate", expression=script)["result"]["value"]


def test_the_avatar_on_transparent_ground(tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("not tested: the page for OBS, as there is no chromium here")
    config = local_config(tmp_path)
    with server_and_client(config, FadingEngine()) as (client, addresses):
        client.create_avatar([PHOTO], name="ada")
        url = f"{addresses.http_address}/view/me"
        with browsing(tmp_path / "profile", url) as ask:
            ask("Emulation.setDefaultBackgroundColorOverride", color=CLEAR)
            ask("Emulation.setDeviceMetricsOverride",
                width=64, height=64, deviceScaleFactor=1, mobile=False)  # fmt: skip
            assert not picture(ask).any()  # nobody is there yet
            with client.start_session("ada", name="me", width=64, height=64):
                eventually(lambda: bool(picture(ask).any()))
                seen = picture(ask)
                assert not seen[:32].any()
                alpha = np.linspace(255, 0, 64).astype(np.uint8)
                np.testing.assert_array_equal(seen[40, :, 3], alpha)
                red = seen[40, :, 2] * (alpha / 255)
                # straight colours are whole numbers, and so were the premultiplied ones
                np.testing.assert_allclose(red, alpha // 2, atol=1.0)
                assert not seen[40, :, :2].any()
            eventually(lambda: not picture(ask).any())  # it has ended, and is not shown any more
            with client.start_session("ada", name="me", width=32, height=32):
                eventually(lambda: canvas_width(ask) == 32)  # it comes back by itself
