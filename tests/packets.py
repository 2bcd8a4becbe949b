"""Packets of every capture protocol, spelled out byte by byte, for tests.

They were written by hand from the protocols' descriptions, or are sample frames of the apps'
makers; none comes from our own writers.
"""

from __future__ import annotations

import json
import struct

DEVICE = b"0B1C2D3E-0000-4111-8222-333344445555"

LIVE_LINK_FACE = b"".join(
    (
        b"\x06",
        b"\x00\x00\x00\x24" + DEVICE,
        b"\x00\x00\x00\x0aAnn\xe2\x80\x99s 12",  # a name as phones have them: 10 bytes
        b"\x00\x00\x00\x5a",  # frame 90 ...
        b"\x3e\x80\x00\x00",  # ... and a quarter
        b"\x00\x00\x00\x3c\x00\x00\x00\x01",  # 60 / 1 a second
        b"\x3d",
        b"\x3f\x80\x00\x00",  # 0 eyeBlinkLeft 1
        bytes(4 * 16),
        b"\x3f\x00\x00\x00",  # 17 jawOpen 0.5
        bytes(4 * 5),
        b"\x3e\x80\x00\x00",  # 23 mouthSmileLeft 0.25
        bytes(4 * 28),
        b"\x3e\x80\x00\x00",  # 52 head yaw 0.25
        b"\xbd\xcc\xcc\xcd",  # 53 head pitch -0.1
        b"\x3d\x4c\xcc\xcd",  # 54 head roll 0.05
        bytes(4 * 6),
    )
)
LIVE_LINK_FACE_UNSEEN = LIVE_LINK_FACE[: 1 + 4 + 36 + 4 + 10 + 16]
METAHUMAN = b"\x00\x01\x00\x24" + DEVICE + bytes(16) + b"\x00\x02\xff\xff\x00\x00" + bytes(24)

IFACIALMOCAP_V1 = (
    b"mouthSmile_R-0|eyeLookOut_L-0|mouthUpperUp_L-11|eyeWide_R-0|mouthClose-8|mouthPucker-4|"
    b"mouthRollLower-9|eyeBlink_R-7|eyeLookDown_L-17|cheekSquint_R-11|eyeBlink_L-7|tongueOut-0|"
    b"jawRight-0|eyeLookIn_R-6|jawOpen-12|mouthLeft-1|"
    b"=head#-21.488958,-6.038993,-6.6019735,-0.030653415,-0.10287084,-0.6584072|"
    b"rightEye#6.0297494,2.4403017,0.25649446|leftEye#6.034903,-1.6660284,-0.17520553|"
)
"""From the maker's page, shortened."""
IFACIALMOCAP_V2 = (
    b"eyeLookOutLeft&3|mouthPressRight&14|jawForward&8|jawOpen&-4|eyeBlinkLeft&29|FM_SAD&0|"
    b"=head#-22.167973,0.45402408,-4.8798294,-0.039975993,-0.048437987,-0.45562273|"
    b"rightEye#12.759762,5.527712,1.2244859|leftEye#12.862795,1.264116,0.28145725|"
)
"""From Facemotion3d's page, shortened, with a number below 0."""

VMC_VALUE = b"/VMC/Ext/Blend/Val\0\0,sf\0JawOpen\0\x3f\x00\x00\x00"
VMC_CAMEL = b"/VMC/Ext/Blend/Val\0\0,sf\0eyeBlinkLeft\0\0\0\0\x3f\x80\x00\x00"
VMC_PRESET = b"/VMC/Ext/Blend/Val\0\0,sf\0Blink_L\0\x3f\x00\x00\x00"
VMC_TIME = b"/VMC/Ext/T\0\0,f\0\0\x41\x48\x00\x00"  # 12.5 s
VMC_HEAD = (
    b"/VMC/Ext/Bone/Pos\0\0\0,sfffffff\0\0\0Head\0\0\0\0"
    + bytes(12)
    + b"\0\0\0\0\xbe\xc3\xef\x15\0\0\0\0\x3f\x6c\x83\x5e"  # -45 degrees about y
)
VMC_APPLY = b"/VMC/Ext/Blend/Apply\0\0\0\0,\0\0\0"
VMC_LOST = b"/VMC/Ext/OK\0,iiii\0\0\0" + b"\0\0\0\x01\0\0\0\x03\0\0\0\0\0\0\0\0"


