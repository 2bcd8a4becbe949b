"""What the service itself adds to a frame: an engine that draws nothing is behind it.

`python -m tests.bench_server`. All other stages are in flexavatar.bench.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flexavatar.bench.measure import Measurement, format_table, percentiles
from flexavatar.render import native
from plugin_server.client.session import ClientSession
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.wire import Flags
from tests.service import PHOTO, TinyEngine, local_config, server_and_client

COUNT = 65_536
SIDE = 512
SIGNALS = 180
RATE_HZ = 60


@contextmanager
def session_of(kind: pb.StreamKind) -> Iterator[ClientSession]:
    """A session that sends one kind, of a server in this process."""
    with tempfile.TemporaryDirectory() as folder:
        config = local_config(Path(folder))
        with server_and_client(config, TinyEngine(count=COUNT)) as (client, _):
            client.create_avatar([PHOTO], "bench")
            with client.start_session("bench", SIDE, SIDE, (kind,)) as session:
                yield session


def round_trips(session: ClientSession) -> list[float]:
    """Signal sent to message decoded, in milliseconds, at a steady rate."""
    times_ms = []
    with closing(session.reader()) as reader:
        assert reader.receive(10) is not None
        for _ in range(SIGNALS):
            began = time.monotonic_ns()
            session.drive({"jawOpen": 0.5}, pts_ns=began)
            while (received := reader.receive(10)) is not None:
                if received.header.pts_ns == began and not received.header.flags & Flags.REPEATED:
                    break
            times_ms.append((time.monotonic_ns() - began) / 1e6)
            time.sleep(max(0.0, 1 / RATE_HZ - times_ms[-1] / 1e3))
    return times_ms[10:]


def transport() -> list[Measurement]:
    """Signal to client, one row a kind of stream."""
    rows = []
    for kind in (pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_JPEG, pb.STREAM_KIND_SPLATS):
        with session_of(kind) as session:
            times = percentiles(round_trips(session))
        stage = "transport_" + pb.StreamKind.Name(kind).removeprefix("STREAM_KIND_").lower()
        rows.append(Measurement(stage, "cpu", native.get_threads(), COUNT, SIDE, SIDE, *times))
    return rows


if __name__ == "__main__":
    print(format_table(transport()))
