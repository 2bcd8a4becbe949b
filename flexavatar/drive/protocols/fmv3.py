"""iFacialMocap's and Facemotion3d's binary protocol v3, UDP 49983 and TCP 49986.

Every message has a header of 40 bytes, little-endian. The phone sends a SCHEMA (names, in JSON)
and, once that is acknowledged, FRAMEs: one whole number in percent a name, then head and eyes as
12 f32. Long messages come in parts. The phone starts by itself (nonce 0) or is asked by HELLO.
Of the two revisions that apps speak, 4 numbers SCHEMA 3 and SCHEMA_ACK 10, and 5 numbers them 2
and 3. Angles are read as those of the text, see `ifacialmocap.py`.

Source: https://github.com/emoto-yasushi/iFacialMocap_Facemotion3d_udp-tcp_v3 (MIT)
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

from flexavatar.drive.expressions import add_gaze, gaze_angles
from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.names import arkit_name
from flexavatar.drive.protocols.checks import Faults, finite
from flexavatar.drive.protocols.ifacialmocap import SOURCE
from flexavatar.drive.signal import HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES

MAGIC = b"FMV3"
HEADER = struct.Struct("<4sBBHQIIIIHHI")
START = struct.Struct("<QHHII")
HELLO_BODY = struct.Struct("<HHI")
POSE = struct.Struct("<12f")
ENCODINGS = {"i16": "h", "i32": "i"}
TRACKING = 1
MAX_SCHEMA_BYTES, MAX_FRAME_BYTES = 262144, 16432
MAX_NAMES = 4096
MAX_PARTS = 512
SCHEMA_PART, FRAME_PART = 576 - HEADER.size, 1200 - HEADER.size
FPS, UDP_SIZE, LEASE_MS = 60, 1200, 10_000
MAX_ANGLE_DEG = 1000.0
HALF_RANGE = 1 << 31


class Kind(IntEnum):
    """Messages that both revisions number alike."""

    HELLO = 1
    FRAME = 4
    GET_SCHEMA = 5
    PING = 6
    PONG = 7
    STOP = 8
    ERROR = 9


SCHEMA_KINDS = {4: 3, 5: 2}
ACK_KINDS = {4: 10, 5: 3}
"""By revision."""


@dataclass(frozen=True)
class Header:
    """Of one message, or of one part of a long one."""

    kind: int
    flags: int
    session: int
    schema: int
    sequence: int
    total: int
    part: int = 0
    parts: int = 1
    length: int = 0

    def pack(self) -> bytes:
        """40 bytes."""
        return HEADER.pack(
            MAGIC, self.kind, self.flags, HEADER.size, self.session, self.schema, self.sequence,
            0, self.total, self.part, self.parts, self.length,
        )  # fmt: skip


@dataclass(frozen=True)
class Schema:
    """What the numbers of the frames that follow are."""

    revision: int
    names: Sequence[str]
    values: struct.Struct


def parse_message(packet: bytes) -> tuple[Header, bytes]:
    """Header and content of one datagram, or of one message of a stream. Raises DriveError."""
    header = read_header(packet)
    if header.length != len(packet) - HEADER.size:
        raise DriveError(f"FMV3: expected {header.length} bytes of content, got {len(packet) - 40}")
    return header, packet[HEADER.size :]


def read_header(packet: bytes) -> Header:
    """The header that a message starts with. Raises DriveError."""
    if len(packet) < HEADER.size:
        raise DriveError(f"FMV3: expected a header of {HEADER.size} bytes, got {len(packet)}")
    magic, kind, flags, size, session, schema, sequence, _, total, part, parts, length = (
        HEADER.unpack_from(packet)
    )
    if magic != MAGIC or size != HEADER.size:
        raise DriveError(f"FMV3: expected {MAGIC!r} and {HEADER.size}, got {magic!r} and {size}")
    limit = MAX_FRAME_BYTES if kind == Kind.FRAME else MAX_SCHEMA_BYTES
    if not (length <= total <= limit and part < parts <= MAX_PARTS and session):
        raise DriveError(f"FMV3: expected a part of {limit} bytes, got {length} of {total}")
    return Header(kind, flags, session, schema, sequence, total, part, parts, length)


class PartAssembly:
    """The newest long message of one kind: parts of older ones are forgotten."""

    def __init__(self) -> None:
        self._of: tuple[int, ...] = ()
        self._parts: dict[int, bytes] = {}

    def add(self, header: Header, content: bytes) -> bytes | None:
        """The whole content once its last part is here. Raises DriveError if parts do not fit."""
        of = (header.session, header.schema, header.sequence, header.total, header.parts)
        if of != self._of:
            self._of, self._parts = of, {}
        self._parts[header.part] = content
        size, complete = sum(map(len, self._parts.values())), len(self._parts) == header.parts
        if size > header.total or (complete and size < header.total):
            self._parts = {}
            raise DriveError(f"FMV3: expected parts of {header.total} bytes, got {size}")
        if not complete:
            return None
        parts, self._parts = self._parts, {}
        return b"".join(parts[i] for i in range(header.parts))


class Fmv3Reader:
    """One phone's messages. What is to be sent back is in `answers` until it is taken."""

    def __init__(self, nonces: Sequence[int] = ()) -> None:
        """`nonces` are those of the HELLOs that were sent; a phone may start by itself besides."""
        self._nonces = {0, *nonces}
        self._session = self._schema_id = 0
        self._schema: Schema | None = None
        self._sequence: int | None = None
        self._schemas, self._frames = PartAssembly(), PartAssembly()
        self._answer: bytes | None = None

    def answer(self) -> bytes | None:
        """What is to be sent back now, once."""
        answer, self._answer = self._answer, None
        return answer

    def ping(self) -> bytes | None:
        """What keeps the session alive, every three seconds; None before there is one."""
        header = Header(Kind.PING, 0, self._session, 0, 1, 0)
        return header.pack() if self._session else None

    def read(self, packet: bytes) -> Signal | None:
        """The face of a frame that is newer than all before, else None. Raises DriveError."""
        header, content = parse_message(packet)
        if header.kind in SCHEMA_KINDS.values():
            self._read_schema(header, content)
        elif header.kind == Kind.FRAME:
            return self._read_frame(header, content)
        elif header.kind == Kind.ERROR:
            raise DriveError(f"iFacialMocap says: {content[:200].decode('utf-8', 'replace')}")
        return None

    def _read_schema(self, header: Header, content: bytes) -> None:
        whole = self._schemas.add(header, content)
        if whole is None:
            return
        nonce, schema = _schema(whole)
        if nonce not in self._nonces or header.kind != SCHEMA_KINDS[schema.revision]:
            raise DriveError("FMV3: expected a schema that answers our request")
        if header.session != self._session:
            self._session, self._sequence = header.session, None
        self._schema, self._schema_id = schema, header.schema
        ack = Header(ACK_KINDS[schema.revision], 0, self._session, self._schema_id, 0, 0)
        self._answer = ack.pack()

    def _read_frame(self, header: Header, content: bytes) -> Signal | None:
        schema = self._schema
        if schema is None or (header.session, header.schema) != (self._session, self._schema_id):
            if self._session:
                self._answer = Header(Kind.GET_SCHEMA, 0, self._session, 0, 0, 0).pack()
            return None
        if not self._is_new(header.sequence):
            return None
        whole = self._frames.add(header, content)
        if whole is None:
            return None
        face = _frame_signal(whole, schema)
        self._sequence = header.sequence
        return face if header.flags & TRACKING else None

    def _is_new(self, sequence: int) -> bool:
        return self._sequence is None or 0 < (sequence - self._sequence) % 2**32 < HALF_RANGE


