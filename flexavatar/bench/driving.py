"""Stages from a signal to a frame: of the shipped portrait's avatar, and of a voice."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from itertools import cycle, repeat
from pathlib import Path

import numpy as np
import torch

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.avatar.expression_network import ExpressionNetwork
from flexavatar.bench.measure import Measurement, measure, percentiles
from flexavatar.create.create import CreateConfig, create_avatar
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
from flexavatar.drive.voice.driver import VoiceDriver
from flexavatar.render import native
from flexavatar.render.camera import resize_camera
from flexavatar.render.rasterize import rasterize_rgba8
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
SOUND_RATE, SOUND_CHANNELS, SOUND_AMPLITUDE = 48_000, 2, 3000


@lru_cache(maxsize=1)
def portrait_avatar() -> Avatar:
    """Quickly made: its number of Gaussians is that of a full one."""
    avatar = create_avatar([SHIPPED_PORTRAIT.read_bytes()], CreateConfig(quick=True))
    assert isinstance(avatar, Avatar)
    return avatar


def frame_stages() -> list[Measurement]:
    """Drive signal to Gaussians, and on to RGBA bytes, of splats that only move with the mesh."""
    return driven_stages(replace(portrait_avatar(), dynamic=None))


def coded_stages() -> list[Measurement]:
    """Whole frames of an avatar of K, whose network makes all of each."""
    config = CreateConfig(model="bias_sink", quick=True, quick_steps=1)  # as quick to drive as any
    return driven_stages(create_avatar([SHIPPED_PORTRAIT.read_bytes()], config), "_coded")


def driven_stages(
    avatar: AnyAvatar, suffix: str = "", other: AnyAvatar | None = None
) -> list[Measurement]:
    """What the server does for each frame of an avatar; the stages' names end in `suffix`.

    With another avatar each frame shows somebody else between the two.
    """
    engine = ModelEngine()
    puppet, signals = engine.puppet(avatar, other), cycle(read_performance(SHIPPED_PERFORMANCE))
    shares = cycle(i / STEPS for i in range(1, STEPS)) if other else repeat(0.0)
    camera = resize_camera(puppet.camera, SIDE, SIDE)
    pixels = np.empty((SIDE, SIDE, 4), np.uint8)

    def animate() -> Gaussians:
        return puppet.animate(replace(next(signals), morph=next(shares)))

    actions = {
        "drive_to_gaussians": animate,
        "frame": lambda: rasterize_rgba8(animate(), camera, pixels),
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


def client_stages() -> list[Measurement]:
    """Drive signal sent to frame decoded, through a server of its own: ten seconds at 60 Hz."""
    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder)) as address:
        with FlexAvatarClient(address) as client:
            device = client.wait_ready().device
            made = client.create_avatar([SHIPPED_PORTRAIT], NAME, quick=True)
            with client.start_session(NAME, SIDE, SIDE) as session:
                arrivals, _ = perform_live(session, read_performance(SHIPPED_PERFORMANCE))
    times = percentiles([arrival.latency_ms for arrival in arrivals])
    threads = native.available_threads()  # the server's: nothing there asks for another number
    return [Measurement("drive_to_client", device, threads, made.gaussians, SIDE, SIDE, *times)]


def expression_stages() -> list[Measurement]:
    """Expression to driving map, to dG; then whole frames."""
    avatar = portrait_avatar()
    assert avatar.dynamic is not None
    animator, expressor = Animator(avatar), ExpressionNetwork(avatar.dynamic)
    with torch.inference_mode():
        moves = animator.expression_moves(avatar.codes)
        actions = {
            "moves": lambda: animator.expression_moves(avatar.codes),
            "drive_map": lambda: expressor.drive_map(moves),
            "unet": lambda: expressor.change(moves),
        }
        rows = [
            measure(stage, action, threads=native.get_threads(), gaussians=len(avatar), runs=RUNS)
            for stage, action in actions.items()
        ]
    other = replace(avatar, neutral=1.05 * avatar.neutral)
    return rows + driven_stages(avatar, "_unet") + driven_stages(avatar, "_morph", other)


def voice_stages() -> list[Measurement]:
    """A tenth of a second of sound, as calls send it; 100 ms would be a whole core."""
    driver = VoiceDriver(SOUND_RATE, SOUND_CHANNELS)
    sound = np.random.default_rng(0).normal(0, SOUND_AMPLITUDE, (SOUND_RATE // 10, SOUND_CHANNELS))
    piece = sound.clip(-32768, 32767).astype("<i2").tobytes()
    return [measure("voice_100ms", lambda: driver.push(piece), threads=1)]
