"""iFacialMocap's and Facemotion3d's text, v1 and v2, on UDP 49983 and TCP 49986.

    jawOpen-12|eyeBlink_L-7|...|=head#rx,ry,rz,px,py,pz|rightEye#rx,ry,rz|leftEye#rx,ry,rz|

Weights are whole percent, angles degrees. v1 puts `-` between name and number, v2 `&` and allows
negative numbers. TCP frames end with `___iFacialMocap`. The maker's page gives no signs; its sample
frames agree with angles about the head frame's own axes (eyes that look down and inwards have
positive rx, and ry of opposite signs), and so it is read: rx down, ry to the left, rz to the right
shoulder. The position is not used, and there is no time in it.

Source: https://www.ifacialmocap.com/for-developer/
"""

from __future__ import annotations

import math
import re
from functools import partial

from flexavatar.drive.expressions import add_gaze, gaze_angles
from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.names import arkit_name, snake_side
from flexavatar.drive.protocols.checks import Faults, finite
from flexavatar.drive.signal import HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES

SOURCE = "ifacialmocap"
PORT = 49983
END = b"___iFacialMocap"
MAX_BYTES = 16384
"""Bytes of a frame; real ones have about a thousand."""
MAX_NUMBER = 1000.0
"""Percent or degrees."""
NO_FACE = "iFacialMocap: the app sees no face"
TRACKING = "trackingStatus"
"""0 while the face is lost; the weights beside it are those of before."""
HYPHENATED = re.compile(r"(?P<name>.+?)-(?P<number>-?[^-]*)")
TURNS = ("head", "leftEye", "rightEye")

_KEY = "sahuasouryya9218sauhuiayeta91555dy3719"


def request(version: int, tcp: bool) -> bytes:
    """What a receiver sends to the phone's UDP 49983, so that it starts."""
    transport = "UDPTCP_" if tcp else ""
    return f"iFacialMocap_{transport}{_KEY}{'|sendDataVersion=v2' * (version == 2)}".encode()


def read(packet: bytes) -> Signal | None:
    """One frame, with or without the end that TCP has; None if no face is seen.

    Fields that cannot be read are left out. Raises DriveError if no weight is left.
    """
    if len(packet) > MAX_BYTES:
        raise DriveError(f"iFacialMocap: expected {MAX_BYTES} bytes at most, got {len(packet)}")
    try:
        text = packet.removesuffix(END).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DriveError("iFacialMocap: expected text, got other bytes") from error
    fields, faults = [field for field in text.split("|") if field], Faults()
    read_turns = [faults.attempt(partial(_turn, field)) for field in fields if "#" in field]
    turns = dict(turn for turn in read_turns if turn is not None)
    named = [faults.attempt(partial(_weight, field)) for field in fields if "#" not in field]
    if (TRACKING, 0.0) in named:
        return None
    known = [(arkit_name(name), value) for name, value in filter(None, named)]
    weights = faults.finite_weights((name, value) for name, value in known if name is not None)
    faults.check_rest(weights)
    if not weights:
        raise DriveError(f"iFacialMocap: expected weights such as jawOpen-12, got {text!r:.60}")
    head, left, right = (turns.get(name) for name in TURNS)
    gaze = (left[:2], right[:2]) if left and right else None
    pose = HeadPose(head.axis_angle()) if head else None
    named_weights = weights_of(add_gaze(weights, gaze))
    return Signal(*named_weights, head=pose, source=SOURCE, faults=tuple(faults))


def _weight(field: str) -> tuple[str, float]:
    """`eyeBlink_L-7` -> name and 0.07. The name may have hyphens, the number a sign."""
    name, _, number = field.partition("&")
    if "&" not in field:
        found = HYPHENATED.fullmatch(field)
        name, number = (found["name"], found["number"]) if found else (field, "")
    return name, _number(name, number) / 100


def _turn(field: str) -> tuple[str, HeadAngles]:
    """`leftEye#x,y,z` -> name, and yaw, pitch, roll in radians; what follows is not read."""
    name, _, numbers = field.partition("#")
    degrees = [_number(name, number) for number in numbers.split(",")[:3]]
    if len(degrees) != 3:
        raise DriveError(f"iFacialMocap: {name}: expected three angles, got {numbers!r:.40}")
    x, y, z = map(math.radians, degrees)
    return name.removeprefix("="), HeadAngles(y, -x, z)


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    return finite(f"iFacialMocap: {name:.40}", number, MAX_NUMBER)


def write(signal: Signal, version: int = 2) -> bytes:
    """One frame as the app sends it; what is missing is 0, v1 has nothing below 0."""
    between = "&" if version == 2 else "-"
    weights = {name: round(100 * signal.weight(name)) for name in ARKIT_NAMES}
    shapes = [f"{snake_side(name)}{between}{weight}" for name, weight in weights.items()]
    left, right = (HeadAngles(*angles, 0.0) for angles in gaze_angles(signal.named()))
    head = _degrees(signal.neck_pose.head_angles())
    turns = [f"=head#{head},0,0,0", f"rightEye#{_degrees(right)}", f"leftEye#{_degrees(left)}"]
    return ("|".join([*shapes, *turns]) + "|").encode()


def _degrees(angles: HeadAngles) -> str:
    yaw, pitch, roll = map(math.degrees, angles)
    return f"{-pitch:.6f},{yaw:.6f},{roll:.6f}"
