"""The Unreal plugin's core against a live server: frames without a gap, restarts, stalls."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from plugin_server.config import ServerConfig
from plugin_server.messages import sessions
from plugin_server.server import ServerAddresses, running_server
from tests.bridges.conftest import BUILD, Build
from tests.service import TinyEngine, eventually, local_config

RUN_S = 90


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])


@dataclass
class Client:
    """A running live_client, and how far it says it has come."""

    process: subprocess.Popen[str]
    lines: list[str]

    def frames(self) -> int:
        """Frames that it has shown, in steps of 50."""
        said = [line for line in [*self.lines] if line.startswith("frame ")]
        return int(said[-1].split()[1]) if said else 0

    def said(self, text: str) -> bool:
        return any(text in line for line in [*self.lines])

    def result(self) -> dict[str, float]:
        """What it found; it must have ended well."""
        out, _ = self.process.communicate(timeout=RUN_S)
        assert self.process.returncode == 0, "\n".join([out, *self.lines[-20:]])
        return json.loads(out)


def sessions_of(client: Client) -> set[str]:
    """The sessions whose frames it has seen."""
    return {line.split()[2] for line in client.lines if line.startswith("event 0 ")}


@contextmanager
def client(program: Build, http_address: str, *arguments: object) -> Iterator[Client]:
    """`live_client` beside the test."""
    port = port_of(http_address)
    command = [*map(str, (program("live_client"), port, *arguments))]
    with started(command) as running:
        yield running


@contextmanager
def started(command: Sequence[str], **environment: str) -> Iterator[Client]:
    """A client's process, read while it runs."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    lines: list[str] = []
    assert process.stderr is not None
    errors = process.stderr
    process.stderr = None  # communicate() would read it too
    reading = threading.Thread(target=lambda: lines.extend(iter(errors.readline, "")), daemon=True)
    reading.start()
    try:
        yield Client(process, lines)
    finally:
        process.kill()
        process.wait()
        reading.join()
        errors.close()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    return local_config(tmp_path)


@pytest.fixture
def server(config: ServerConfig) -> Iterator[ServerAddresses]:
    with running_server(config, TinyEngine(count=2000)) as listening:
        yield listening


@pytest.mark.parametrize("mode", ["cpds", "cj"])
def test_create_drive_and_300_frames_without_a_gap(
    program: Build, server: ServerAddresses, mode: str
) -> None:
    with client(program, server.http_address, "ada", mode, 300) as running:
        found = running.result()
    assert found["pictures"] >= 300
    assert found["splats"] >= (300 if "s" in mode else 0)
    assert found["count"] == (2000 if "s" in mode else 0)
    assert found["driven"] == 300
    assert found["connections"] == 1
    for nothing in ("missed", "incomplete", "refused", "wrong_pixels", "disconnects"):
        assert found[nothing] == 0, nothing
    assert found["failure"] == ""


def test_latency(
    program: Build, server: ServerAddresses, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the drive signal to the pixels in the game's hands, 60 a second, 512 x 512."""
    with client(program, server.http_address, "ada", "cp", 240, 60, 512) as running:
        found = running.result()
    figures = {name: found[name] for name in ("p50_ms", "p99_ms")}
    (BUILD / "latency.json").write_text(json.dumps(figures))
    with capsys.disabled():
        print(f"\nC++, drive to texture-ready, 512 x 512 of a tiny engine: {figures}")
    assert 0 < found["p50_ms"] < 50  # a busy machine; some 2 ms where nothing else runs


def test_memory_is_flat(
    program: Build,
    server: ServerAddresses,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sessions, "HIGHEST_FPS", 10_000)  # so that it does not take a minute
    with client(program, server.http_address, "ada", "cps", 10_000, 0, 16, 10_000) as running:
        found = running.result()
    assert found["pictures"] >= 10_000
    first, last = found["first_mib"], found["last_mib"]
    with capsys.disabled():
        print(f"\nC++, memory after 1,000 frames: {first:.1f} MiB, after 10,000: {last:.1f}")
    assert last - first < 1  # MiB


def test_a_server_that_starts_anew(program: Build, config: ServerConfig) -> None:
    """The client comes back by itself, with a session of its own and what was driven last."""
    with ExitStack() as first:
        server = first.enter_context(running_server(config, TinyEngine()))
        again = replace(
            config,
            http_port=port_of(server.http_address),
            frame_port=port_of(server.frame_address),
            drive_port=port_of(server.drive_address),
        )
        with client(program, server.http_address, "ada", "cps", 400) as running:
            eventually(lambda: running.frames() >= 50)
            first.close()
            eventually(lambda: running.said("event 1 "))
            with running_server(again, TinyEngine()):
                found = running.result()
    assert found["connections"] == 2
    assert found["refused"] == 0
    assert len(sessions_of(running)) == 2


class Proxy:
    """TCP in between; while `stalled`, nothing moves and nobody is hung up on."""

    def __init__(self, target: int) -> None:
        self.stalled = threading.Event()
        self._target, self._closing = target, threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._carry, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        source.settimeout(0.05)
        with source:
            while not self._closing.is_set():
                if self.stalled.is_set():
                    time.sleep(0.01)
                    continue
                try:
                    data = source.recv(1 << 16)
                    if not data:
                        break
                    sink.sendall(data)
                except TimeoutError:
                    continue
                except OSError:
                    break
            try:
                sink.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()


def test_a_stalled_network(program: Build, server: ServerAddresses) -> None:
    """Silence is noticed, and the same session goes on once bytes move again."""
    with closing(Proxy(port_of(server.frame_address))) as proxy:
        with client(
            program, server.http_address, "ada", "cps", 400, 0, 32, 240, proxy.address
        ) as running:
            eventually(lambda: running.frames() >= 50)
            proxy.stalled.set()
            eventually(lambda: running.said("the network is silent"))
            time.sleep(0.5)
            proxy.stalled.clear()
            found = running.result()
    assert found["connections"] >= 2
    assert found["refused"] == 0
    assert len(sessions_of(running)) == 1, "a stall costs no session"


def test_stopping_waits_for_no_server(program: Build, server: ServerAddresses) -> None:
    """The goodbye, which a server that hangs does not take, goes out from the link's thread."""
    with closing(Proxy(port_of(server.http_address))) as proxy:
        with client(program, proxy.address, "ada", "cp", 100) as running:
            eventually(lambda: running.frames() >= 50)
            proxy.stalled.set()
            found = running.result()
    assert found["stop_ms"] < 50  # on a busy machine; who waited did so for half a second
