"""The main job: live driving against the tiny engine, then all of it with the real one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from flexavatar.demo.__main__ import DemoConfig, make_run_report, run, write_video
from flexavatar.drive.performance import (
    SHIPPED_PERFORMANCE,
    read_performance,
    write_performance,
)
from flexavatar.evaluation.contact_sheet import COLUMNS, LABEL_HEIGHT, LARGE, TILE
from flexavatar.types import NS_PER_S
from plugin_server.client.live_performance import Arrival, perform_live
from plugin_server.client.server_process import ServerStartError, server_process
from plugin_server.pb import flexavatar_pb2 as pb
from tests.service import PHOTO, TinyEngine, local_config, server_and_client
from tests.signals import frame_of


def duration_s(video: Path) -> float:
    with av.open(video) as container:
        *_, last = container.decode(video=0)
    return float(last.time or 0)


def test_a_performance_is_sent_at_its_own_pace_and_comes_back(tmp_path: Path) -> None:
    frames = [frame_of(i * NS_PER_S // 30, {"jawOpen": i / 30}, (0, 0, 0)) for i in range(30)]
    with server_and_client(local_config(tmp_path), TinyEngine()) as (client, _):
        made = client.create_avatar([PHOTO], "tiny")
        with client.start_session("tiny", 64, 48) as session:
            arrivals, start_ns = perform_live(session, frames)
    report = make_run_report(made, arrivals, frames[-1].pts_ns, 30.0)
    assert (report.gaussians, report.width, report.height) == (600, 64, 48)
    assert 0 < report.latency_p50_ms <= report.latency_p99_ms
    assert len(arrivals) <= len(frames)
    assert arrivals[-1].pts_ns - start_ns == pytest.approx(29 * NS_PER_S / 30, abs=0.2 * NS_PER_S)
    write_video(tmp_path / "live.mp4", arrivals, start_ns)
    # players know milliseconds, and the last frame may have been replaced by nothing newer
    assert duration_s(tmp_path / "live.mp4") == pytest.approx(29 / 30, abs=0.2)


def test_latency_runs_from_signal_to_arrival() -> None:
    pixels = np.zeros((2, 4, 4), np.uint8)
    arrivals = [
        Arrival(pixels, i * NS_PER_S, i * NS_PER_S + ms * 1_000_000)
        for i, ms in enumerate((10, 30))
    ]
    report = make_run_report(pb.Avatar(gaussians=7, create_s=1.5), arrivals, 2 * NS_PER_S, 33.333)
    assert asdict(report) == {
        "create_s": 1.5,
        "input_psnr_db": 33.33,
        "fps": 1.0,
        "latency_p50_ms": 20.0,
        "latency_p99_ms": 29.8,
        "gaussians": 7,
        "width": 4,
        "height": 2,
    }


def test_a_single_frame_has_no_rate() -> None:
    arrival = Arrival(np.zeros((2, 4, 4), np.uint8), 0, 5_000_000)
    assert make_run_report(pb.Avatar(), [arrival], 0, 30.0).fps == 0


def test_a_server_that_cannot_start_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ServerStartError, match="did not start"), server_process(tmp_path / "file"):
        pass


def test_the_whole_job(tmp_path: Path) -> None:
    write_performance(tmp_path / "take.csv", read_performance(SHIPPED_PERFORMANCE)[:120])
    config = DemoConfig(tmp_path, performance=tmp_path / "take.csv", quick=True)
    report = run(config)
    assert json.loads((tmp_path / "run.json").read_text()) == asdict(report)
    assert (report.width, report.height) == (512, 512)
    assert report.gaussians >= 40_000
    assert report.fps > 1  # how fast is for the bench to say: tests share the machine
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        large = COLUMNS * TILE // LARGE
        assert sheet.size == (COLUMNS * TILE, 6 * (TILE + LABEL_HEIGHT) + large + LABEL_HEIGHT)
        pixels = np.asarray(sheet)
    input_view = pixels[LABEL_HEIGHT : LABEL_HEIGHT + TILE, TILE : 2 * TILE]
    assert input_view.std() > 20  # grey levels: somebody is there
    assert duration_s(tmp_path / "performance.mp4") == pytest.approx(119 / 60, abs=0.5)
