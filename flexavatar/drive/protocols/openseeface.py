"""OpenSeeFace, which follows a face at a webcam: 1785 bytes a face, over UDP to port 11573.

    time f64 s | face i32 | width, height f32 | right, left eye open f32 | fitted u8 | error f32 |
    quaternion 4 f32 | x, y, z f32 degrees | place 3 f32 | 68 confidences f32 | 68 points 2 f32 |
    70 points 3 f32 | 14 features f32

All little-endian. Features are about -1..1, measured from what each has been in the middle so far:
brows, corners of the mouth, how open and how wide it is. At rest, angles are x 180, y 0, z 90.
Their signs are documented nowhere; read as the maker's component for Unity turns a head.

Source: https://github.com/emilianavt/OpenSeeFace (BSD-2-Clause)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from functools import partial

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.protocols.checks import Faults, finite, nanoseconds
from flexavatar.drive.signal import HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import SIDES
from flexavatar.types import NS_PER_S

SOURCE = "openseeface"
PORT = 11573
NO_FACE = "OpenSeeFace: it sees no face"
FACE = struct.Struct("<di2f2f?f4f3f3f68f136f210f14f")
MOST_FACES = 16
MAX_ANGLE_DEG = 1000.0
REST_DEG = (180.0, 0.0, 90.0)
FEATURES = (
    "EyeLeft", "EyeRight",
    "EyebrowSteepnessLeft", "EyebrowUpDownLeft", "EyebrowQuirkLeft",
    "EyebrowSteepnessRight", "EyebrowUpDownRight", "EyebrowQuirkRight",
    "MouthCornerUpDownLeft", "MouthCornerInOutLeft",
    "MouthCornerUpDownRight", "MouthCornerInOutRight", "MouthOpen", "MouthWide",
)  # fmt: skip
MEANINGS = {
    "EyebrowUpDown{}": ("browOuterUp{}", "browDown{}"),
    "MouthCornerUpDown{}": ("mouthSmile{}", "mouthFrown{}"),
}
"""Of either side: what a feature is above 0, and below."""


def read(packet: bytes) -> Signal | None:
    """The first face of a packet, None if none is seen. Raises DriveError."""
    count, rest = divmod(len(packet), FACE.size)
    if rest or not 0 < count <= MOST_FACES:
        expected = f"expected {FACE.size} bytes for each of 1 to {MOST_FACES} faces"
        raise DriveError(f"OpenSeeFace: {expected}, got {len(packet)}")
    seconds, _, _, _, *rest_of_face = FACE.unpack_from(packet)
    right, left, fitted, _, _, _, _, _, *angles = rest_of_face[:11]
    if not fitted:
        return None
    faults = Faults()
    features = faults.finite_weights(zip(FEATURES, rest_of_face[-len(FEATURES) :], strict=True))
    eyes = faults.finite_weights((("Right", right), ("Left", left)))
    head = faults.attempt(partial(_head, angles))
    faults.check_rest(features or eyes or head)
    return Signal(
        *weights_of(_eye_weights(eyes) | _feature_weights(features)),
        head=HeadPose(head.axis_angle()) if head else None,
        source=SOURCE,
        pts_ns=nanoseconds(seconds),
        faults=tuple(faults),
    )


def _eye_weights(eyes: Mapping[str, float]) -> dict[str, float]:
    """How open each eye is -> blinks."""
    return {f"eyeBlink{side}": _held(1 - opened) for side, opened in eyes.items()}


def _feature_weights(features: Mapping[str, float]) -> dict[str, float]:
    """Features -> ARKit weights by name; what a feature that is missing means is left out."""
    weights = {}
    for meaning, (above, below) in MEANINGS.items():
        for side in SIDES:
            if (value := features.get(meaning.format(side))) is not None:
                weights |= {above.format(side): _held(value), below.format(side): _held(-value)}
    raised = [weights[name] for side in SIDES if (name := f"browOuterUp{side}") in weights]
    if raised:
        weights["browInnerUp"] = sum(raised) / len(raised)
    if "MouthOpen" in features:
        weights["jawOpen"] = _held(features["MouthOpen"])
    if (wide := features.get("MouthWide")) is not None:
        stretched = {f"mouthStretch{side}": _held(wide) for side in SIDES}
        weights |= {**stretched, "mouthPucker": _held(-wide)}
    return weights


def _held(weight: float) -> float:
    return min(max(weight, 0.0), 1.0)


def _head(angles: list[float]) -> HeadAngles:
    """Degrees as they are sent, each from its rest, the short way round. Raises DriveError."""
    degrees = (finite("OpenSeeFace: angles", value, MAX_ANGLE_DEG) for value in angles)
    turned = (value - rest for value, rest in zip(degrees, REST_DEG, strict=True))
    x, y, z = (math.radians(math.remainder(value, 360)) for value in turned)
    return HeadAngles(yaw=-y, pitch=x, roll=-z)


def write(signal: Signal) -> bytes:
    """One face as the program sends it; points are 0, and of the weights what has a feature."""
    yaw, pitch, roll = map(math.degrees, signal.neck_pose.head_angles())
    turns = (pitch + REST_DEG[0], REST_DEG[1] - yaw, REST_DEG[2] - roll)
    opened = (1 - signal.weight("eyeBlinkRight"), 1 - signal.weight("eyeBlinkLeft"))
    features = _features_of(signal)
    return FACE.pack(
        max(signal.pts_ns, 0) / NS_PER_S, 0, 640.0, 480.0, *opened, True, 1.0,
        *(0.0, 0.0, 0.0, 1.0), *turns, *(0.0, 0.0, 0.0), *(1.0,) * 68, *(0.0,) * (136 + 210),
        *(features.get(name, 0.0) for name in FEATURES),
    )  # fmt: skip


def _features_of(signal: Signal) -> dict[str, float]:
    """The features that weights mean."""
    features = {
        meaning.format(side): signal.weight(above.format(side)) - signal.weight(below.format(side))
        for meaning, (above, below) in MEANINGS.items()
        for side in SIDES
    }
    stretched = sum(signal.weight(f"mouthStretch{side}") for side in SIDES) / len(SIDES)
    wide = stretched - signal.weight("mouthPucker")
    return features | {"MouthOpen": signal.weight("jawOpen"), "MouthWide": wide}
