"""Live Link Face in ARKit mode, UDP 11111: one packet a frame, everything big-endian.

    u8 version = 6 | i32 length, device id | i32 length, subject
    i32 frame | f32 subframe | i32 rate's numerator | i32 rate's denominator
    u8 count = 61 | f32[61]: the 52 weights in Apple's order, yaw, pitch and roll of the head,
    of the left and of the right eye, in radians

A packet that ends at most 16 bytes after the subject says that no face is seen. The eyes' angles
are not read: the eyeLook weights say the same. For the signs of the head's see `head_angles.py`.
"""

from __future__ import annotations

import struct

import numpy as np

from flexavatar.drive.expressions import gaze_angles
from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.performance import FRAME_RATE
from flexavatar.drive.protocols.checks import Faults, finite, nanoseconds, printable
from flexavatar.drive.signal import HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import NS_PER_S

SOURCE = "live-link-face"
PORT = 11111
VERSION = 6
COUNT = 61
LENGTH = struct.Struct(">i")
TIME = struct.Struct(">ifii")
VALUES = np.dtype(">f4")
NO_FACE_BYTES = 16
"""Bytes after the subject, at most, of a packet without a face."""
RATES = (1.0, 1000.0)
MAX_TURN = 7.0
"""Radians."""
METAHUMAN = (
    "Live Link Face is in MetaHuman mode, whose numbers are not ARKit's:"
    " choose ARKit as the capture mode in the app's settings"
)

NO_FACE = "Live Link Face: the app sees no face"
OSC = (
    "Live Link Face: got OSC, which VMC and other programs send:"
    " send them to the port of --vmc, and here what the app Live Link Face sends"
)


def read(packet: bytes) -> Signal | None:
    """One frame, None if no face is seen. Raises DriveError."""
    try:
        return _read(packet)
    except DriveError:
        if _is_metahuman(packet):
            raise DriveError(METAHUMAN) from None
        raise


def _read(packet: bytes) -> Signal | None:
    if packet[:1] in (b"/", b"#"):
        raise DriveError(OSC)
    if packet[:1] != bytes([VERSION]):
        raise DriveError(f"Live Link Face: expected version {VERSION}, got {packet[:1].hex()}")
    _, start = _text(packet, 1, "device id")
    subject, start = _text(packet, start, "subject")
    if len(packet) <= start + NO_FACE_BYTES:
        return None
    values_at = start + TIME.size + 1
    if len(packet) != values_at + COUNT * VALUES.itemsize or packet[values_at - 1] != COUNT:
        raise DriveError(f"Live Link Face: expected {COUNT} values, got {len(packet)} bytes")
    pts_ns = _pts_ns(*TIME.unpack_from(packet, start))
    values = np.frombuffer(packet, VALUES, COUNT, values_at).tolist()
    faults = Faults()
    weights = faults.finite_weights(zip(ARKIT_NAMES, values[:52], strict=True))
    head = faults.attempt(lambda: HeadAngles(*(finite("head", v, MAX_TURN) for v in values[52:55])))
    faults.check_rest(weights)
    return Signal(
        *weights_of(weights),
        head=None if head is None else HeadPose(head.axis_angle()),
        source=SOURCE,
        pts_ns=pts_ns,
        subject=printable(subject),
        faults=tuple(faults),
    )


def _text(packet: bytes, start: int, what: str) -> tuple[str, int]:
    """A string behind its length, and where the next thing starts."""
    if len(packet) < start + LENGTH.size:
        raise DriveError(f"Live Link Face: expected a {what}, the packet ends")
    (length,) = LENGTH.unpack_from(packet, start)
    start += LENGTH.size
    if not 0 <= length <= len(packet) - start:
        raise DriveError(f"Live Link Face: {what}: expected to end in the packet, got {length}")
    return packet[start : start + length].decode("utf-8", "replace"), start + length


def _pts_ns(frame: int, subframe: float, numerator: int, denominator: int) -> int:
    """Timecode -> nanoseconds."""
    rate = numerator / (denominator or 1) if denominator >= 0 else 0.0  # many send 60 / 0
    if not (RATES[0] <= rate <= RATES[1] and 0 <= subframe <= 1):  # also false for NaN
        raise DriveError(
            "Live Link Face: expected a rate of 1 to 1000 frames a second and a part of a frame,"
            f" got {numerator}/{denominator} and {subframe:g}"
        )
    return nanoseconds((frame + subframe) / rate)


def _is_metahuman(packet: bytes) -> bool:
    """`u16 version | u16 length, id | ...` in either order of bytes, with an id that reads well."""
    for order in ("big", "little"):
        version = int.from_bytes(packet[:2], order)
        length = int.from_bytes(packet[2:4], order)
        name = packet[4 : 4 + length]
        if version <= 16 and 8 <= length == len(name) <= 128 and name.isascii():
            return name.decode().isprintable()
    return False


def write(signal: Signal, device: str = "", rate: int = FRAME_RATE) -> bytes:
    """One frame's packet; what is missing is 0. The eyes' angles follow from the weights."""
    names = (device.encode(), signal.subject.encode())
    frames, part = divmod(max(signal.pts_ns, 0) * rate, NS_PER_S)
    turns = signal.neck_pose.head_angles()
    eyes = [angle for yaw, pitch in gaze_angles(signal.named()) for angle in (yaw, pitch, 0.0)]
    values = (*signal.weights.tolist(), *turns, *eyes)
    texts = b"".join(LENGTH.pack(len(name)) + name for name in names)
    time = TIME.pack(frames, part / NS_PER_S, rate, 1)
    return bytes([VERSION]) + texts + time + bytes([COUNT]) + np.array(values, VALUES).tobytes()
