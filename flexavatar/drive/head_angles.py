"""The head's turn in the forms that capture apps send, to and from axis-angle in the head frame.

The head frame is right-handed, y up, the face to +z, so +x is the person's left. Yaw is positive
to the person's left, pitch upwards, roll towards the person's right shoulder; the head is turned
by yaw first, then pitch, then roll about its own axes. Everything is in radians unless named.
"""

from __future__ import annotations

from scipy.spatial.transform import Rotation

Angles = tuple[float, float, float]
"""Yaw, pitch, roll in radians, signs as above."""
Vector = tuple[float, float, float]
"""Axis-angle in radians, head frame."""

ORDER = "YXZ"


def from_angles(yaw: float, pitch: float, roll: float) -> Vector:
    """Yaw, pitch and roll -> axis-angle."""
    return _vector(Rotation.from_euler(ORDER, (yaw, -pitch, roll)))


def to_angles(turn: Vector) -> Angles:
    """Axis-angle -> yaw, pitch, roll; not unique where the face looks straight up or down."""
    yaw, down, roll = Rotation.from_rotvec(turn).as_euler(ORDER, suppress_warnings=True)
    return float(yaw), -float(down), float(roll)


def from_unity(*turns: tuple[float, float, float, float]) -> Vector:
    """Local rotations of a Unity avatar's bones from the root on, quaternions xyzw -> axis-angle.

    Unity is left-handed with the avatar's face to +z, so x changes its sign and every turn its
    sense. Raises ValueError for a quaternion of length 0.
    """
    whole = Rotation.identity()
    for x, y, z, w in turns:
        whole = whole * Rotation.from_quat((x, -y, -z, w))
    return _vector(whole)


def to_unity(turn: Vector) -> tuple[float, float, float, float]:
    """Axis-angle -> a Unity avatar's local rotation, quaternion xyzw."""
    x, y, z, w = (float(v) for v in Rotation.from_rotvec(turn).as_quat())
    return x, -y, -z, w


def _vector(rotation: Rotation) -> Vector:
    x, y, z = rotation.as_rotvec()
    return float(x), float(y), float(z)