def _schema(content: bytes) -> tuple[int, Schema]:
    """The nonce that it answers, and the schema. Raises DriveError."""
    if len(content) < START.size:
        raise DriveError(f"FMV3: expected a schema, got {len(content)} bytes")
    nonce, _, _, _, revision = START.unpack_from(content)
    if revision not in SCHEMA_KINDS:
        raise DriveError(f"FMV3: expected revision {[*SCHEMA_KINDS]}, got {revision}: update")
    try:
        fields = json.loads(content[START.size :])
    except (ValueError, RecursionError) as error:
        raise DriveError(f"FMV3: expected JSON: {error!s:.80}") from error
    names, encoding = _fields(fields)
    return nonce, Schema(revision, names, struct.Struct(f"<{len(names)}{ENCODINGS[encoding]}"))


def _fields(fields: Any) -> tuple[list[str], str]:
    """Names and their numbers' encoding. Raises DriveError."""
    found = fields if isinstance(fields, dict) else {}
    names, encoding = found.get("blend_names"), found.get("blend_encoding")
    units = (found.get("blend_unit"), found.get("rotation_unit"))
    if units != ("percent", "degree") or not isinstance(names, list):
        raise DriveError("FMV3: expected blend_names in percent and rotations in degree")
    if len(names) > MAX_NAMES or not all(isinstance(name, str) for name in names):
        raise DriveError(f"FMV3: expected {MAX_NAMES} names at most")
    if not isinstance(encoding, str) or encoding not in ENCODINGS:
        raise DriveError(f"FMV3: blend_encoding: expected {[*ENCODINGS]}")
    return names, encoding


