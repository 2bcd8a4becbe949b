"""Drive packets <-> bytes, for who drives over ZeroMQ. Byte table: proto/wire.md."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag

from flexavatar.head.arkit import ARKIT_NAMES
from plugin_server.wire import Buffer, WireError

MAGIC = b"FLXD"
VERSION = 1
PACKET = struct.Struct("<4sHH16s32sIHHQ52f9f2ff8x")
PACKET_BYTES = PACKET.size


class Parts(IntFlag):
    """What a packet says; the numbers of the other parts are 0."""

    ARKIT = 1
    HEAD = 2
    ORBIT = 4
    MORPH = 8


ALL_PARTS = int(Parts.ARKIT | Parts.HEAD | Parts.ORBIT | Parts.MORPH)
NO_WEIGHTS = (0.0,) * 52
NO_POSE = (0.0,) * 9
NO_ORBIT = (0.0, 0.0)


@dataclass(frozen=True)
class DrivePacket:
    """One signal; what `parts` leaves out says nothing."""

    session: str  # 16 lower-case hex digits
    token: str  # the session's owner_token
    seq: int  # grows, wraps at 2**32
    pts_ns: int  # the signal's time on the sender's clock
    parts: Parts
    weights: tuple[float, ...] = NO_WEIGHTS  # [52] 0..1, in ARKIT_NAMES' order
    pose: tuple[float, ...] = NO_POSE  # neck_pose, global_orient, transl; radians, metres
    orbit: tuple[float, ...] = NO_ORBIT  # yaw, pitch; degrees
    morph: float = 0.0


def pack_drive(packet: DrivePacket) -> bytes:
    """One message of PACKET_BYTES."""
    return PACKET.pack(
        MAGIC, VERSION, packet.parts, packet.session.encode(), packet.token.encode(),
        packet.seq & 0xFFFFFFFF, PACKET_BYTES, 0, packet.pts_ns,
        *packet.weights, *packet.pose, *packet.orbit, packet.morph,
    )  # fmt: skip


def unpack_drive(message: Buffer) -> DrivePacket:
    """The way back. Raises WireError; what the numbers mean is not checked here."""
    if len(message) != PACKET_BYTES:
        raise WireError(f"drive packet: expected {PACKET_BYTES} bytes, got {len(message)}")
    magic, version, parts, session, token, seq, size, _, pts_ns, *rest = PACKET.unpack(message)
    if magic != MAGIC:
        raise WireError(f"drive packet: expected to start with {MAGIC!r}, got {magic!r}")
    if version != VERSION or size != PACKET_BYTES:
        expected = f"{VERSION} with {PACKET_BYTES} bytes"
        raise WireError(f"drive packet: expected version {expected}, got {version} with {size}")
    if not parts or parts & ~ALL_PARTS:
        raise WireError(f"drive packet: expected parts within 1 to {ALL_PARTS}, got {parts}")
    if not (session.isascii() and token.isascii()):
        raise WireError("drive packet: expected ASCII as session and token")
    weights, pose, orbit = tuple(rest[:52]), tuple(rest[52:61]), tuple(rest[61:63])
    return DrivePacket(
        session.decode(), token.decode(), seq, pts_ns, Parts(parts), weights, pose, orbit, rest[63]
    )


def packet_weights(weights: Mapping[str, float]) -> tuple[float, ...]:
    """By name -> [52] in the packet's order. Raises WireError for a name that is not ARKit's."""
    if unknown := weights.keys() - set(ARKIT_NAMES):
        raise WireError(f"not ARKit names: {sorted(unknown)}")
    return tuple(weights.get(name, 0.0) for name in ARKIT_NAMES)
