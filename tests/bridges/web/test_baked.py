"""A baked avatar in a page: the golden set in Node, damaged files, and the picture in Chromium."""

from __future__ import annotations

import base64
import json
import math
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flexavatar.baked.file import read_baked
from flexavatar.baked.poser import BakedPoser
from flexavatar.head.arkit import arkit_vector
from flexavatar.render.camera import resize_camera
from flexavatar.render.rasterize import rasterize_rgba8
from tests.browser import CHROMIUM, browsing
from tests.conftest import ROOT
from tests.make_golden import GOLDEN
from tests.test_baked import damaged_files, rewritten

NODE = shutil.which("node")
SCRIPTS = Path(__file__).parent
PAGE = ROOT / "integrations" / "web"
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
POSES: list[dict[str, float]] = [
    {},
    {"jawOpen": 0.6, "mouthSmileLeft": 1.0},
    {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0, "browInnerUp": 0.7},
]
SHOW = """import("./page.js").then(async ({ready, show}) => {
    await ready;
    await show(%s);
    const canvas = document.querySelector("canvas"), gl = canvas.getContext("webgl2");
    const pixels = new Uint8Array(4 * canvas.width * canvas.height);
    gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    let text = "";
    for (let i = 0; i < pixels.length; i += 8192)
        text += String.fromCharCode(...pixels.subarray(i, i + 8192));
    return btoa(text);
})"""

needs_node = pytest.mark.skipif(NODE is None, reason="needs Node")


def node(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(NODE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@needs_node
def test_node_agrees_with_the_golden_set() -> None:
    files = (GOLDEN / "baked.glb", GOLDEN / "baked.poses")
    done = node(SCRIPTS / "pose_baked.mjs", *files)
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert differences.pop("steps") <= 1
    assert len(differences) == 5
    assert max(differences.values()) < 1e-5


@needs_node
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    data = (GOLDEN / "baked.glb").read_bytes()
    spoilt = [rewritten(data, change) for change in damaged_files().values()]
    for name, content in enumerate([*spoilt, data[: len(data) // 2], data[:27], b""]):
        (tmp_path / f"{name}.glb").write_bytes(content)
    done = node(SCRIPTS / "refuse_baked.mjs", GOLDEN / "baked.glb", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["refused"] == len(spoilt) + 3
    assert result["fuzzed"] == 300  # read or refused in words of our own
    assert result["fuzzed_refused"] > 60


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Files of a folder over HTTP, and its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def likeness_db(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures [H, W, 4] where either shows something."""
    shown = (a[..., 3] > 0) | (b[..., 3] > 0)
    return 10 * math.log10(255**2 / np.square(a[shown].astype(float) - b[shown]).mean())


def pictures_of_page(file: Path, folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each of POSES the page's picture and our own, [512, 512, 4]."""
    site = folder / "site"
    shutil.copytree(PAGE, site)
    shutil.copy(file, site / "head.glb")
    baked = read_baked(file.read_bytes())
    camera, pairs = resize_camera(baked.camera, 512, 512), []
    with (
        served(site) as address,
        browsing(folder / "profile", f"{address}/index.html?avatar=head.glb", *WEBGL) as page,
    ):
        for weights in POSES:
            data = base64.b64decode(page.evaluate(SHOW % json.dumps(weights)))
            seen = np.frombuffer(data, np.uint8).reshape(512, 512, 4)[::-1]
            posed = BakedPoser(baked).pose(torch.from_numpy(arkit_vector(weights)))
            pairs.append((seen, rasterize_rgba8(posed, camera)))
    return pairs


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_draws_what_the_server_draws(tmp_path: Path) -> None:
    for seen, wanted in pictures_of_page(GOLDEN / "baked.glb", tmp_path):
        assert wanted[..., 3].max() > 127  # somebody is there
        assert likeness_db(seen, wanted) > 35
