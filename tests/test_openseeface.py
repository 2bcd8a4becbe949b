"""What OpenSeeFace sends."""

from __future__ import annotations

import math

import pytest

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.protocols import openseeface
from flexavatar.errors import DriveError
from tests import packets
from tests.signals import signal_of

FLOAT32 = 1e-6
FITTED = 8 + 4 + 8 + 8
ANGLES = FITTED + 1 + 4 + 16
NAN = b"\0\0\xc0\x7f"


def test_a_face() -> None:
    face = openseeface.read(packets.OPENSEEFACE)
    assert face is not None
    assert (face.source, face.faults) == ("openseeface", ())
    assert face.pts_ns == pytest.approx(1_700_000_000_250_000_000, abs=256)  # a double's step
    assert {name: weight for name, weight in face.named().items() if weight} == {
        "eyeBlinkRight": 0.75,
        "browOuterUpLeft": 0.5,
        "browInnerUp": 0.25,
        "browDownRight": 0.25,
        "mouthSmileLeft": 0.75,
        "mouthFrownRight": 0.5,
        "jawOpen": 0.625,
        "mouthPucker": 0.25,
    }
    degrees = [math.degrees(angle) for angle in face.neck_pose.head_angles()]
    assert degrees == pytest.approx([10, 10, -5], abs=1e-4)  # angles came in float32


def test_nobody_is_seen() -> None:
    unseen = packets.OPENSEEFACE[:FITTED] + b"\0" + packets.OPENSEEFACE[FITTED + 1 :]
    assert openseeface.read(unseen) is None


def test_of_several_faces_the_first() -> None:
    first = openseeface.write(signal_of({"jawOpen": 0.5}))
    face = openseeface.read(first + packets.OPENSEEFACE)
    assert face is not None
    assert face.weight("jawOpen") == 0.5


@pytest.mark.parametrize("packet", [b"", b"x" * 1784, packets.OPENSEEFACE + b"x"])
def test_what_is_no_face(packet: bytes) -> None:
    with pytest.raises(DriveError, match=rf"expected 1785 bytes .*, got {len(packet)}"):
        openseeface.read(packet)


def test_one_bad_value_leaves_the_rest() -> None:
    damaged = packets.OPENSEEFACE[:ANGLES] + NAN + packets.OPENSEEFACE[ANGLES + 4 : -8] + NAN * 2
    face = openseeface.read(damaged)
    assert face is not None
    assert len(face.faults) == 3
    assert face.head is None
    assert face.weight("browOuterUpLeft") == 0.5
    assert "jawOpen" not in face.named()


def test_what_is_written_is_read() -> None:
    weights = {"jawOpen": 0.4, "mouthSmileLeft": 0.3, "eyeBlinkRight": 0.8, "browDownLeft": 0.2}
    pose = HeadAngles(0.3, -0.2, 0.1).axis_angle()
    face = openseeface.read(openseeface.write(signal_of(weights, pose, 10**10)))
    assert face is not None
    assert {n: w for n, w in face.named().items() if w} == pytest.approx(weights, abs=FLOAT32)
    assert face.neck_pose == pytest.approx(pose, abs=FLOAT32)
    assert face.pts_ns == 10**10
