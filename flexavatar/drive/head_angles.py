"""The head's turn in the two forms that there are, and as a Unity avatar has it.

The head frame is right-handed, y up, the face to +z, so +x is the person's left. Yaw is positive
to the person's left, pitch upwards, roll towards the person's right shoulder; the head is turned
by yaw first, then pitch, then roll about its own axes. Everything is in radians unless named.
"""

from __future__ import annotations

from typing import NamedTuple

from scipy.spatial.transform import Rotation

ORDER = "YXZ"
Quaternion = tuple[float, float, float, float]
"""xyzw, as Unity has them."""


class AxisAngle(NamedTuple):
    """A turn as its axis in the head frame times its angle, radians."""

    x: float
    y: float
    z: float

    @staticmethod
    def of_rotation(rotation: Rotation) -> AxisAngle:
        """The same turn; its angle is at most pi."""
        x, y, z = rotation.as_rotvec()
        return AxisAngle(float(x), float(y), float(z))

    def head_angles(self) -> HeadAngles:
        """The same turn; not unique where the face looks straight up or down."""
        yaw, down, roll = Rotation.from_rotvec(self).as_euler(ORDER, suppress_warnings=True)
        return HeadAngles(float(yaw), -float(down), float(roll))


class HeadAngles(NamedTuple):
    """A turn as capture apps send it, radians, signs as above."""

    yaw: float
    pitch: float
    roll: float

    def axis_angle(self) -> AxisAngle:
        """The same turn."""
        yaw, pitch, roll = self
        return AxisAngle.of_rotation(Rotation.from_euler(ORDER, (yaw, -pitch, roll)))


FORWARD = AxisAngle(0.0, 0.0, 0.0)
"""No turn: the face looks where the shoulders do."""


def from_unity(*turns: Quaternion) -> AxisAngle:
    """Local rotations of a Unity avatar's bones from the root on -> the turn of them all.

    Unity is left-handed with the avatar's face to +z, so x changes its sign and every turn its
    sense. Raises ValueError for a quaternion of length 0.
    """
    whole = Rotation.identity()
    for x, y, z, w in turns:
        whole = whole * Rotation.from_quat((x, -y, -z, w))
    return AxisAngle.of_rotation(whole)


def to_unity(turn: AxisAngle) -> Quaternion:
    """A turn -> a Unity avatar's local rotation."""
    x, y, z, w = (float(v) for v in Rotation.from_rotvec(turn).as_quat())
    return x, -y, -z, w
