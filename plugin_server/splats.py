"""Gaussians as a stream: now and then all of them, in between only the chunks that moved.

A delta always says what differs from the last keyframe, not from the last delta. So a reader may
miss any number of deltas, and one that has no keyframe waits for the next, a second at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from flexavatar.formats.packed16 import SPLAT_BYTES, ScaleRange, extent_of, pack, unpack
from flexavatar.types import Gaussians
from plugin_server.wire import (
    CHUNK,
    Buffer,
    Header,
    Kind,
    WireError,
    bitmap_bytes,
    chunk_count,
    payload,
)

CHUNK_BYTES = CHUNK * SPLAT_BYTES


@dataclass(frozen=True)
class SplatUpdate:
    """One frame's splats, ready to be written into a message."""

    kind: Kind
    base_seq: int
    scales: ScaleRange
    bounds: tuple[float, ...]  # min x y z, max x y z
    count: int
    chunks: np.ndarray  # [C, CHUNK_BYTES] uint8, the encoder's own: write before the next update
    changed: np.ndarray  # [C] bool

    @property
    def payload_bytes(self) -> int:
        """Size of the payload."""
        size = int(self.changed.sum()) * CHUNK_BYTES
        if self.changed[-1]:
            size -= self.chunks.size - self.count * SPLAT_BYTES  # the last chunk may be short
        return size if self.kind is Kind.SPLATS_KEY else size + bitmap_bytes(self.count)

    @property
    def buffer_bytes(self) -> int:
        """Room that `write` needs: it fills the last chunk up."""
        return self.payload_bytes + CHUNK_BYTES

    def write(self, out: np.ndarray) -> None:
        """Put the payload at the start of `out`, uint8 [buffer_bytes or more]."""
        start = 0
        if self.kind is Kind.SPLATS_DELTA:
            start = bitmap_bytes(self.count)
            bits = np.packbits(self.changed, bitorder="little")
            out[: len(bits)] = bits
            out[len(bits) : start] = 0
        rows = np.flatnonzero(self.changed)
        room = out[start : start + len(rows) * CHUNK_BYTES].reshape(-1, CHUNK_BYTES)
        np.take(self.chunks, rows, axis=0, out=room, mode="clip")  # "raise" would copy once more


class SplatEncoder:
    """Keeps the last keyframe of one session and finds what differs from it."""

    def __init__(self, count: int) -> None:
        size = (chunk_count(count), CHUNK_BYTES)
        self._count = count
        self._key = np.zeros(size, np.uint8)
        self._now = np.zeros(size, np.uint8)
        self._key_seq: int | None = None
        self._scales = ScaleRange(0.0, 0.0)

    def update(self, gaussians: Gaussians, seq: int, keyframe: bool) -> SplatUpdate:
        """This frame's splats: a keyframe if asked for, or if a delta could not hold them."""
        needed = extent_of(gaussians)
        keyframe = keyframe or self._key_seq is None or not self._scales.covers(needed.scales)
        if keyframe:
            self._scales = needed.scales
        self._pack(gaussians)
        if keyframe:
            self._key, self._now, self._key_seq = self._now, self._key, seq
            chunks, changed = self._key, np.ones(len(self._key), bool)
        else:
            chunks = self._now
            changed = (chunks.view(np.uint64) != self._key.view(np.uint64)).any(axis=1)
        return SplatUpdate(
            kind=Kind.SPLATS_KEY if keyframe else Kind.SPLATS_DELTA,
            base_seq=self._key_seq or 0,
            scales=self._scales,
            bounds=needed.bounds,
            count=self._count,
            chunks=chunks,
            changed=changed,
        )

    def _pack(self, gaussians: Gaussians) -> None:
        """Into `_now`, by way of the device that the Gaussians are on."""
        flat = self._now.reshape(-1, SPLAT_BYTES)[: self._count]
        room = torch.from_numpy(flat)
        if gaussians.means.device.type == "cpu":
            pack(gaussians, self._scales, room)
        else:
            room.copy_(pack(gaussians, self._scales))


class SplatDecoder:
    """The reader's side: messages of one session -> Gaussians."""

    def __init__(self) -> None:
        self._key: np.ndarray | None = None  # [N, 16] uint8
        self._key_seq = -1
        self._scales = ScaleRange(0.0, 0.0)

    def feed(self, header: Header, message: Buffer) -> Gaussians | None:
        """This message's Gaussians, or None while its keyframe is missing. Raises WireError."""
        packed = self.feed_packed(header, message)
        return None if packed is None else unpack(packed, self._scales)

    def feed_packed(self, header: Header, message: Buffer) -> np.ndarray | None:
        """As `feed`, but uint8 [N, 16] as on the wire, for who draws them on a GPU as they are."""
        body = np.frombuffer(payload(message), np.uint8)
        if header.kind is Kind.SPLATS_KEY:
            self._key = body.reshape(-1, SPLAT_BYTES).copy()
            self._key_seq, self._scales = header.seq, header.scales
            return self._key.copy()
        if header.kind is not Kind.SPLATS_DELTA:
            raise WireError(f"expected splats, got {header.kind.name}")
        changed, chunks = _split_delta(header, body)
        if self._key is None or header.base_seq != self._key_seq:
            return None
        if len(self._key) != header.count or self._scales != header.scales:
            raise WireError("SPLATS_DELTA: does not fit the keyframe that it names")
        return _apply_delta(self._key, changed, chunks)


def _split_delta(header: Header, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A delta's payload -> which chunks changed [C] bool, and their splats [M, 16] uint8."""
    start = bitmap_bytes(header.count)
    bits = np.unpackbits(body[:start], bitorder="little").astype(bool)
    total = chunk_count(header.count)
    if bits[total:].any():
        raise WireError(f"SPLATS_DELTA: bits set beyond the last of {total} chunks")
    changed = bits[:total]
    splats = int(changed.sum()) * CHUNK
    if changed[-1]:
        splats -= total * CHUNK - header.count
    if len(body) - start != splats * SPLAT_BYTES:
        raise WireError(
            f"SPLATS_DELTA: {int(changed.sum())} chunks need {splats * SPLAT_BYTES} bytes after"
            f" the bitmap, got {len(body) - start}"
        )
    return changed, body[start:].reshape(-1, SPLAT_BYTES)


def _apply_delta(key: np.ndarray, changed: np.ndarray, chunks: np.ndarray) -> np.ndarray:
    """The keyframe with the changed chunks in their places: [N, 16]."""
    now = key.copy()
    rows = np.repeat(changed, CHUNK)[: len(key)]
    now[rows] = chunks
    return now
