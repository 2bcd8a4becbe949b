"""Virtual Motion Capture protocol 3.1: OSC on UDP, marionette 39539, performer 39540.

    /VMC/Ext/Blend/Val   name, value      kept until
    /VMC/Ext/Blend/Apply                  which shows them: 52 values need several datagrams
    /VMC/Ext/Bone/Pos    name, position, quaternion xyzw: local, Unity's axes
    /VMC/Ext/T           seconds          the sender's clock
    /VMC/Ext/OK          loaded, calibration, mode, tracking (0: the face is lost)

Names are ARKit's in any spelling. VRM's presets drive what ARKit's names leave at 0: many programs
send every clip of a model, live or not. Some send no Apply; see `VmcReader.read`. The head's turn
is that of the bones Neck and Head together; the body is not read.

Source: https://protocol.vmc.info/english
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

from flexavatar.drive.expressions import (
    Gaze,
    add_gaze,
    gaze_angles,
    preset_name,
    preset_weights,
)
from flexavatar.drive.head_angles import HeadAngles, UnityQuaternion, from_unity, to_unity
from flexavatar.drive.names import arkit_name, pascal_case
from flexavatar.drive.protocols.checks import (
    MOST_FAULTS,
    SANE,
    Faults,
    finite,
    nanoseconds,
)
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
ADDRESS, VALUE, APPLY = "/VMC/Ext/", "/VMC/Ext/Blend/Val", "/VMC/Ext/Blend/Apply"
KEPT_FRAMES = 30
"""A value that so many frames lack is sent no more."""
PATIENCE_PACKETS = 8
"""More than a frame is made of: without a face in so many, something is missing."""
MOST_UNKNOWN, UNKNOWN_LENGTH = 3, 32

T = TypeVar("T")


@dataclass
class _Kept(Generic[T]):
    """What was sent by name. It stays while frames lack it, since datagrams get lost."""

    values: dict[str, T] = field(default_factory=dict)
    sent_in: dict[str, int] = field(default_factory=dict)
    """Number of the frame in which each was sent last."""

    def put(self, name: str, value: T, frame: int) -> None:
        self.values[name], self.sent_in[name] = value, frame

    def forget_before(self, frame: int) -> None:
        """Drop what its sender sends no more."""
        for name in [name for name, last in self.sent_in.items() if last < frame]:
            del self.values[name], self.sent_in[name]

    def has_of(self, frame: int) -> bool:
        """Whether something was sent in this frame."""
        return frame in self.sent_in.values()


class VmcReader:
    """One sender's messages."""

    def __init__(self) -> None:
        self._weights, self._presets = _Kept[float](), _Kept[float]()
        self._bones = _Kept[UnityQuaternion]()
        self._pts_ns = NO_PTS
        self._tracking = True
        self._frame = 0
        self._named: set[str] = set()  # in this frame, in packets before this one
        self._unknown: dict[str, None] = {}
        self._faults = Faults()
        self._fruitless = 0

    @property
    def missing(self) -> str:
        """Why packets came and no face; empty while faces come, or as long as one may still."""
        if self._fruitless < PATIENCE_PACKETS:
            return ""
        if not self._tracking:
            return "VMC: the sender says that it sees no face"
        if self._unknown:
            names = ", ".join(repr(name)[:UNKNOWN_LENGTH] for name in self._unknown)
            return f"VMC: expected ARKit's names or VRM's presets, got {names}"
        return "VMC: expected /VMC/Ext/Blend/Val, got other messages: send blend shapes too"

    def read(self, packet: bytes) -> Signal | None:
        """The face that the packet's last Apply shows, None without one.

        A sender who sends names again without an Apply between has none: then every packet in which
        they come again is a frame. What cannot be read is left out. Raises DriveError where nothing
        is left.
        """
        faults = Faults()
        messages = [m for m in read_messages(packet, faults) if m.address.startswith(ADDRESS)]
        done = [faults.attempt(partial(self._step, message)) for message in messages]
        faults.check_rest([step for step in done if step is not None])
        self._faults = Faults([*self._faults, *faults][:MOST_FAULTS])
        faces = [step for step in done if isinstance(step, Signal)]
        values = {str(m.arguments[0]) for m in messages if m.arguments and m.address == VALUE}
        if any(message.address == APPLY for message in messages):
            self._named = set()
        elif values & self._named:
            faces, self._named = [*filter(None, [self._signal()])], values
        else:
            self._named |= values
        if not faces:
            self._fruitless += 1
            return None
        self._fruitless, self._unknown = 0, {}
        faults, self._faults = self._faults, Faults()
        return replace(faces[-1], faults=tuple(faults))

    def _step(self, message: Message) -> Signal | bool:
        """Do what a message says: the face that it shows, or whether it is known."""
        arguments = message.arguments
        match message.address.removeprefix(ADDRESS):
            case "Blend/Val":
                self._take_value(arguments)
            case "Bone/Pos":
                self._take_bone(arguments)
            case "T":
                self._pts_ns = nanoseconds(_number("T", arguments, 0, 1e10))
            case "OK":
                self._tracking = len(arguments) < 4 or arguments[3] != 0
            case "Blend/Apply":
                return self._signal() or True
        return True

    def _take_value(self, arguments: tuple[Argument, ...]) -> None:
        sent, value = _name(arguments), _number("Blend/Val", arguments, 1, SANE)
        if (name := arkit_name(sent)) is not None:
            self._weights.put(name, value, self._frame)
        elif (preset := preset_name(sent)) is not None:
            self._presets.put(preset, value, self._frame)
        elif len(self._unknown) < MOST_UNKNOWN:
            self._unknown[sent] = None

    def _take_bone(self, arguments: tuple[Argument, ...]) -> None:
        name = _name(arguments)
        if name not in BONES:
            return
        x, y, z, w = (_number("Bone/Pos", arguments, i, 1e3) for i in range(4, 8))
        if x * x + y * y + z * z + w * w < MIN_QUATERNION:
            raise DriveError(f"VMC: {name}: expected a quaternion, got zeros")
        self._bones.put(name, (x, y, z, w), self._frame)

    def _signal(self) -> Signal | None:
        """What was sent so far; the next frame begins."""
        for kept in (self._weights, self._presets, self._bones):
            kept.forget_before(self._frame - KEPT_FRAMES)
        weights = self._mixed_weights()
        self._frame += 1
        if not (weights and self._tracking):
            return None
        neck, head = self._bones.values.get(NECK), self._bones.values.get(HEAD)
        pose = HeadPose(from_unity(neck or NO_TURN, head or NO_TURN)) if neck or head else None
        named = add_gaze(weights, self._gaze())
        return Signal(*weights_of(named), head=pose, source=SOURCE, pts_ns=self._pts_ns)

    def _mixed_weights(self) -> dict[str, float]:
        """ARKit's, and where those are 0 what the presets of the same frame ask for."""
        weights = dict(self._weights.values)
        if weights and not self._presets.has_of(self._frame):
            return weights
        for name, value in preset_weights(self._presets.values).items():
            weights[name] = weights.get(name) or value
        return weights

    def _gaze(self) -> tuple[Gaze, Gaze] | None:
        left, right = (self._bones.values.get(name) for name in (LEFT_EYE, RIGHT_EYE))
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
