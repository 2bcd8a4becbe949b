"""Milliseconds of every stage of a frame, on this machine and an avatar made here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.demo.live import perform_live
from flexavatar.demo.server_process import server_process
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, PerformanceFrame, read_performance
from flexavatar.render.camera import scaled
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.types import Camera, Gaussians, to_device
from plugin_server.client import FlexAvatarClient
from plugin_server.model_engine import ModelEngine

SIDE = 512
LOOSE_GAUSSIANS = 65_000
WARM_UP = 10
NAME = "bench"


@dataclass(frozen=True)
class Measurement:
    """One stage."""

    stage: str
    device: str
    threads: int
    gaussians: int
    width: int
    height: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Bench:
    """What all stages share."""

    device: str
    seconds: float
    results: list[Measurement]

    def add(self, stage: str, gaussians: int, times_ms: Sequence[float]) -> None:
        """Keep and print a stage."""
        p50, p95, p99 = (round(float(p), 3) for p in np.percentile(times_ms, (50, 95, 99)))
        threads = torch.get_num_threads()
        result = Measurement(stage, self.device, threads, gaussians, SIDE, SIDE, p50, p95, p99)
        self.results.append(result)
        print(f"{stage:20} {p50:8.2f} {p95:8.2f} {p99:8.2f}", flush=True)

    def measure(
        self,
        stage: str,
        gaussians: int,
        action: Callable[[], object],
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        """Run an action over and over after a warm-up; `prepare` goes first, off the clock."""
        times: list[float] = []
        until = time.perf_counter() + self.seconds
        while len(times) < 2 * WARM_UP or time.perf_counter() < until:
            prepare()
            self._wait()
            start = time.perf_counter()
            action()
            self._wait()
            times.append((time.perf_counter() - start) * 1000)
        self.add(stage, gaussians, times[WARM_UP:])

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()


def bench(out: Path, seconds: float) -> list[Measurement]:
    """Measure all stages, print them, write them to `out` as a JSON list."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = Bench(device, seconds, [])
    out.parent.mkdir(parents=True, exist_ok=True)
    performance = read_performance(SHIPPED_PERFORMANCE)
    print(f"{device}, {torch.get_num_threads()} threads, {SIDE} x {SIDE}, milliseconds")
    print(f"{'stage':20} {'p50':>8} {'p95':>8} {'p99':>8}")
    bench_rasterizer(run)
    store = out.parent / "bench_avatars"
    with server_process(store) as address, FlexAvatarClient(address) as client:
        made = client.create_avatar([SHIPPED_PORTRAIT], NAME, quick=True, replace=True)
        with client.start_session(NAME, SIDE, SIDE) as session:
            arrivals, _ = perform_live(session, performance)
    bench_frame(run, store / NAME, performance)
    run.add("drive_to_client", made.gaussians, [arrival.latency_ms for arrival in arrivals])
    out.write_text(json.dumps([asdict(result) for result in run.results], indent=2) + "\n")
    print(out)
    return run.results


def bench_rasterizer(run: Bench) -> None:
    """Forward to a float picture, forward to bytes, backward to all five fields."""
    gaussians, camera = egg(LOOSE_GAUSSIANS, run.device)
    count = len(gaussians)
    pixels = np.empty((SIDE, SIDE, 4), np.uint8)
    with torch.no_grad():
        run.measure("rasterize_forward", count, lambda: rasterize(gaussians, camera))
        run.measure("rasterize_rgba8", count, lambda: rasterize_rgba8(gaussians, camera, pixels))
    leaves = Gaussians(*(x.clone().requires_grad_() for x in vars(gaussians).values()))
    weight = torch.rand(SIDE, SIDE, 4, generator=torch.Generator().manual_seed(1)).to(run.device)
    loss = torch.zeros(())

    def forward() -> None:
        nonlocal loss
        loss = (rasterize(leaves, camera).rgba * weight).sum()

    run.measure("rasterize_backward", count, lambda: loss.backward(), forward)


def bench_frame(run: Bench, folder: Path, performance: Sequence[PerformanceFrame]) -> None:
    """Drive signal to Gaussians, and on to bytes: what the server does for each frame."""
    engine = ModelEngine(run.device)
    avatar = engine.load(folder)
    puppet, frames = engine.puppet(avatar), cycle(performance)
    camera = scaled(puppet.camera, SIDE, SIDE)
    pixels = np.empty((SIDE, SIDE, 4), np.uint8)

    def animate() -> Gaussians:
        frame = next(frames)
        codes = puppet.from_arkit(frame.weights)
        return puppet.animate(replace(codes, neck_pose=torch.tensor(frame.neck_pose)))

    run.measure("drive_to_gaussians", len(avatar), animate)
    run.measure("frame", len(avatar), lambda: engine.draw_rgba8(animate(), camera, pixels))


def egg(count: int, device: str) -> tuple[Gaussians, Camera]:
    """Opaque Gaussians on an egg that covers about 30% of the picture, as a head does."""
    generator = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    gaussians = Gaussians(
        means=normals * torch.tensor([0.085, 0.125, 0.1]),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        scales=0.0007 + 0.0006 * torch.rand(count, 3, generator=generator),
        opacities=0.5 + 0.5 * torch.rand(count, generator=generator),
        sh=torch.randn(count, 1, 3, generator=generator),
    )
    viewmat = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    viewmat[2, 3] = 1.0
    K = torch.tensor([[1500.0, 0, SIDE / 2], [0, 1500.0, SIDE / 2], [0, 0, 1]])
    camera = Camera(viewmat, K, SIDE, SIDE)
    return to_device(gaussians, device), to_device(camera, device)
