"""Packets of capture apps: read as they are documented, and written so that others can read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flexavatar.drive.head_angles import HeadAngles, from_unity, to_unity
from flexavatar.drive.names import arkit_name, pascal_case, snake_side
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
from flexavatar.drive.protocols import fmv3, ifacialmocap, live_link_face, vmc, vtube_studio
from flexavatar.drive.protocols.fmv3 import Fmv3Reader
from flexavatar.drive.protocols.vmc import VmcReader
from flexavatar.drive.signal import NO_PTS, Signal
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES, GAZE_PITCH, JAW_OPEN
from tests import packets
from tests.signals import assert_same, rounded

PERCENT = 0.0051
"""Whole percent on the wire, rounded."""
FLOAT32 = 1e-6


def angles(face: Signal | None) -> HeadAngles:
    assert face is not None
    assert face.head is not None
    return face.neck_pose.head_angles()


def degrees(face: Signal | None) -> list[float]:
    return [math.degrees(angle) for angle in angles(face)]


# ---- Live Link Face


def test_live_link_face_packet() -> None:
    face = live_link_face.read(packets.LIVE_LINK_FACE)
    assert face is not None
    assert len(packets.LIVE_LINK_FACE) == 306 + 10
    assert (face.subject, face.pts_ns) == ("Ann’s 12", 1_504_166_667)  # 90.25 / 60 s
    shown = {name: weight for name, weight in face.named().items() if weight}
    assert shown == {"eyeBlinkLeft": 1.0, "jawOpen": 0.5, "mouthSmileLeft": 0.25}
    assert [*face.named()] == [*ARKIT_NAMES]
    assert angles(face) == pytest.approx((0.25, -0.1, 0.05), abs=FLOAT32)


def test_live_link_face_without_a_face() -> None:
    assert live_link_face.read(packets.LIVE_LINK_FACE_UNSEEN) is None
    assert live_link_face.read(packets.LIVE_LINK_FACE_UNSEEN[:-16]) is None


def test_live_link_face_lengths_are_read() -> None:
    """An id whose length is not 36, which is no `$`."""
    long = packets.LIVE_LINK_FACE.replace(b"\x24" + packets.DEVICE, b"\x03abc")
    assert_same(live_link_face.read(long), live_link_face.read(packets.LIVE_LINK_FACE))


@pytest.mark.parametrize("order", ["big", "little"])
def test_metahuman_mode_is_explained(order: str) -> None:
    packet = packets.METAHUMAN
    if order == "little":
        packet = b"\x01\x00\x24\x00" + packet[4:]
    with pytest.raises(DriveError, match=r"MetaHuman mode.*choose ARKit"):
        live_link_face.read(packet)


# ---- iFacialMocap


def test_ifacialmocap_v1() -> None:
    face = ifacialmocap.read(packets.IFACIALMOCAP_V1)
    assert face is not None
    assert face.weights[JAW_OPEN] == np.float32(0.12)
    assert face.weight("eyeLookDownLeft") == np.float32(0.17)
    assert face.weight("mouthLeft") == np.float32(0.01)
    assert face.sent.sum() == 16
    assert degrees(face) == pytest.approx((-6.038993, 21.488958, -6.6019735), abs=1e-9)
    assert face.pts_ns == NO_PTS
    assert_same(ifacialmocap.read(packets.IFACIALMOCAP_V1 + b"___iFacialMocap"), face)


def test_ifacialmocap_v2_is_signed_and_has_shapes_of_its_own() -> None:
    face = ifacialmocap.read(packets.IFACIALMOCAP_V2)
    assert face is not None
    assert face.named() == rounded({
        "eyeLookOutLeft": 0.03, "mouthPressRight": 0.14, "jawForward": 0.08, "jawOpen": -0.04,
        "eyeBlinkLeft": 0.29,
    })  # fmt: skip


def test_angles_of_the_eyes_stand_in_for_looks() -> None:
    face = ifacialmocap.read(b"jawOpen-1|rightEye#5,10,0|leftEye#5,10,0|")  # down and to the left
    assert face is not None
    looks = {name: weight for name, weight in face.named().items() if "Look" in name and weight}
    assert {*looks} == {"eyeLookOutLeft", "eyeLookInRight", "eyeLookDownLeft", "eyeLookDownRight"}
    assert looks["eyeLookDownLeft"] == pytest.approx(math.radians(5) / GAZE_PITCH)


def test_ifacialmocap_requests() -> None:
    key = b"sahuasouryya9218sauhuiayeta91555dy3719"
    assert ifacialmocap.request(1, tcp=False) == b"iFacialMocap_" + key
    wanted = b"iFacialMocap_UDPTCP_" + key + b"|sendDataVersion=v2"
    assert ifacialmocap.request(2, tcp=True) == wanted


# ---- iFacialMocap v3


def shown(reader: Fmv3Reader, *sent: bytes) -> Signal:
    faces = [reader.read(packet) for packet in sent]
    assert faces[-1] is not None
    return faces[-1]


@pytest.mark.parametrize(("kind", "revision", "ack"), [(2, 5, 3), (3, 4, 10)])
def test_fmv3_schema_and_frame(kind: int, revision: int, ack: int) -> None:
    reader = Fmv3Reader()
    assert reader.ping() is None
    assert reader.read(packets.fmv3_schema(kind, revision)) is None
    answer = reader.answer()
    assert answer == packets.FMV3_ACK[:4] + bytes([ack]) + packets.FMV3_ACK[5:]
    assert reader.answer() is None  # once
    face = shown(reader, packets.FMV3_FRAME)
    weights = {name: w for name, w in face.named().items() if "Look" not in name}
    assert weights == rounded({"eyeBlinkLeft": 0.12, "eyeBlinkRight": 0.08, "jawOpen": 0.45})
    assert face.weight("eyeLookDownLeft") == pytest.approx(math.radians(6) / GAZE_PITCH)
    assert degrees(face) == pytest.approx((20, 10, 5), abs=1e-5)
    assert reader.ping() == packets.fmv3(6, b"", schema=0, sequence=1)


def test_fmv3_frames_that_are_not_shown() -> None:
    reader = Fmv3Reader()
    assert reader.read(packets.FMV3_FRAME) is None  # no schema yet
    reader.read(packets.fmv3_schema())
    shown(reader, packets.FMV3_FRAME)
    assert reader.read(packets.FMV3_FRAME) is None  # the same again
    content = packets.FMV3_FRAME[40:]
    assert reader.read(packets.fmv3(4, content, sequence=6, flags=1)) is None  # older
    assert reader.read(packets.fmv3(4, content, sequence=8, flags=0)) is None  # face lost
    assert reader.read(packets.fmv3(4, content, schema=2, sequence=9, flags=1)) is None
    reader.answer()
    wanted = packets.fmv3(5, b"", schema=0)
    reader.read(packets.fmv3(4, content, schema=2, sequence=10, flags=1))
    assert reader.answer() == wanted  # asks for the schema that it lacks
    shown(reader, packets.fmv3(4, content, sequence=2**31, flags=1))
    shown(reader, packets.fmv3(4, content, sequence=2**32 - 1, flags=1))
    shown(reader, packets.fmv3(4, content, sequence=3, flags=1))  # the counter went round


def test_fmv3_in_parts_in_any_order() -> None:
    schema, *more = fmv3.write_schema(7, 1)
    assert more, "52 names need several parts"
    reader = Fmv3Reader()
    for part in (*reversed(more), schema):
        assert reader.answer() is None
        reader.read(part)
    assert reader.answer() is not None


def test_fmv3_hello_and_whose_schema_is_taken() -> None:
    nonce = int.from_bytes(packets.FMV3_HELLO[8:16], "little")
    assert fmv3.write_hello(nonce, 5) == packets.FMV3_HELLO
    Fmv3Reader([nonce]).read(packets.fmv3_schema(nonce=nonce))
    with pytest.raises(DriveError, match="answers our request"):
        Fmv3Reader([nonce]).read(packets.fmv3_schema(nonce=nonce + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"blend_encoding": "f32"}, {"blend_encoding": []}, {"blend_unit": "share"},
        {"blend_names": "jawOpen"}, {"blend_names": [1]}, {"blend_names": ["x"] * 5000},
    ],
)  # fmt: skip
def test_fmv3_schemas_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DriveError, match="FMV3"):
        Fmv3Reader().read(packets.fmv3_schema(**changes))


def test_fmv3_says_why_the_phone_refuses() -> None:
    with pytest.raises(DriveError, match="iFacialMocap says: BUSY"):
        Fmv3Reader().read(packets.fmv3(9, b"BUSY"))


# ---- VTube Studio


def test_vtube_studio_frame() -> None:
    face = vtube_studio.read(packets.VTUBE_STUDIO)
    assert face is not None
    assert face.named() == {"jawOpen": 0.5, "eyeBlinkLeft": 1.0, "eyeLookOutLeft": 0.25}
    assert face.pts_ns == pytest.approx(1_700_000_000_123_000_000, abs=300, rel=0)  # float64
    assert degrees(face) == pytest.approx((10, 5, 2.5))


def test_vtube_studio_without_a_face() -> None:
    assert vtube_studio.read(b'{"FaceFound":false,"BlendShapes":[]}') is None


def test_vtube_studio_request() -> None:
    assert json.loads(vtube_studio.request(21499)) == {
        "messageType": "iOSTrackingDataRequest", "time": 5.0, "sentBy": "FlexAvatar",
        "ports": [21499],
    }  # fmt: skip


def faces_with(**changes: object) -> bytes:
    frame = json.loads(packets.VTUBE_STUDIO) | changes
    return json.dumps(frame).encode()


@pytest.mark.parametrize(
    "packet",
    [
        b"", b"null", b"[]", b"\xff\xfe", b'{"FaceFound":true}', b"[" * 60000, b'{"a":' * 10000,
        faces_with(BlendShapes=[{"k": "JawOpen"}]), faces_with(BlendShapes=[{"k": 1, "v": 1}]),
        faces_with(BlendShapes=[{"k": "JawOpen", "v": "1"}]), faces_with(BlendShapes=[]),
        faces_with(BlendShapes=[{"k": "JawOpen", "v": True}]),
        faces_with(BlendShapes=[{"k": "JawOpen", "v": math.nan}]),
        faces_with(BlendShapes=[{"k": "JawOpen", "v": 10**400}]),
        b" " * 70000,
    ],
)  # fmt: skip
def test_vtube_studio_frames_that_are_refused(packet: bytes) -> None:
    with pytest.raises(DriveError, match=r"VTube Studio|time|jawOpen"):
        vtube_studio.read(packet)


# ---- packets that are refused


TRUNCATED: list[tuple[Callable[[bytes], object], bytes]] = [
    (live_link_face.read, packets.LIVE_LINK_FACE[:20]),
    (live_link_face.read, packets.LIVE_LINK_FACE[:-1]),
    (live_link_face.read, packets.LIVE_LINK_FACE + b"\0"),
    (live_link_face.read, b"\x05" + packets.LIVE_LINK_FACE[1:]),
    (live_link_face.read, packets.LIVE_LINK_FACE.replace(b"\0\0\0\x3c", bytes(4))),
    (live_link_face.read, packets.LIVE_LINK_FACE.replace(b"\0\0\0\x5a", b"\xff" * 4)),
    (live_link_face.read, packets.LIVE_LINK_FACE[: -4 * 61] + b"\x7f\xc0\0\0" * 61),
    (ifacialmocap.read, b""),
    (ifacialmocap.read, b"\xff\xfe"),
    (ifacialmocap.read, b"jawOpen-x|"),
    (ifacialmocap.read, b"jawOpen-nan|"),
    (ifacialmocap.read, b"jawOpen-nan|=head#1,2,3|"),
    (ifacialmocap.read, b"jawOpen-1|" * 2000),
    (ifacialmocap.read, b"hapihapi-0|"),
    (VmcReader().read, b"/VMC/Ext/Blend/Val\0\0,f\0\0\x3f\0\0\0"),
    (VmcReader().read, b"/VMC/Ext/Blend/Val\0\0,s\0\0JawOpen\0"),
    (VmcReader().read, packets.VMC_HEAD[:-16] + bytes(16)),
    (VmcReader().read, b"/VMC/Ext/T\0\0,f\0\0\xc1\x48\x00\x00"),
    (Fmv3Reader().read, packets.FMV3_FRAME[:39]),
    (Fmv3Reader().read, packets.FMV3_FRAME + b"\0"),
    (Fmv3Reader().read, packets.fmv3(2, bytes(10))),
    (Fmv3Reader().read, packets.fmv3_schema(revision=6)),
    (Fmv3Reader().read, packets.fmv3_schema(kind=3, revision=5)),
]  # fmt: skip


@pytest.mark.parametrize(("read", "packet"), TRUNCATED)
def test_broken_packets_are_refused(read: Callable[[bytes], object], packet: bytes) -> None:
    with pytest.raises(DriveError):
        read(packet)


# ---- there and back


def performed() -> list[Signal]:
    """Every tenth frame of the performance that ships."""
    return [replace(frame, subject="Ann") for frame in read_performance(SHIPPED_PERFORMANCE)[::10]]


def through_vmc(face: Signal, spelling: Callable[[str], str] = pascal_case) -> Signal | None:
    first, second = vmc.write(face, spelling)
    reader = VmcReader()
    assert reader.read(first) is None
    return reader.read(second)


def through_fmv3(face: Signal) -> Signal | None:
    reader = Fmv3Reader()
    packets = (*fmv3.write_schema(7, 1), *fmv3.write_frame(face, 7, 1, 1))
    return [reader.read(packet) for packet in packets][-1]


ROUND_TRIPS: list[tuple[Callable[[Signal], Signal | None], float, float | None]] = [
    (lambda face: live_link_face.read(live_link_face.write(face)), FLOAT32, 1000),
    (lambda face: ifacialmocap.read(ifacialmocap.write(face, 1)), PERCENT, None),
    (lambda face: ifacialmocap.read(ifacialmocap.write(face, 2)), PERCENT, None),
    (lambda face: vtube_studio.read(vtube_studio.write(face)), FLOAT32, 1e6),
    (through_vmc, FLOAT32, 1e3),
    (lambda face: through_vmc(face, str), FLOAT32, 1e3),
    (through_fmv3, PERCENT, None),
]


@pytest.mark.parametrize(("through", "tolerance", "time_ns"), ROUND_TRIPS)
def test_what_is_written_is_read(
    through: Callable[[Signal], Signal | None], tolerance: float, time_ns: float | None
) -> None:
    for face in performed():
        read = through(face)
        assert read is not None
        assert read.named() == pytest.approx(face.named(), abs=tolerance)
        # angles of text are rounded to 1e-6 degrees, others to float32
        assert read.neck_pose == pytest.approx(face.neck_pose, abs=1e-6)
        if time_ns is not None:
            assert read.pts_ns == pytest.approx(face.pts_ns, abs=time_ns, rel=1e-7)


# ---- names and turns


def test_every_spelling_finds_its_shape() -> None:
    for name in ARKIT_NAMES:
        for spelling in (name, pascal_case(name), snake_side(name), name.upper()):
            assert arkit_name(spelling) == name
    assert snake_side("mouthLeft") == "mouthLeft"
    assert snake_side("browOuterUpRight") == "browOuterUp_R"
    assert arkit_name("_neutral") is None


def test_unity_turns_are_mirrored() -> None:
    """A left-handed matrix of the same quaternion, seen in the head frame where x points back."""
    mirror = np.diag((-1.0, 1.0, 1.0))
    for seed in range(20):
        quaternion = np.random.default_rng(seed).normal(size=4)
        unity = Rotation.from_quat(quaternion).as_matrix()
        x, y, z, w = quaternion
        ours = Rotation.from_rotvec(from_unity((x, y, z, w))).as_matrix()
        np.testing.assert_allclose(ours, mirror @ unity @ mirror, atol=1e-12)  # float64
        again = Rotation.from_quat(to_unity(from_unity((x, y, z, w)))).as_matrix()
        np.testing.assert_allclose(again, unity, atol=1e-12)


def test_angles_there_and_back() -> None:
    for seed in range(20):
        yaw, pitch, roll = np.random.default_rng(seed).uniform(-1.4, 1.4, 3)
        there = HeadAngles(yaw, pitch, roll).axis_angle()
        assert there.head_angles() == pytest.approx((yaw, pitch, roll))
    assert struct.calcsize("<4sBBHQIIIIHHI") == 40
