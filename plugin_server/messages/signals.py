"""What drives a session, by either way, -> Signal. All of it is checked here, once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from flexavatar.drive.head_angles import AxisAngle
from flexavatar.drive.signal import ALL_SENT, DRIVE, NO_WEIGHTS, NONE_SENT, HeadPose, Signal
from flexavatar.errors import DriveError, InputError
from flexavatar.head.arkit import arkit_vector, clamped_weights
from flexavatar.types import EXPRESSION_SIZE, FlameCodes
from plugin_server.messages.drive_packet import DrivePacket, Parts
from plugin_server.messages.sessions import (
    LONGEST_TURN,
    camera_from,
    check_numbers,
    check_range,
    orbit_camera,
)
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.session import Session

FARTHEST = 10.0  # metres
LARGEST_CODE = 100.0  # expression and correctives: far beyond any face, still finite when drawn
LARGEST_EYELID = 1.5


def request_signal(request: pb.DriveRequest, session: Session) -> Signal:
    """The signal of a gRPC message. Raises DriveError, InputError, SessionNotFoundError."""
    kind, pose, puppet = request.WhichOneof("signal"), request.head, session.puppet
    if session.live is None and (request.source or request.mouth_hidden):
        raise DriveError("source, mouth_hidden: expected a session that has sources")
    check_range("mouth_hidden", request.mouth_hidden, 0, 1)
    signal = Signal(
        weights=arkit_vector(dict(request.arkit.weights)) if kind == "arkit" else NO_WEIGHTS,
        sent=ALL_SENT if kind == "arkit" else NONE_SENT,
        codes=_flame_codes(request.flame, puppet.rest) if kind == "flame" else None,
        head=_head_pose(pose.neck_pose, pose.global_orient, pose.transl)
        if request.HasField("head")
        else None,
        camera=camera_from(request.camera, puppet.camera, session.plan),
        morph=_morph(request.morph.share, session) if request.HasField("morph") else None,
        source=request.source or DRIVE,
        pts_ns=request.pts_ns,
        mouth_hidden=request.mouth_hidden,
    )
    _check_fits(signal, session)
    return signal


def packet_signal(packet: DrivePacket, session: Session) -> Signal:
    """The signal of a drive packet. Raises DriveError, InputError, SessionNotFoundError."""
    parts, pose, own = packet.parts, packet.pose, session.puppet.camera
    arkit, (yaw, pitch) = Parts.ARKIT in parts, packet.orbit
    signal = Signal(
        weights=clamped_weights(np.array(packet.weights, np.float32)) if arkit else NO_WEIGHTS,
        sent=ALL_SENT if arkit else NONE_SENT,
        head=_head_pose(pose[:3], pose[3:6], pose[6:]) if Parts.HEAD in parts else None,
        camera=orbit_camera(yaw, pitch, own, session.plan) if Parts.ORBIT in parts else None,
        morph=_morph(packet.morph, session) if Parts.MORPH in parts else None,
        source=DRIVE,
        pts_ns=packet.pts_ns,
    )
    _check_fits(signal, session)
    return signal


def _check_fits(signal: Signal, session: Session) -> None:
    """Raise DriveError for what a mixer could not mix."""
    moved = signal.head is not None and signal.head != HeadPose(signal.head.neck_pose)
    if session.live is not None and (signal.codes is not None or moved):
        raise DriveError("a session with sources takes ARKit weights and neck_pose alone")


def _head_pose(
    neck_pose: Sequence[float], global_orient: Sequence[float], transl: Sequence[float]
) -> HeadPose:
    """Each of 3 numbers, or of none, which are zeros. Raises DriveError."""
    return HeadPose(
        _axis_angle("neck_pose", neck_pose),
        _axis_angle("global_orient", global_orient),
        _triple("transl", transl, FARTHEST),
    )


def _axis_angle(name: str, values: Sequence[float]) -> AxisAngle:
    return AxisAngle(*_triple(name, values, LONGEST_TURN))


def _triple(name: str, values: Sequence[float], largest: float) -> tuple[float, float, float]:
    if not values:
        return 0.0, 0.0, 0.0
    _check_codes(name, values, 3, largest)
    x, y, z = values
    return x, y, z


def _morph(share: float, session: Session) -> float:
    """A share of the second avatar. Raises DriveError."""
    if not session.puppet.morphs:
        raise DriveError("morph: expected a session that was started with morph_to")
    if not 0 <= share <= 1:  # also true for NaN
        raise DriveError(f"morph: expected 0 to 1, got {share:g}")
    return share


def _flame_codes(message: pb.FlameCodes, rest: FlameCodes) -> FlameCodes:
    """A rig's own codes, on a head that is held straight; `rest` is any face of the rig."""
    correctives, straight = len(rest.correctives), torch.zeros(3)
    if len(message.expression) > EXPRESSION_SIZE:
        count = len(message.expression)
        raise DriveError(f"expression: expected {EXPRESSION_SIZE} numbers at most, got {count}")
    expression = [*message.expression] + [0.0] * (EXPRESSION_SIZE - len(message.expression))
    return FlameCodes(
        expression=_codes("expression", expression, EXPRESSION_SIZE, LARGEST_CODE),
        jaw_pose=_codes("jaw_pose", message.jaw_pose, 3, LONGEST_TURN),
        leye_pose=_codes("leye_pose", message.leye_pose, 3, LONGEST_TURN),
        reye_pose=_codes("reye_pose", message.reye_pose, 3, LONGEST_TURN),
        neck_pose=straight,
        global_orient=straight,
        transl=straight,
        eyelids=_codes("eyelids", message.eyelids, 2, LARGEST_EYELID),
        correctives=_codes("correctives", message.correctives, correctives, LARGEST_CODE),
    )


def _codes(name: str, values: Sequence[float], size: int, largest: float) -> Tensor:
    """Numbers of a face [size]; none of them is all zeros. Raises DriveError."""
    if not values:
        return torch.zeros(size)
    _check_codes(name, values, size, largest)
    return torch.tensor([*values], dtype=torch.float32)


def _check_codes(name: str, values: Sequence[float], size: int, largest: float) -> None:
    try:
        check_numbers(name, values, size, largest)
    except InputError as error:
        raise DriveError(str(error)) from error
