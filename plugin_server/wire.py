"""Frames and Gaussian buffers <-> single-part messages. Byte tables: proto/wire.md.

A message is one header of HEADER_BYTES, little-endian, and its payload. It starts with what a
ZeroMQ subscription matches: `topic()` gives those first bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TypeAlias

import numpy as np

from flexavatar.errors import InputError
from flexavatar.formats.packed16 import SPLAT_BYTES, ScaleRange

MAGIC = b"FLXA"
VERSION = 1
HEADER = struct.Struct("<4sHH16sHHIQQIIIIII2f6f8x")
HEADER_BYTES = HEADER.size
TOPIC = struct.Struct("<4sHH16sH")
CHUNK = 256
"""Splats that are sent together or not at all."""
MAX_SIDE = 16384
MAX_SPLATS = 1 << 24
FARTHEST = 65504.0
"""Largest number that float16 holds."""

Buffer: TypeAlias = bytes | bytearray | memoryview


class WireError(InputError):
    """A message is malformed, truncated or of another version."""


class Kind(IntEnum):
    """What the payload is."""

    END = 0
    RGBA8 = 1
    JPEG = 2
    DEPTH = 3
    SPLATS_KEY = 4
    SPLATS_DELTA = 5


PICTURES = (Kind.RGBA8, Kind.JPEG, Kind.DEPTH)
SPLATS = (Kind.SPLATS_KEY, Kind.SPLATS_DELTA)


class Flags(IntFlag):
    """Bits of the header's flags."""

    REPEATED = 1
    """Nothing new was driven: the same instant again, for those who came late."""


NO_FLAGS = Flags(0)
NO_RANGE = ScaleRange(0.0, 0.0)


@dataclass(frozen=True)
class Header:
    """The fixed start of every message."""

    session: str  # 16 lower-case hex digits
    kind: Kind
    seq: int  # the frame's number; all kinds of one frame share it
    pts_ns: int  # of the drive signal, on its sender's clock
    server_ns: int  # Unix time at which the server sent it
    flags: Flags = NO_FLAGS
    width: int = 0  # pictures
    height: int = 0
    count: int = 0  # splats
    base_seq: int = 0  # SPLATS_DELTA: the keyframe that it changes; SPLATS_KEY: its own seq
    payload_bytes: int = 0
    scales: ScaleRange = NO_RANGE  # splats: ln metres
    bounds: tuple[float, ...] = (0.0,) * 6  # splats: min x y z, max x y z of the means, metres


def topic(session: str, *kinds: Kind) -> list[bytes]:
    """What to subscribe to: everything of a session, or only these kinds."""
    if not kinds:
        return [TOPIC.pack(MAGIC, VERSION, 0, session.encode(), 0)[: TOPIC.size - 2]]
    return [TOPIC.pack(MAGIC, VERSION, 0, session.encode(), kind) for kind in kinds]


def write_header(header: Header, out: bytearray | memoryview) -> None:
    """Put the header at the start of a message's buffer."""
    HEADER.pack_into(
        out, 0, MAGIC, VERSION, 0, header.session.encode(), header.kind, header.flags,
        header.seq & 0xFFFFFFFF, header.pts_ns, header.server_ns, header.width, header.height,
        header.count, header.base_seq & 0xFFFFFFFF, header.payload_bytes, HEADER_BYTES,
        *header.scales, *header.bounds,
    )  # fmt: skip


def pack(header: Header, payload: Buffer = b"") -> bytearray:
    """A whole message; `payload_bytes` is filled in. The frame path writes in place instead."""
    message = bytearray(HEADER_BYTES + len(payload))
    size = Header(**{**vars(header), "payload_bytes": len(payload)})
    write_header(size, message)
    message[HEADER_BYTES:] = payload
    return message


