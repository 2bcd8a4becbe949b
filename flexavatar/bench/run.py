"""The one list of stages: prints a table and writes every row to a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flexavatar.bench.encode import encode_stages
from flexavatar.bench.expression import expression_stages
from flexavatar.bench.measure import Row, Stage, table
from flexavatar.bench.portrait import coded_stages, drive_to_client, frame_stages
from flexavatar.bench.rasterize import mesh_view, rasterize_backward, rasterize_forward
from flexavatar.bench.splats import packed16, splat_delta
from flexavatar.bench.voice import voice_stages

STAGES: Sequence[Stage] = (
    rasterize_forward,
    rasterize_backward,
    mesh_view,
    frame_stages,
    expression_stages,
    coded_stages,
    encode_stages,
    packed16,
    splat_delta,
    voice_stages,
    drive_to_client,
)


def run_stages(stages: Sequence[Stage]) -> list[Row]:
    """All rows, printing each stage as it is done."""
    rows = []
    for stage in stages:
        done = stage()
        if done:
            print(table(done), flush=True)
        rows += done
    return rows


def main(out: Path = Path("out/bench.json")) -> None:
    """Measure every stage on this machine: print a table, write the rows to `out` as JSON."""
    rows = run_stages(STAGES)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(f"wrote {out}")
