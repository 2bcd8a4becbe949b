"""Stages of the stream of Gaussians: packed into bytes, and only what has changed."""

from __future__ import annotations

import numpy as np
import torch

from flexavatar.bench.measure import Row, measure
from flexavatar.bench.scenes import shell
from flexavatar.formats.packed16 import extent_of, pack, unpack
from flexavatar.render import native
from plugin_server.splats import SplatEncoder

COUNT = 65_536


def packed16() -> list[Row]:
    """Gaussians to 16 bytes each, and back."""
    splats = shell(COUNT)
    limits, out = extent_of(splats).scales, torch.empty(COUNT, 16, dtype=torch.uint8)
    threads = native.get_threads()
    return [
        measure("pack16", lambda: pack(splats, limits, out), threads=threads, gaussians=COUNT),
        measure("unpack16", lambda: unpack(out.numpy(), limits), threads=threads, gaussians=COUNT),
    ]


def splat_delta() -> list[Row]:
    """Gaussians to a delta in which every chunk has moved."""
    encoder, splats = SplatEncoder(COUNT), shell(COUNT)
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