def _frame_signal(content: bytes, schema: Schema) -> Signal:
    expected = schema.values.size + POSE.size
    if len(content) != expected:
        raise DriveError(f"FMV3: expected a frame of {expected} bytes, got {len(content)}")
    named = zip(map(arkit_name, schema.names), schema.values.unpack_from(content), strict=True)
    faults = Faults()
    weights = faults.finite_weights((n, value / 100) for n, value in named if n is not None)
    pose = POSE.unpack_from(content, schema.values.size)
    turns = [faults.attempt(partial(_turn, pose[i : i + 3])) for i in (0, 6, 9)]
    faults.check_rest(weights or any(turns))
    head, right, left = turns
    gaze = (left[:2], right[:2]) if left and right else None
    held = HeadPose(head.axis_angle()) if head else None
    named_weights = weights_of(add_gaze(weights, gaze))
    return Signal(*named_weights, head=held, source=SOURCE, faults=tuple(faults))


def _turn(degrees: Sequence[float]) -> HeadAngles:
    x, y, z = (math.radians(finite("FMV3: angle", v, MAX_ANGLE_DEG)) for v in degrees)
    return HeadAngles(y, -x, z)


def write_hello(nonce: int, revision: int) -> bytes:
    """What asks a phone to start."""
    body = HELLO_BODY.pack(FPS, UDP_SIZE, revision)
    return Header(Kind.HELLO, 0, nonce, 0, 0, len(body), length=len(body)).pack() + body


def write_schema(session: int, schema: int, revision: int = 5, nonce: int = 0) -> list[bytes]:
    """What a phone sends first, with ARKit's names."""
    fields = {
        "schema_version": 1, "app": "iFacialMocap", "profile": "ifacialmocap-stream",
        "blend_names": ARKIT_NAMES, "blend_encoding": "i16", "blend_unit": "percent",
        "pose_layout": "head_rxyz_pxyz_rightEye_rxyz_leftEye_rxyz", "rotation_unit": "degree",
        "position_unit": "meter",
    }  # fmt: skip
    start = START.pack(nonce, FPS, UDP_SIZE, LEASE_MS, revision)
    content = start + json.dumps(fields, separators=(",", ":")).encode()
    return list(_parts(SCHEMA_KINDS[revision], 0, (session, schema, 0), content, SCHEMA_PART))


def write_frame(signal: Signal, session: int, schema: int, sequence: int) -> list[bytes]:
    """One frame in the order of `write_schema`; what is missing is 0."""
    percent = [round(100 * weight) for weight in signal.weights.tolist()]
    left, right = ((*angles, 0.0) for angles in gaze_angles(signal.named()))
    head = signal.neck_pose.head_angles()
    turns = (head, (0.0, 0.0, 0.0), right, left)
    pose = [math.degrees(v) for yaw, pitch, roll in turns for v in (-pitch, yaw, roll)]
    content = struct.pack(f"<{len(percent)}h", *percent) + POSE.pack(*pose)
    return list(_parts(Kind.FRAME, TRACKING, (session, schema, sequence), content, FRAME_PART))


def _parts(
    kind: int, flags: int, ids: tuple[int, int, int], content: bytes, room: int
) -> Iterator[bytes]:
    """Datagrams of one message."""
    count = max(1, -(-len(content) // room))
    for part in range(count):
        chunk = content[part * room : (part + 1) * room]
        yield Header(kind, flags, *ids, len(content), part, count, len(chunk)).pack() + chunk
