"""Times of the service's own stages, without a model behind it. See flexavatar.bench.

`python -m flexavatar.bench --modules tests.bench_server`
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch

from flexavatar.bench import Row, measure
from flexavatar.formats.packed16 import extent, pack, unpack
from flexavatar.render import native
from plugin_server.client import ClientSession
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.splats import SplatEncoder
from plugin_server.wire import Flags
from tests.service import PHOTO, TinyEngine, local_config, server_and_client, tiny_gaussians

COUNT = 65_536
SIDE = 512
SIGNALS = 180
RATE_HZ = 60


def packed16() -> list[Row]:
    """Gaussians to 16 bytes each, and back."""
    splats = tiny_gaussians(0, COUNT)
    limits, out = extent(splats).scales, torch.empty(COUNT, 16, dtype=torch.uint8)
    threads = native.get_threads()
    return [
        measure("pack16", lambda: pack(splats, limits, out), threads=threads, gaussians=COUNT),
        measure("unpack16", lambda: unpack(out.numpy(), limits), threads=threads, gaussians=COUNT),
    ]


def splat_delta() -> list[Row]:
    """Gaussians to a delta in which every chunk has moved."""
    encoder, splats = SplatEncoder(COUNT), tiny_gaussians(0, COUNT)
    encoder.update(splats, 0, keyframe=True)
    splats.means.add_(0.01)
    room = np.empty(20 * COUNT, np.uint8)
    return [
        measure(
            "splat_delta",
            lambda: encoder.update(splats, 1, keyframe=False).write(room),
            threads=native.get_threads(),
            gaussians=COUNT,
        )
    ]


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


def transport() -> list[Row]:
    """Signal to client with an engine that draws nothing: what the service itself adds."""
    rows = []
    for kind in (pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_JPEG, pb.STREAM_KIND_SPLATS):
        with session_of(kind) as session:
            p50, p95, p99 = (float(x) for x in np.percentile(round_trips(session), (50, 95, 99)))
        stage = "transport_" + pb.StreamKind.Name(kind).removeprefix("STREAM_KIND_").lower()
        threads = native.get_threads()
        rows.append(Row(stage, "cpu", threads, COUNT, SIDE, SIDE, p50, p95, p99))
    return rows


STAGES = (packed16, splat_delta, transport)
