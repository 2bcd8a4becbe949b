"""Milliseconds of every stage: `python -m flexavatar.bench` prints a table and writes bench.json.

A stage is a function without arguments that returns rows; a module in STAGE_MODULES lists its
stages as STAGES. `measure` makes a row.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

STAGE_MODULES = ("tests.bench_render",)


@dataclass(frozen=True)
class Row:
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


Stage = Callable[[], list[Row]]


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
) -> Row:
    """Run `fn` often and note its times, waiting for the GPU where one is in use."""
    times_ms = []
    for _ in range(warm_up + runs):
        start = time.perf_counter()
        fn()
        if device != "cpu":
            torch.cuda.synchronize(device)
        times_ms.append(1000 * (time.perf_counter() - start))
    p50, p95, p99 = (float(x) for x in np.percentile(times_ms[warm_up:], (50, 95, 99)))
    return Row(stage, device, threads, gaussians, width, height, p50, p95, p99)


def table(rows: Sequence[Row]) -> str:
    """Rows as text, one line each."""
    lines = [f"{'stage':28} device thr gaussians      size   p50 ms   p95 ms   p99 ms"]
    for r in rows:
        size = f"{r.width}x{r.height}"
        lines.append(
            f"{r.stage:28} {r.device:6} {r.threads:3} {r.gaussians:9} {size:>9} "
            f"{r.p50_ms:8.2f} {r.p95_ms:8.2f} {r.p99_ms:8.2f}"
        )
    return "\n".join(lines)


def run_stages(stages: Iterable[Stage]) -> list[Row]:
    """All rows, printing each stage as it is done."""
    rows = []
    for stage in stages:
        done = stage()
        print(table(done), flush=True)
        rows += done
    return rows


def main(out: Path = Path("out/bench.json"), modules: tuple[str, ...] = STAGE_MODULES) -> None:
    """Measure every stage of `modules` and write the rows to `out`."""
    stages = [stage for name in modules for stage in importlib.import_module(name).STAGES]
    rows = run_stages(stages)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(f"wrote {out}")


if __name__ == "__main__":
    tyro.cli(main)
