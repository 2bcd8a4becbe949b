"""VTube Studio for iOS, and MeowFace: one JSON object a datagram, to whoever asks for it.

    {"Timestamp": 1700000000000, "FaceFound": true, "Rotation": {"x":, "y":, "z":}, "Position": ...,
     "EyeLeft": {"x":, "y":, "z":}, "EyeRight": ..., "BlendShapes": [{"k": "JawOpen", "v": 0.4}]}

The phone listens on UDP 21412 for a request, which has to be repeated: it sends for at most ten
seconds. Angles are degrees: x is yaw, y pitch, z roll. Their signs are documented nowhere; read as
the maker's sample turns them, which is x to the person's left, y down, z to the right shoulder.

Source: https://github.com/DenchiSoft/VTubeStudioBlendshapeUDPReceiverTest (MIT)
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

from flexavatar.drive.expressions import add_gaze, gaze_angles
from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.names import arkit_name, pascal_case
from flexavatar.drive.protocols.checks import Faults, finite, nanoseconds
from flexavatar.drive.signal import NO_PTS, HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES

SOURCE = "vtube-studio"
PHONE_PORT = 21412
SEND_FOR_S = 5.0
MAX_BYTES = 65536
MAX_ANGLE_DEG = 1000.0
NO_FACE = "VTube Studio: the app sees no face"
NS_PER_MS = 1_000_000


def request(port: int, seconds: float = SEND_FOR_S) -> bytes:
    """What a receiver that listens on `port` sends to the phone, again and again."""
    fields = {"messageType": "iOSTrackingDataRequest", "time": seconds, "sentBy": "FlexAvatar"}
    return json.dumps({**fields, "ports": [port]}).encode()


def read(packet: bytes) -> Signal | None:
    """One frame, None if no face is seen. Raises DriveError."""
    frame = _object(packet)
    if frame.get("FaceFound") is not True:
        return None
    shapes = frame.get("BlendShapes")
    if not isinstance(shapes, list):
        raise DriveError(f"VTube Studio: BlendShapes: expected a list, got {type(shapes)}")
    faults = Faults()
    named = filter(None, [faults.attempt(partial(_shape, shape)) for shape in shapes])
    weights = faults.finite_weights((name, value) for name, value in named if name is not None)
    head, left, right = (
        faults.attempt(partial(_turn, frame, key)) for key in ("Rotation", "EyeLeft", "EyeRight")
    )
    faults.check_rest(weights)
    if not weights:
        raise DriveError("VTube Studio: BlendShapes: expected some of ARKit's, got none")
    gaze = (left[:2], right[:2]) if left and right else None
    pts_ns = faults.attempt(partial(_pts_ns, frame["Timestamp"])) if "Timestamp" in frame else None
    return Signal(
        *weights_of(add_gaze(weights, gaze)),
        head=HeadPose(head.axis_angle()) if head else None,
        source=SOURCE,
        pts_ns=NO_PTS if pts_ns is None else pts_ns,
        faults=tuple(faults),
    )


def _pts_ns(timestamp: object) -> int:
    """Milliseconds -> nanoseconds."""
    return nanoseconds(finite("VTube Studio: Timestamp", timestamp, 1e15) / 1000)


def _object(packet: bytes) -> dict[str, Any]:
    if len(packet) > MAX_BYTES:
        raise DriveError(f"VTube Studio: expected {MAX_BYTES} bytes at most, got {len(packet)}")
    try:
        frame = json.loads(packet, parse_constant=float)  # NaN is refused later
    except (ValueError, RecursionError) as error:  # not UTF-8 is a ValueError too
        raise DriveError(f"VTube Studio: expected JSON: {error!s:.80}") from error
    if not isinstance(frame, dict):
        raise DriveError(f"VTube Studio: expected an object, got {type(frame)}")
    return frame


def _shape(shape: Any) -> tuple[str | None, Any]:
    """`{"k": name, "v": value}` -> ARKit's name, None for a shape of the app's own, and value."""
    if not (isinstance(shape, dict) and isinstance(shape.get("k"), str) and "v" in shape):
        raise DriveError(f"VTube Studio: BlendShapes: expected k and v, got {type(shape)}")
    return arkit_name(shape["k"]), shape["v"]


def _turn(frame: dict[str, Any], key: str) -> HeadAngles | None:
    """Yaw, pitch, roll in radians, None if they were not sent."""
    turn = frame.get(key)
    if turn is None:
        return None
    if not isinstance(turn, dict):
        raise DriveError(f"VTube Studio: {key}: expected x, y and z, got {type(turn)}")
    values = (finite(f"VTube Studio: {key}", turn.get(axis), MAX_ANGLE_DEG) for axis in "xyz")
    yaw, down, roll = map(math.radians, values)
    return HeadAngles(yaw, -down, roll)


def write(signal: Signal) -> bytes:
    """One frame as the app sends it; what is missing is 0."""
    left, right = (HeadAngles(*angles, 0.0) for angles in gaze_angles(signal.named()))
    shapes = [{"k": pascal_case(n), "v": signal.weight(n)} for n in ARKIT_NAMES]
    frame = {"Timestamp": max(signal.pts_ns, 0) // NS_PER_MS, "Hotkey": -1, "FaceFound": True}
    turns = {"Rotation": signal.neck_pose.head_angles()}
    turns |= {"EyeLeft": left, "EyeRight": right}
    frame |= {key: _degrees(angles) for key, angles in turns.items()}
    return json.dumps(
        frame | {"Position": _degrees(HeadAngles(0.0, 0.0, 0.0)), "BlendShapes": shapes}
    ).encode()


def _degrees(angles: HeadAngles) -> dict[str, float]:
    yaw, pitch, roll = map(math.degrees, angles)
    return {"x": yaw, "y": -pitch, "z": roll}
