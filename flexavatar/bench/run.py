"""The one list of stages: prints a table and writes every row to a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flexavatar.bench.driving import (
    client_stages,
    coded_stages,
    expression_stages,
    frame_stages,
    voice_stages,
)
from flexavatar.bench.encode import encode_stages
from flexavatar.bench.gaussians import (
    backward_stages,
    forward_stages,
    mesh_stages,
    packed16_stages,
    splat_delta_stage,
)
from flexavatar.bench.measure import Measurement, Stage, format_table

STAGES: Sequence[Stage] = (
    forward_stages,
    backward_stages,
    mesh_stages,
    frame_stages,
    expression_stages,
    coded_stages,
    encode_stages,
    packed16_stages,
    splat_delta_stage,
    voice_stages,
    client_stages,
)


def run_stages(stages: Sequence[Stage]) -> list[Measurement]:
    """All rows, printing each stage as it is done."""
    rows = []
    for stage in stages:
        done = stage()
        if done:
            print(format_table(done), flush=True)
        rows += done
    return rows


def main(out: Path = Path("out/bench.json")) -> None:
    """Measure every stage on this machine: print a table, write the rows to `out` as JSON."""
    rows = run_stages(STAGES)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(f"wrote {out}")
