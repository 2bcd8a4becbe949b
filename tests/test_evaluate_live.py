"""Figures from packets to frames, against the engine whose pictures tell what they were told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from flexavatar.cli import run
from flexavatar.drive.performance import (
    SHIPPED_PERFORMANCE,
    read_performance,
)
from flexavatar.evaluation import live
from flexavatar.evaluation.live import LiveConfig, evaluate_live
from flexavatar.evaluation.report import Item
from flexavatar.types import NS_PER_S
from plugin_server import server
from plugin_server.client.live_performance import Arrival, NoFramesError
from plugin_server.client.phones import SentFrame, find_sent
from tests.live import SIZE, TOLD, TellingEngine, clip, live_server
from tests.service import PHOTO
from tests.signals import frame_of, signal_of


def told(rgb: np.ndarray) -> dict[str, float]:
    """The weights that a picture of the telling engine stands for: its alpha is no coverage."""
    return dict(zip(TOLD, rgb[0, 0].tolist(), strict=True))


def test_what_follows_is_found_to_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is one of this process, and MediaPipe is told instead of looking."""
    frames = clip(read_performance(SHIPPED_PERFORMANCE), 0.4, 2.4)

    @contextmanager
    def here(store: Path, *options: str) -> Iterator[str]:
        assert options[:4] == ("--vmc", "0", "--show", "ada")
        with live_server(tmp_path, vmc=0) as (_, _), open_address(tmp_path) as address:
            yield address

    monkeypatch.setattr(live, "server_process", here)
    monkeypatch.setattr(live, "over_background", lambda rgba: rgba[..., :3] / 255)
    monkeypatch.setattr(live, "face_scores", told)
    monkeypatch.setattr(live, "SHAPES", {"jaw": ("jawOpen",), "smile": ("mouthSmileLeft",)})
    item = evaluate_live(tmp_path, "ada", "vmc", frames, LiveConfig(width=SIZE, height=SIZE))
    assert item.figures["jaw_correlation"] > 0.95
    assert item.figures["smile_correlation"] > 0.95
    assert 0 < item.figures["latency_p50_ms"] <= item.figures["latency_p99_ms"]
    assert item.figures["packets_refused"] == item.figures["unseen"] == 0
    assert len(item.pictures) == 3  # lines, and each shape's moment


@contextmanager
def open_address(folder: Path) -> Iterator[str]:
    """Where the server of a store says that it listens."""
    from plugin_server.store import server_address

    yield server_address(folder / "avatars")


def sent(times_ms: list[int], began_ns: int) -> list[SentFrame]:
    return [SentFrame(signal_of({}, pts_ns=ms * 10**6), began_ns + ms * 10**6) for ms in times_ms]


def test_frames_find_their_packets() -> None:
    began_ns = 5000 * NS_PER_S
    packets = sent([0, 17, 33, 50], began_ns)
    assert find_sent(packets, 33_000_000) is packets[2]
    assert find_sent(packets, 17_900_000) is packets[1]  # milliseconds on the wire
    assert find_sent(packets, 25_000_000) is None  # between two: it is of neither
    assert find_sent(packets, 80_000_000) is None
    assert find_sent(packets, began_ns + 20_000_000) is packets[1]  # by when it came in
    assert find_sent(packets, began_ns - 1) is None
    assert find_sent(packets, began_ns + NS_PER_S) is None


def test_no_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Arrival(np.zeros((4, 4, 4), np.uint8), 10**18, 10**18)
    monkeypatch.setattr(live, "_send_to_server", lambda *_: (sent([0, 17], NS_PER_S), [empty], 0))
    with pytest.raises(NoFramesError, match="vmc"):
        evaluate_live(tmp_path, "ada", "vmc", [frame_of(0, {}, (0, 0, 0))], LiveConfig())


def test_evaluate_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each protocol after the avatar itself, in one report."""
    (tmp_path / "me.jpg").write_bytes(PHOTO)
    monkeypatch.setattr(server, "_model_engine", lambda config: TellingEngine())
    monkeypatch.setattr("flexavatar.avatar.avatar.load_avatar", lambda folder: folder.name)
    drawn = Item("drawn directly", {"jaw_correlation": 0.9})
    monkeypatch.setattr(live, "evaluate_directly", lambda *_: drawn)
    asked: list[LiveConfig] = []

    def evaluated(store: Path, avatar: str, protocol: str, frames: object, config: LiveConfig,
                  progress: object) -> Item:  # fmt: skip
        assert (store / avatar / "manifest.json").exists()
        asked.append(config)
        return Item(protocol, {"jaw_correlation": 0.8})

    monkeypatch.setattr(live, "evaluate_live", evaluated)
    files = ["--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html")]
    command = ["evaluate", "live", str(tmp_path / "me.jpg"), "--lose", "0.1", *files]
    assert run([*command, "--protocols", "vmc", "ifacialmocap-tcp"]) == 0
    names = [item["name"] for item in json.loads((tmp_path / "a.json").read_text())["items"]]
    assert names == ["drawn directly", "vmc", "ifacialmocap-tcp"]
    assert asked == [LiveConfig(lose=0.1)] * 2
    assert "jaw_correlation" in capsys.readouterr().out
