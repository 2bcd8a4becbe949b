"""Recordings of what apps, a webcam and a video do, which play again as they were."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flexavatar.drive.performance import read_performance
from flexavatar.drive.protocols import vmc
from flexavatar.types import NS_PER_S
from plugin_server.gateways.hub import Hub
from plugin_server.gateways.takes import PAUSE_S, TakeRecorder
from tests.live import live_server, sending_udp
from tests.service import eventually
from tests.signals import signal_of


def jaw_at(t: float) -> float:
    return 0.5 + 0.4 * math.sin(4 * t)


def recorded(folder: Path, seconds: float = 3.0, subject: str = "Ann / 1") -> Hub:
    """What a hub hands on, on a clock of the test's."""
    now_s = [50.0]
    hub = Hub(lambda: now_s[0])
    recorder = TakeRecorder(folder)
    hub.subscribe(recorder.record)
    status = hub.add_gateway("live-link-face")
    for _ in range(2):
        for i in range(round(60 * seconds)):
            now_s[0] += 1 / 60
            face = signal_of({"jawOpen": jaw_at(i / 60)}, (0, 0.2, 0), subject=subject)
            hub.deliver(status, "10.0.0.1", replace(face, pts_ns=10**15 + i * 16_666_667))
        now_s[0] += PAUSE_S + 1
    recorder.close()
    return hub


def test_a_take_is_a_file_that_plays_again(tmp_path: Path) -> None:
    recorded(tmp_path)
    first, second = sorted(tmp_path.iterdir())
    assert first.name.startswith("live-link-face-Ann-1-")
    for path in (first, second):
        frames = read_performance(path)
        assert len(frames) == 180
        times = np.array([frame.pts_ns for frame in frames]) / NS_PER_S
        assert times == pytest.approx(np.arange(180) / 60, abs=1e-4)
        jaws = [frame.weight("jawOpen") for frame in frames]
        assert jaws == pytest.approx([jaw_at(t) for t in times], abs=1e-3)
        assert frames[0].neck_pose.y == pytest.approx(0.2, abs=1e-3)


def test_a_disk_that_fails_ends_the_recording_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    hub = recorded(tmp_path / "file" / "folder")
    assert hub.statuses[0].frames == 360
    assert caplog.text.count("recording has ended") == 1


def test_a_server_records_its_phones(tmp_path: Path) -> None:
    takes = tmp_path / "takes"
    with live_server(tmp_path, vmc=0, record=takes) as (client, addresses):
        with sending_udp(addresses["vmc"]) as send:
            for i in range(60):
                for packet in vmc.write(signal_of({"jawOpen": jaw_at(i / 60)})):
                    send(packet)
                time.sleep(1 / 60)
            eventually(lambda: client.info().gateways[0].frames >= 55)
    (path,) = takes.iterdir()
    frames = read_performance(path)
    assert len(frames) >= 55
    times = np.array([frame.pts_ns for frame in frames]) / NS_PER_S
    asked = [jaw_at(t) for t in times]
    assert np.corrcoef(asked, [f.weight("jawOpen") for f in frames])[0, 1] > 0.95
