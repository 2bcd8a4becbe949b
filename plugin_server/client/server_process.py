"""Runs the server in a process of its own, as a user does."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flexavatar.errors import FlexAvatarError

LISTENING = re.compile(r"gRPC on (\S+), frames on (\S+)")
STOP_S = 15.0


class ServerStartError(FlexAvatarError):
    """The server ended before it was ready; its own message says why."""


@contextmanager
def server_process(store: Path, *options: str) -> Iterator[str]:
    """Start `python -m plugin_server` on free ports; gives gRPC's host:port, then stops it."""
    command = [sys.executable, "-m", "plugin_server", "--store", str(store), *options]
    command += [f"--{name}port=0" for name in ("", "http-", "frame-", "drive-")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _address(process)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := LISTENING.search(line):
            return found[1]
    raise ServerStartError(f"the server did not start, exit status {process.wait()}")
