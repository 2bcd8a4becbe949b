"""What tests of pictures in other engines share: a server that draws, a smile, a comparison."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, Gaussians
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.session import ClientSession
from tests.service import (
    PHOTO,
    TinyAvatar,
    TinyEngine,
    TinyPuppet,
    local_config,
    must_receive,
    server_and_client,
)

SMILE = {"jawOpen": 0.3, "mouthSmileLeft": 0.9, "mouthSmileRight": 0.9}
SIGNALS = 45
LAST_PTS_NS = 1_000_000


@dataclass(frozen=True)
class Screenshot:
    """What an engine and the server drew at the same instant."""

    engine: np.ndarray  # [H, W, 3] uint8, over black
    server: np.ndarray
    drawn: int  # frames that the engine drew

    @property
    def likeness_db(self) -> float:
        """How alike the two are where the server drew something."""
        covered = self.server.max(-1) > 0
        error = (self.engine[covered].astype(float) - self.server[covered]) ** 2
        return float(10 * np.log10(255**2 / error.mean()))

    def write(self, out: str) -> None:
        """Both pictures side by side; says how alike they are."""
        beside = np.hstack((self.server, self.engine))
        cv2.imwrite(out, cv2.cvtColor(beside, cv2.COLOR_RGB2BGR))
        print(f"{self.likeness_db:.1f} dB over the head, {self.drawn} frames drawn")


S = TypeVar("S", bound=Screenshot)


def screenshot_of_ball(folder: Path, take_screenshot: Callable[[FlexAvatarClient, str], S]) -> S:
    """A screenshot of a tiny avatar, which a server keeps in this folder."""
    with server_and_client(local_config(folder), DrawingEngine()) as (client, _):
        client.create_avatar([PHOTO], name="ball")
        screenshot = take_screenshot(client, "ball")
    likeness = f"{screenshot.likeness_db:.1f} dB, {screenshot.drawn} frames drawn"
    print(f"the engine against the server: {likeness}")
    assert screenshot.drawn >= 3
    assert (screenshot.server.max(-1) > 0).mean() > 0.05
    return screenshot


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
