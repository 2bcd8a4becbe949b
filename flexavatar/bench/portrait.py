"""Stages of a driven frame, on the avatar of the portrait that ships."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from itertools import cycle, repeat
from pathlib import Path

import numpy as np
import torch

from flexavatar.avatar.avatar import AnyAvatar, Avatar
from flexavatar.bench.measure import Row, measure, percentiles
from flexavatar.create.create import CreateConfig, create_avatar
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
from flexavatar.render import native
from flexavatar.render.camera import resize_camera
from flexavatar.types import Gaussians
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.live_performance import perform_live
from plugin_server.client.server_process import server_process
from plugin_server.model_engine import ModelEngine

SIDE = 512
RUNS = 300
NAME = "bench"
STEPS = 60
"""From one avatar to another."""


@lru_cache(maxsize=1)
def portrait_avatar() -> Avatar:
    """Quickly made: its number of Gaussians is that of a full one."""
    avatar = create_avatar([SHIPPED_PORTRAIT.read_bytes()], CreateConfig(quick=True))
    assert isinstance(avatar, Avatar)
    return avatar


def frame_stages() -> list[Row]:
    """Drive signal to Gaussians, and on to RGBA bytes, of splats that only move with the mesh."""
    return driven_stages(replace(portrait_avatar(), dynamic=None))


def coded_stages() -> list[Row]:
    """Whole frames of an avatar of K, whose network makes all of each."""
    config = CreateConfig(model="bias_sink", quick=True, quick_steps=1)  # as quick to drive as any
    return driven_stages(create_avatar([SHIPPED_PORTRAIT.read_bytes()], config), "_coded")


def driven_stages(avatar: AnyAvatar, suffix: str = "", other: AnyAvatar | None = None) -> list[Row]:
    """What the server does for each frame of an avatar; the stages' names end in `suffix`.

    With another avatar each frame shows somebody else between the two.
    """
    engine = ModelEngine()
    puppet, signals = engine.puppet(avatar, other), cycle(read_performance(SHIPPED_PERFORMANCE))
    shares = cycle(i / STEPS for i in range(1, STEPS)) if other else repeat(0.0)
    camera = resize_camera(puppet.camera, SIDE, SIDE)
    pixels = np.empty((SIDE, SIDE, 4), np.uint8)

    def animate() -> Gaussians:
        signal = next(signals)
        codes = puppet.from_arkit(signal.weights)
        turned = replace(codes, neck_pose=torch.tensor(signal.neck_pose))
        return puppet.animate(turned, next(shares))

    actions = {
        "drive_to_gaussians": animate,
        "frame": lambda: engine.draw_rgba8(animate(), camera, pixels),
    }
    return [
        measure(
            stage + suffix,
            action,
            threads=native.get_threads(),
            device=engine.device,
            gaussians=puppet.count,
            width=SIDE,
            height=SIDE,
            runs=RUNS,
        )
        for stage, action in actions.items()
    ]


def drive_to_client() -> list[Row]:
    """Drive signal sent to frame decoded, through a server of its own: ten seconds at 60 Hz."""
    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder)) as address:
        with FlexAvatarClient(address) as client:
            device = client.wait_ready().device
            made = client.create_avatar([SHIPPED_PORTRAIT], NAME, quick=True)
            with client.start_session(NAME, SIDE, SIDE) as session:
                arrivals, _ = perform_live(session, read_performance(SHIPPED_PERFORMANCE))
    times = percentiles([arrival.latency_ms for arrival in arrivals])
    threads = native.available_threads()  # the server's: nothing there asks for another number
    return [Row("drive_to_client", device, threads, made.gaussians, SIDE, SIDE, *times)]
