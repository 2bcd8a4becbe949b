"""A server with the tests' tiny engine in a process of its own, to be stopped and started.

`python -m tests.bridges.unity.tiny_server STORE HTTP_PORT FRAME_PORT DRIVE_PORT`
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from plugin_server.server import running_server
from tests.service import TinyEngine, local_config

READY = "ready"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [s.getsockname()[1] for s in sockets]


@dataclass(frozen=True)
class RestartableServer:
    """Where servers come and go: the same ports and the same avatars."""

    store: Path
    ports: Sequence[int]  # HTTP, frames, drive packets

    @property
    def address(self) -> str:
        """URL of its calls over HTTP."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """A server that answers; killed in the end, as if its machine went down."""
        command = [sys.executable, "-m", "tests.bridges.unity.tiny_server", str(self.store)]
        with subprocess.Popen(
            [*command, *map(str, self.ports)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline().strip() == READY
                yield process
            finally:
                process.send_signal(signal.SIGCONT)
                process.kill()


def main(store: str, *ports: str) -> None:
    """Serve until killed."""
    http_port, frame_port, drive_port = map(int, ports)
    config = local_config(
        Path(store), http_port=http_port, frame_port=frame_port, drive_port=drive_port
    )
    with running_server(config, TinyEngine()):
        print(READY, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
