"""Virtual Motion Capture protocol 3.1: OSC on UDP, marionette 39539, performer 39540.

    /VMC/Ext/Blend/Val   name, value      kept until
    /VMC/Ext/Blend/Apply                  which shows them: 52 values need several datagrams
    /VMC/Ext/Bone/Pos    name, position, quaternion xyzw: local, Unity's axes
    /VMC/Ext/T           seconds          the sender's clock
    /VMC/Ext/OK          loaded, calibration, mode, tracking (0: the face is lost)

Names are ARKit's in any spelling; senders that have none of them drive VRM's presets instead. The
head's turn is that of the bones Neck and Head together; the body is not read.

Source: https://protocol.vmc.info/english
"""

from __future__ import annotations

from collections.abc import Callable

from flexavatar.drive.expressions import (
    Gaze,
    add_gaze,
    gaze_angles,
    preset_name,
    preset_weights,
)
from flexavatar.drive.head_angles import HeadAngles, UnityQuaternion, from_unity, to_unity
from flexavatar.drive.names import arkit_name, pascal_case
from flexavatar.drive.protocols.checks import SANE, finite, nanoseconds
from flexavatar.drive.protocols.osc import (
    Argument,
    Message,
    read_messages,
    write_bundle,
    write_message,
)
from flexavatar.drive.signal import NO_PTS, HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import NS_PER_S

SOURCE = "vmc"
PORT = 39539
NECK, HEAD, LEFT_EYE, RIGHT_EYE = "Neck", "Head", "LeftEye", "RightEye"
BONES = (NECK, HEAD, LEFT_EYE, RIGHT_EYE)
NO_TURN = (0.0, 0.0, 0.0, 1.0)
MIN_QUATERNION = 1e-3
WEIGHTS_A_DATAGRAM = 26


class VmcReader:
    """One sender's messages. Values stay until they are sent anew, since datagrams get lost."""

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}
        self._presets: dict[str, float] = {}
        self._bones: dict[str, UnityQuaternion] = {}
        self._pts_ns = NO_PTS
        self._tracking = True

    def read(self, packet: bytes) -> Signal | None:
        """The face that the packet's last Apply shows, None without one. Raises DriveError.

        A packet that is refused changes nothing.
        """
        messages = read_messages(packet)
        steps = [self._step(m) for m in messages if m.address.startswith("/VMC/Ext/")]
        faces = [step() for step in steps]
        return next((face for face in reversed(faces) if face is not None), None)

    def _step(self, message: Message) -> Callable[[], Signal | None]:
        """What a message does, checked before anything is done."""
        arguments = message.arguments
        match message.address.removeprefix("/VMC/Ext/"):
            case "Blend/Val":
                return self._value(arguments)
            case "Bone/Pos":
                return self._bone(arguments)
            case "T":
                pts_ns = nanoseconds(_number("T", arguments, 0, 1e10))
                return lambda: setattr(self, "_pts_ns", pts_ns)
            case "OK":
                tracking = len(arguments) < 4 or arguments[3] != 0
                return lambda: setattr(self, "_tracking", tracking)
            case "Blend/Apply":
                return self._signal
        return lambda: None

    def _value(self, arguments: tuple[Argument, ...]) -> Callable[[], None]:
        sent, value = _name(arguments), _number("Blend/Val", arguments, 1, SANE)
        if (name := arkit_name(sent)) is not None:
            return lambda: self._weights.update({name: value})
        if (preset := preset_name(sent)) is not None:
            return lambda: self._presets.update({preset: value})
        return lambda: None

    def _bone(self, arguments: tuple[Argument, ...]) -> Callable[[], None]:
        name = _name(arguments)
        if name not in BONES:
            return lambda: None
        x, y, z, w = (_number("Bone/Pos", arguments, i, 1e3) for i in range(4, 8))
        if x * x + y * y + z * z + w * w < MIN_QUATERNION:
            raise DriveError(f"VMC: {name}: expected a quaternion, got zeros")
        return lambda: self._bones.update({name: (x, y, z, w)})

    def _signal(self) -> Signal | None:
        """What was sent so far."""
        weights = dict(self._weights) or preset_weights(self._presets)
        if not (weights and self._tracking):
            return None
        neck, head = self._bones.get(NECK), self._bones.get(HEAD)
        pose = HeadPose(from_unity(neck or NO_TURN, head or NO_TURN)) if neck or head else None
        named = add_gaze(weights, self._gaze())
        return Signal(*weights_of(named), head=pose, source=SOURCE, pts_ns=self._pts_ns)

    def _gaze(self) -> tuple[Gaze, Gaze] | None:
        left, right = self._bones.get(LEFT_EYE), self._bones.get(RIGHT_EYE)
        if left is None or right is None:
            return None
        return from_unity(left).head_angles()[:2], from_unity(right).head_angles()[:2]


def _name(arguments: tuple[Argument, ...]) -> str:
    if not arguments or not isinstance(arguments[0], str):
        raise DriveError(f"VMC: expected a name first, got {arguments!r:.60}")
    return arguments[0]


def _number(what: str, arguments: tuple[Argument, ...], place: int, largest: float) -> float:
    if len(arguments) <= place:
        raise DriveError(f"VMC: {what}: expected {place + 1} arguments, got {len(arguments)}")
    return finite(f"VMC: {what}", arguments[place], largest)


def write(signal: Signal, spelling: Callable[[str], str] = pascal_case) -> list[bytes]:
    """One frame's datagrams, the last with Apply; what is missing is 0."""
    clock = []
    if signal.pts_ns != NO_PTS:
        clock = [write_message("/VMC/Ext/T", signal.pts_ns / NS_PER_S)]
    rows = [("/VMC/Ext/Blend/Val", spelling(n), signal.weight(n)) for n in ARKIT_NAMES]
    values = [write_message(*row) for row in rows]
    head = signal.neck_pose
    left, right = (HeadAngles(*g, 0.0).axis_angle() for g in gaze_angles(signal.named()))
    turns = {HEAD: head, LEFT_EYE: left, RIGHT_EYE: right}
    bones = [_bone_message(name, to_unity(turn)) for name, turn in turns.items()]
    first, rest = values[:WEIGHTS_A_DATAGRAM], values[WEIGHTS_A_DATAGRAM:]
    apply = write_message("/VMC/Ext/Blend/Apply")
    available = write_message("/VMC/Ext/OK", 1, 3, 0, 1)
    return [write_bundle([available, *clock, *bones, *first]), write_bundle([*rest, apply])]


def _bone_message(name: str, turn: UnityQuaternion) -> bytes:
    return write_message("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, *turn)
