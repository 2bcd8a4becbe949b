"""Turns of the head in every form that there is, and from one to the other.

The head frame is right-handed, y up, the face to +z, so +x is the person's left. Yaw is positive
to the person's left, pitch upwards, roll towards the person's right shoulder; the head is turned
by yaw first, then pitch, then roll about its own axes. Everything is in radians unless named.

Plain floats: one turn takes a microsecond here, and a hundred in an array library.
"""

from __future__ import annotations

import math
from typing import NamedTuple

GIMBAL_LOCK = 1e-7
"""Cosine of a pitch at which yaw and roll are one and the same."""
UnityQuaternion = tuple[float, float, float, float]
"""xyzw, in Unity's left-handed axes."""


class AxisAngle(NamedTuple):
    """A turn as its axis in the head frame times its angle, radians."""

    x: float
    y: float
    z: float

    def quaternion(self) -> Quaternion:
        """The same turn."""
        angle = math.hypot(*self)
        scale = math.sin(angle / 2) / angle if angle else 0.5
        return Quaternion(math.cos(angle / 2), scale * self.x, scale * self.y, scale * self.z)

    def head_angles(self) -> HeadAngles:
        """The same turn; not unique where the face looks straight up or down."""
        return self.quaternion().head_angles()

    def scale(self, share: float) -> AxisAngle:
        """A turn about the same axis by a share of the angle."""
        return AxisAngle(share * self.x, share * self.y, share * self.z)


class HeadAngles(NamedTuple):
    """A turn as capture apps send it, radians, signs as above."""

    yaw: float
    pitch: float
    roll: float

    def axis_angle(self) -> AxisAngle:
        """The same turn; its angle is at most pi."""
        yaw, down, roll = self.yaw / 2, -self.pitch / 2, self.roll / 2
        about_y = Quaternion(math.cos(yaw), 0.0, math.sin(yaw), 0.0)
        about_x = Quaternion(math.cos(down), math.sin(down), 0.0, 0.0)
        about_z = Quaternion(math.cos(roll), 0.0, 0.0, math.sin(roll))
        return (about_y @ about_x @ about_z).axis_angle()


class Quaternion(NamedTuple):
    """A turn as a unit quaternion, wxyz: what turns are computed in."""

    w: float
    x: float
    y: float
    z: float

    def __matmul__(self, first: Quaternion) -> Quaternion:
        """The turn `first`, and then this one."""
        (w, x, y, z), (a, b, c, d) = self, first
        return Quaternion(
            w * a - x * b - y * c - z * d,
            w * b + x * a + y * d - z * c,
            w * c - x * d + y * a + z * b,
            w * d + x * c - y * b + z * a,
        )

    def inverse(self) -> Quaternion:
        """The way back."""
        return Quaternion(self.w, -self.x, -self.y, -self.z)

    def slerp(self, other: Quaternion, share: float) -> Quaternion:
        """Between two turns, along the shortest way: 0 is this one, 1 the other."""
        way = (other @ self.inverse()).axis_angle()
        return way.scale(share).quaternion() @ self

    def axis_angle(self) -> AxisAngle:
        """The same turn, the shorter way round: its angle is at most pi."""
        sign = -1.0 if self.w < 0 else 1.0
        sine = math.hypot(self.x, self.y, self.z)
        scale = sign * (2 * math.atan2(sine, sign * self.w) / sine if sine else 2.0)
        return AxisAngle(scale * self.x, scale * self.y, scale * self.z)

    def head_angles(self) -> HeadAngles:
        """The same turn; not unique where the face looks straight up or down."""
        w, x, y, z = self
        sideways, upright = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z)
        level = math.hypot(sideways, upright)  # cosine of the pitch
        pitch = math.atan2(2 * (y * z - w * x), level)
        if level < GIMBAL_LOCK:
            return HeadAngles(math.atan2(2 * (w * y - x * z), 1 - 2 * (y * y + z * z)), pitch, 0.0)
        yaw = math.atan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
        return HeadAngles(yaw, pitch, math.atan2(sideways, upright))


FORWARD = AxisAngle(0.0, 0.0, 0.0)
"""No turn: the face looks where the shoulders do."""


def from_unity(*turns: UnityQuaternion) -> AxisAngle:
    """Local rotations of a Unity avatar's bones from the root on -> the turn of them all.

    Unity is left-handed with the avatar's face to +z, so x changes its sign and every turn its
    sense. Raises ValueError for a quaternion of length 0.
    """
    whole = Quaternion(1.0, 0.0, 0.0, 0.0)
    for x, y, z, w in turns:
        if not (length := math.hypot(x, y, z, w)):
            raise ValueError("expected a quaternion, got zeros")
        whole = whole @ Quaternion(w / length, x / length, -y / length, -z / length)
    return whole.axis_angle()


def to_unity(turn: AxisAngle) -> UnityQuaternion:
    """A turn -> a Unity avatar's local rotation."""
    w, x, y, z = turn.quaternion()
    return x, -y, -z, w
