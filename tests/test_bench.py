"""The benchmark: one list, run the same way from everywhere, and what it writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flexavatar.bench import driving, encode, gaussians, run
from flexavatar.bench.measure import Measurement, format_table, measure, percentiles
from flexavatar.cli import run as command
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
from flexavatar.models.weights import bias_sink_path
from plugin_server.server import running_server
from tests.dynamic import dynamic_avatar, install_network
from tests.service import TinyEngine, local_config

KEYS = "stage device threads gaussians width height p50_ms p95_ms p99_ms".split()


@contextmanager
def tiny_server(store: Path) -> Iterator[str]:
    """In the place of a server's process; gives its address."""
    with running_server(local_config(store), TinyEngine()) as listening:
        yield listening.address


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small inputs, and nothing measured for long."""
    start = read_performance(SHIPPED_PERFORMANCE)[:10]

    def once(stage: str, fn: Callable[[], object], **sizes: Any) -> Measurement:
        return measure(stage, fn, **{**sizes, "runs": 1, "warm_up": 0})

    for weights in bias_sink_path("tiny").parent.glob("*.safetensors"):
        shutil.copy(weights, tmp_path)
    fingerprint = install_network(monkeypatch, tmp_path, noise=0.05)
    for module in (gaussians, driving, encode):
        monkeypatch.setattr(module, "measure", once)
    monkeypatch.setattr(gaussians, "SIZES", ((500, 64),))
    monkeypatch.setattr(gaussians, "MESH_SIDE", 64)
    monkeypatch.setattr(gaussians, "STREAMED_COUNT", 512)
    monkeypatch.setattr(driving, "portrait_avatar", lambda: dynamic_avatar(fingerprint))
    monkeypatch.setattr(driving, "server_process", tiny_server)
    monkeypatch.setattr(driving, "read_performance", lambda path: start)


def test_the_command_writes_every_stage(
    short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["bench", "--out", str(tmp_path / "new/bench.json")]) == 0
    assert "drive_to_client" in capsys.readouterr().out
    rows = json.loads((tmp_path / "new/bench.json").read_text())
    assert all(list(row) == KEYS for row in rows)
    assert {row["stage"] for row in rows} >= {
        "rasterize_forward",
        "rasterize_backward",
        "mesh_view",
        "drive_to_gaussians",
        "frame",
        "drive_map",
        "unet",
        "drive_to_gaussians_unet",
        "frame_unet",
        "drive_to_gaussians_morph",
        "frame_morph",
        "drive_to_gaussians_coded",
        "frame_coded",
        "photo_to_portrait",
        "evidence_to_code",
        "pack16",
        "unpack16",
        "splat_delta",
        "drive_to_client",
    }
    for row in rows:
        assert row["threads"] >= 1
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]


def test_percentiles_and_warm_up() -> None:
    assert percentiles(range(101)) == (50, 95, 99)
    calls: list[int] = []
    row = measure("count", lambda: calls.append(1), threads=3, gaussians=7, runs=4, warm_up=2)
    assert len(calls) == 6
    assert (row.threads, row.gaussians) == (3, 7)


def test_table_has_a_line_a_row() -> None:
    text = format_table(
        [
            Measurement("a", "cpu", 2, 10, 0, 0, 1, 2, 3),
            Measurement("b", "cpu", 2, 10, 64, 48, 1, 2, 3),
        ]
    )
    header, first, second = text.splitlines()
    assert header.split()[:2] == ["stage", "device"]
    assert "-" in first.split()
    assert "64x48" in second.split()


def test_the_list_is_of_the_package() -> None:
    assert all(stage.__module__.startswith("flexavatar.bench.") for stage in run.STAGES)