def read_header(message: Buffer) -> Header:
    """The header, checked against the message's length. Raises WireError."""
    if len(message) < HEADER_BYTES:
        raise WireError(f"message: expected {HEADER_BYTES} bytes or more, got {len(message)}")
    magic, version, _, session, kind, flags, seq, pts_ns, server_ns, *rest = HEADER.unpack_from(
        message
    )
    width, height, count, base_seq, payload_bytes, header_bytes, low, high, *bounds = rest
    if magic != MAGIC:
        raise WireError(f"message: expected to start with {MAGIC!r}, got {magic!r}")
    if version != VERSION or header_bytes != HEADER_BYTES:
        got = f"{version} with a header of {header_bytes}"
        expected = f"{VERSION} with a header of {HEADER_BYTES}"
        raise WireError(f"message: expected version {expected}, got {got}")
    if kind not in Kind.__members__.values():
        raise WireError(f"message: unknown kind {kind}")
    header = Header(
        session=_session_text(session), kind=Kind(kind), seq=seq, pts_ns=pts_ns,
        server_ns=server_ns, flags=Flags(flags & Flags.REPEATED), width=width, height=height,
        count=count, base_seq=base_seq, payload_bytes=payload_bytes,
        scales=ScaleRange(low, high), bounds=tuple(bounds),
    )  # fmt: skip
    _check_sizes(header, len(message) - HEADER_BYTES)
    return header


def payload(message: Buffer) -> memoryview:
    """The bytes after the header, without a copy."""
    return memoryview(message)[HEADER_BYTES:]


def chunk_count(splats: int) -> int:
    """How many chunks hold this many splats."""
    return -(-splats // CHUNK)


def bitmap_bytes(splats: int) -> int:
    """Size of a SPLATS_DELTA's bitmap: a bit a chunk, padded so that splats stay aligned."""
    return -(-chunk_count(splats) // (8 * SPLAT_BYTES)) * SPLAT_BYTES


def rgba8(header: Header, message: Buffer) -> np.ndarray:
    """RGBA8 -> premultiplied [H, W, 4] uint8, a view of the message."""
    return np.frombuffer(payload(message), np.uint8).reshape(header.height, header.width, 4)


def depth(header: Header, message: Buffer) -> np.ndarray:
    """DEPTH -> [H, W] float32 metres, 0 where empty, a view of the message."""
    return np.frombuffer(payload(message), "<f4").reshape(header.height, header.width)


def end_reason(message: Buffer) -> str:
    """END -> why the session ended."""
    return bytes(payload(message)).decode(errors="replace")


def _session_text(session: bytes) -> str:
    if not all(c in b"0123456789abcdef" for c in session):
        raise WireError(f"message: expected 16 hex digits as session, got {session!r}")
    return session.decode()


def _expected_payload(header: Header) -> Sequence[int]:
    """The sizes that the payload of this header may have: smallest, largest."""
    pixels = header.width * header.height
    splats = header.count * SPLAT_BYTES
    match header.kind:
        case Kind.RGBA8 | Kind.DEPTH:
            return 4 * pixels, 4 * pixels
        case Kind.JPEG:
            return 1, 4 * pixels + 65536
        case Kind.SPLATS_KEY:
            return splats, splats
        case Kind.SPLATS_DELTA:
            return bitmap_bytes(header.count), bitmap_bytes(header.count) + splats
        case Kind.END:
            return 0, 4096


def _check_sizes(header: Header, got: int) -> None:
    if header.payload_bytes != got:
        expected = f"{header.payload_bytes} payload bytes"
        raise WireError(f"{header.kind.name}: expected {expected}, got {got}")
    drawn = 1 <= header.width <= MAX_SIDE and 1 <= header.height <= MAX_SIDE
    if header.kind in PICTURES and not drawn:
        raise WireError(f"{header.kind.name}: impossible size {header.width}x{header.height}")
    if header.kind in SPLATS:
        _check_splats(header)
    smallest, largest = _expected_payload(header)
    if not smallest <= got <= largest:
        expected = f"{smallest}" if smallest == largest else f"{smallest} to {largest}"
        raise WireError(f"{header.kind.name}: expected {expected} payload bytes, got {got}")


def _check_splats(header: Header) -> None:
    """The numbers that only splats have."""
    if not 1 <= header.count <= MAX_SPLATS:
        raise WireError(f"{header.kind.name}: impossible number of splats {header.count}")
    numbers = np.array((*header.scales, *header.bounds), np.float32)
    if not (np.isfinite(numbers).all() and np.abs(numbers).max() <= FARTHEST):
        raise WireError(f"{header.kind.name}: impossible bounds {numbers.tolist()}")
    if header.scales.maximum <= header.scales.minimum:
        raise WireError(f"{header.kind.name}: empty range of scales {header.scales}")
