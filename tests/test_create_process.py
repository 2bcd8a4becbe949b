"""The process that makes one avatar: what it says comes through, and its end is no one else's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flexavatar.errors import ImageError
from flexavatar.progress import Progress, no_progress
from plugin_server import create_process, server
from plugin_server.config import ServerConfig
from plugin_server.create_process import CreationCrashError, CreationProcess, CreationProcesses
from plugin_server.engine import Recipe
from tests.service import PHOTO, TinyEngine, eventually, server_and_client


def create(photos: Sequence[bytes], recipe: Recipe, folder: Path, progress: Progress) -> None:
    """In a process that is started for it."""
    with CreationProcesses().one() as process:
        process.create(photos, recipe, folder, progress, lambda: None)


class Crashes:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (3,)


def test_a_crash_is_one_creations_end(tmp_path: Path) -> None:
    photos: Any = [Crashes()]
    with pytest.raises(CreationCrashError, match="status 3"):
        create(photos, Recipe(), tmp_path, no_progress)


def test_errors_come_through(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="photo 1"):
        create([b"no picture"], Recipe(quick=True), tmp_path, no_progress)


def test_nobody_waits_any_more(tmp_path: Path, astronaut: bytes) -> None:
    """The process is gone at once, whatever it is at."""

    def give_up(stage: str, share: float) -> None:
        raise KeyError(stage)

    start = time.monotonic()
    with pytest.raises(KeyError):
        create([astronaut], Recipe(), tmp_path, give_up)
    assert time.monotonic() - start < 2  # it takes longer to start
    assert not [*tmp_path.iterdir()]


def test_one_is_ready_but_not_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken, made anew when the work is over, and again if it has died meanwhile."""
    started: list[PretendedProcess] = []

    class PretendedProcess:
        """Lives until it is closed."""

        def __init__(self) -> None:
            self.alive = True
            started.append(self)

        def close(self) -> None:
            self.alive = False

    monkeypatch.setattr(create_process, "CreationProcess", PretendedProcess)
    processes = CreationProcesses()
    with processes.one() as first:
        processes.make_one_ready()
        assert started == [first]
    processes.make_one_ready()
    processes.make_one_ready()
    assert [p.alive for p in started] == [False, True]
    with processes.one() as second:
        assert second is started[1]
        assert len(started) == 2
    processes.make_one_ready()
    started[2].alive = False
    processes.make_one_ready()
    started[3].alive = False
    with processes.one() as third:
        assert third is started[4]
    processes.make_one_ready()
    processes.close()
    assert not any(p.alive for p in started)
    processes.close()


def test_a_process_that_is_ready_goes_with_its_server() -> None:
    """Also when nobody ends it: its line breaks."""
    process = CreationProcess()
    process._line.close()
    assert process._process.wait(60) == 0
    assert not process.alive


@pytest.mark.parametrize("ready", [True, False])
def test_a_server_keeps_one_ready(
    config: ServerConfig, ready: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PREPARE_S", 0.01)
    engine = TinyEngine()
    with server_and_client(replace(config, creation_ready=ready), engine) as (client, _):
        client.info()
        if ready:
            eventually(lambda: engine.prepared)
        assert engine.prepared == ready
    assert not engine.prepared, "it goes with the server"


def test_it_is_not_made_ready_while_somebody_looks_or_soon_will(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would take frames from whoever is shown, or is about to be after a creation."""
    monkeypatch.setattr(server, "PREPARE_S", 0.01)
    monkeypatch.setattr(server, "QUIET_S", 3600.0)
    engine = TinyEngine()
    engine.gate.clear()
    with server_and_client(replace(config, creation_ready=True), engine) as (client, _):
        eventually(lambda: engine.prepared)  # nobody has come yet
        with ThreadPoolExecutor() as pool:
            made = pool.submit(client.create_avatar, [PHOTO], "ada")
            eventually(lambda: engine.creating > 0)
            time.sleep(0.1)  # ten looks
            engine.prepared = False
            engine.gate.set()
            made.result()
        time.sleep(0.2)
        assert not engine.prepared
        monkeypatch.setattr(server, "QUIET_S", 0.0)
        eventually(lambda: engine.prepared)
        with client.start_session("ada", 64, 64):
            time.sleep(0.05)
            engine.prepared = False
            time.sleep(0.2)
            assert not engine.prepared
        eventually(lambda: engine.prepared)
