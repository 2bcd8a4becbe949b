"""What tests of pictures in other engines share: a server that draws, a smile, a comparison."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, Gaussians
from plugin_server.client import ClientSession
from plugin_server.reader import FrameReader
from tests.service import TinyAvatar, TinyEngine, TinyPuppet, must_receive

SMILE = {"jawOpen": 0.3, "mouthSmileLeft": 0.9, "mouthSmileRight": 0.9}
SIGNALS = 45
LAST_PTS_NS = 1_000_000


class DrawingEngine(TinyEngine):
    """The tiny engine, with the product's own rasteriser, and colours that eight bits can hold."""

    def puppet(self, avatar: TinyAvatar, other: TinyAvatar | None = None) -> TinyPuppet:
        puppet = super().puppet(avatar, other)
        puppet.gaussians = replace(puppet.gaussians, sh=puppet.gaussians.sh.clamp(-1.7, 1.7))
        return puppet

    def draw_rgba8(self, gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
        out[:] = (rasterize(gaussians, camera).rgba.clamp(0, 1) * 255).round().byte().numpy()


def drive_smile(session: ClientSession, wait: Callable[[], object] = lambda: None) -> None:
    """Thirty signals a second, the last of them with LAST_PTS_NS; `wait` after each."""
    for step in range(1, SIGNALS + 1):
        share = step / SIGNALS
        weights = {name: share * weight for name, weight in SMILE.items()}
        session.drive_once(weights, pts_ns=LAST_PTS_NS if step == SIGNALS else step)
        wait()
        time.sleep(1 / 30)


def last_picture(reader: FrameReader) -> np.ndarray:
    """The server's own picture of the last signal, [H, W, 3] uint8, over black."""
    while (frame := must_receive(reader)).header.pts_ns != LAST_PTS_NS:
        pass
    assert frame.rgba is not None
    return frame.rgba[..., :3].copy()


def psnr_db(picture: np.ndarray, server: np.ndarray) -> float:
    """How alike pictures [H, W, 3] uint8 over black are where the server drew something."""
    covered = server.max(-1) > 0
    error = (picture[covered].astype(float) - server[covered]) ** 2
    return float(10 * np.log10(255**2 / error.mean()))