def bundle(*messages: bytes) -> bytes:
    """An OSC bundle to be handled at once."""
    sized = b"".join(len(m).to_bytes(4, "big") + m for m in messages)
    return b"#bundle\0" + b"\0\0\0\0\0\0\0\x01" + sized


VMC = bundle(VMC_TIME, VMC_HEAD, VMC_VALUE, VMC_CAMEL, VMC_APPLY)

VTUBE_STUDIO = (
    b'{"Timestamp":1700000000123,"Hotkey":-1,"FaceFound":true,'
    b'"Rotation":{"x":10.0,"y":-5.0,"z":2.5},"Position":{"x":0.1,"y":2.0,"z":-3.0},'
    b'"EyeLeft":{"x":1.0,"y":2.0,"z":0.0},"EyeRight":{"x":1.0,"y":2.0,"z":0.0},'
    b'"BlendShapes":[{"k":"JawOpen","v":0.5},{"k":"EyeBlinkLeft","v":1},'
    b'{"k":"eyeLookOut_L","v":0.25},{"k":"Somebody","v":0.7}]}'
)

OPENSEEFACE = b"".join(
    (
        struct.pack("<d", 1_700_000_000.25) + bytes(4),  # Unix time, face 0
        struct.pack("<2f", 640, 480),
        struct.pack("<2f", 0.25, 1.0),  # the right eye is nearly shut
        b"\x01" + bytes(4),  # fitted, without error
        bytes(4 * 4),
        struct.pack("<3f", -170, -10, 95),  # x, y, z: 10 beyond 180, 10 back, 5 beyond 90
        bytes(4 * 3),
        bytes(4 * (68 + 2 * 68 + 3 * 70)),
        struct.pack("<2f", 0, -0.75),  # eyes
        struct.pack("<3f", 0, 0.5, 0),  # left brow: steepness, up, quirk
        struct.pack("<3f", 0, -0.25, 0),
        struct.pack("<4f", 0.75, 0, -0.5, 0),  # left corner of the mouth up, right one down
        struct.pack("<2f", 0.625, -0.25),  # open, and narrow
    )
)

FMV3_HELLO = bytes.fromhex(
    "464d5633 01 00 2800 1122334455667788 00000000 00000000 00000000"
    "08000000 0000 0100 08000000 3c00 b004 05000000"
)
FMV3_ACK = bytes.fromhex(
    "464d5633 03 00 2800 0807060504030201 01000000 00000000 00000000 00000000 0000 0100 00000000"
)
"""Both as in the maker's table of expected bytes."""
FMV3_JSON = {
    "schema_version": 1, "app": "Facemotion3d", "profile": "facemotion3d-other",
    "blend_names": ["eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "myCustomSmile"],
    "blend_encoding": "i16", "blend_unit": "percent",
    "pose_layout": "head_rxyz_pxyz_rightEye_rxyz_leftEye_rxyz", "rotation_unit": "degree",
    "position_unit": "meter",
}  # fmt: skip
FMV3_SESSION = 0x0102030405060708


def fmv3(kind: int, content: bytes, schema: int = 1, sequence: int = 0, flags: int = 0) -> bytes:
    """One message in one part."""
    ids = (FMV3_SESSION, schema, sequence, 0, len(content), 0, 1, len(content))
    return struct.pack("<4sBBHQIIIIHHI", b"FMV3", kind, flags, 40, *ids) + content


def fmv3_schema(kind: int = 2, revision: int = 5, nonce: int = 0, **changes: object) -> bytes:
    """A schema of four names."""
    start = struct.pack("<QHHII", nonce, 60, 1200, 10000, revision)
    return fmv3(kind, start + json.dumps(FMV3_JSON | changes).encode())


FMV3_FRAME = fmv3(
    4,
    bytes.fromhex("0c00 0800 2d00 e7ff")  # 12, 8, 45, -25 percent
    + struct.pack("<12f", -10, 20, 5, 0, 0, 0, 6, 2.5, 0, 6, -1.5, 0),
    sequence=7,
    flags=1,
)
