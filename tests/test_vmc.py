"""VMC: names, bones and when they are shown; and the OSC below."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flexavatar.drive.protocols.osc import Message, read_messages, write_message
from flexavatar.drive.protocols.vmc import VmcReader
from flexavatar.errors import DriveError
from tests import packets

FLOAT32 = 1e-6


# ---- VMC


def test_vmc_bundle() -> None:
    face = VmcReader().read(packets.VMC)
    assert face is not None
    assert face.named() == {"jawOpen": 0.5, "eyeBlinkLeft": 1.0}
    assert face.pts_ns == 12_500_000_000
    assert face.head is not None
    turn = np.degrees(face.neck_pose.head_angles())
    assert turn == pytest.approx((45, 0, 0), abs=1e-4)  # Unity's -y is to the left


def test_vmc_shows_nothing_before_apply() -> None:
    reader = VmcReader()
    assert reader.read(packets.VMC_VALUE) is None
    assert reader.read(packets.bundle(packets.VMC_CAMEL)) is None
    face = reader.read(packets.VMC_APPLY)
    assert face is not None
    assert face.named() == {"jawOpen": 0.5, "eyeBlinkLeft": 1.0}


def test_vmc_presets_stand_in_for_shapes() -> None:
    reader = VmcReader()
    reader.read(packets.bundle(packets.VMC_PRESET, write_message("/VMC/Ext/Blend/Val", "aa", 1.0)))
    face = reader.read(packets.VMC_APPLY)
    assert face is not None
    assert face.weight("eyeBlinkLeft") == 0.5
    assert "eyeBlinkRight" not in face.named()
    assert face.weight("jawOpen") > 0.3
    reader.read(packets.VMC_VALUE)  # from here on the sender has ARKit's shapes
    face = reader.read(packets.VMC_APPLY)
    assert face is not None
    assert face.named() == {"jawOpen": 0.5}


def test_vmc_tells_that_the_face_is_lost() -> None:
    reader = VmcReader()
    assert reader.read(packets.bundle(packets.VMC_LOST, packets.VMC)) is None
    tracked = packets.VMC_LOST[:-1] + b"\x01"
    assert reader.read(packets.bundle(tracked, packets.VMC_APPLY)) is not None


def test_vmc_neck_and_head_add_up() -> None:
    half = np.sin(np.pi / 8), np.cos(np.pi / 8)
    bones = [
        write_message("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, half[0], 0.0, 0.0, half[1])
        for name in ("Neck", "Head")
    ]
    face = VmcReader().read(packets.bundle(*bones, packets.VMC_VALUE, packets.VMC_APPLY))
    assert face is not None
    assert face.neck_pose == pytest.approx((np.pi / 2, 0, 0), abs=FLOAT32)  # a nod down


def test_vmc_refused_packets_change_nothing() -> None:
    reader = VmcReader()
    reader.read(packets.VMC_VALUE)
    broken = write_message("/VMC/Ext/Blend/Val", "jawOpen", math.nan)
    with pytest.raises(DriveError, match="Blend/Val"):
        reader.read(packets.bundle(broken))
    face = reader.read(packets.VMC_APPLY)
    assert face is not None
    assert face.named() == {"jawOpen": 0.5}


# ---- OSC


def test_osc_arguments() -> None:
    packet = (
        b"/a\0\0,ifsbhdtTFNI\0\0\0\0" b"\xff\xff\xff\xfe" b"\x3f\x80\0\0" b"hi\0\0"
        b"\0\0\0\x03abc\0" b"\xff\xff\xff\xff\xff\xff\xff\xff" b"\x3f\xf0\0\0\0\0\0\0"
        b"\0\0\0\0\0\0\0\x09"
    )  # fmt: skip
    expected = Message("/a", (-2, 1.0, "hi", b"abc", -1, 1.0, 9, True, False, None, None))
    assert read_messages(packet) == [expected]
    assert read_messages(packets.bundle(packet, packets.bundle(packet))) == [expected] * 2


@pytest.mark.parametrize(
    "packet",
    [
        b"", b"/a", b"/a\0\0", b"a\0\0\0,\0\0\0", b"/a\0\0,i\0\0", b"/a\0\0,x\0\0",
        b"/a\0\0,b\0\0\0\0\0\x09a", b"/a\0\0,s\0\0abcd", b"#bundle\0" + bytes(8) + b"\0\0\xff\xff",
        b"#bundle\0" + bytes(8) + b"\0",
    ],
)  # fmt: skip
def test_osc_that_is_broken(packet: bytes) -> None:
    with pytest.raises(DriveError, match="OSC"):
        read_messages(packet)


def test_osc_bundles_nest_a_little() -> None:
    packet = packets.VMC_APPLY
    for _ in range(4):
        packet = packets.bundle(packet)
    assert len(read_messages(packet)) == 1
    for _ in range(2000):
        packet = packets.bundle(packet)
    with pytest.raises(DriveError, match="deep"):
        read_messages(packet)
