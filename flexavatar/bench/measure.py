"""Times a function. A stage is a function without arguments that returns rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Measurement:
    """What one stage took, for one size of its input."""

    stage: str
    device: str
    threads: int
    gaussians: int
    width: int
    height: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


Stage = Callable[[], list[Measurement]]


def measure(
    stage: str,
    fn: Callable[[], object],
    *,
    threads: int,
    device: str = "cpu",
    gaussians: int = 0,
    width: int = 0,
    height: int = 0,
    runs: int = 100,
    warm_up: int = 10,
) -> Measurement:
    """Run `fn` often and note its times, waiting for the GPU where one is in use."""
    times_ms = []
    for _ in range(warm_up + runs):
        start = time.perf_counter()
        fn()
        if device != "cpu":
            torch.cuda.synchronize(device)
        times_ms.append(1000 * (time.perf_counter() - start))
    return Measurement(
        stage, device, threads, gaussians, width, height, *percentiles(times_ms[warm_up:])
    )


def percentiles(times_ms: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95 and p99."""
    p50, p95, p99 = np.percentile(times_ms, (50, 95, 99))
    return float(p50), float(p95), float(p99)


def format_table(rows: Sequence[Measurement]) -> str:
    """Rows as text, one line each."""
    lines = [f"{'stage':28} device thr gaussians      size   p50 ms   p95 ms   p99 ms"]
    for r in rows:
        size = f"{r.width}x{r.height}" if r.width else "-"
        lines.append(
            f"{r.stage:28} {r.device:6} {r.threads:3} {r.gaussians:9} {size:>9} "
            f"{r.p50_ms:8.2f} {r.p95_ms:8.2f} {r.p99_ms:8.2f}"
        )
    return "\n".join(lines)
