"""The signal between whatever drives a head and the head: made once, the same by every way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from flexavatar.drive.head_angles import AxisAngle
from flexavatar.drive.mixer import MixerConfig, Source
from flexavatar.drive.signal import (
    ALL_SENT,
    NO_PTS,
    NO_WEIGHTS,
    HeadPose,
    Signal,
    flame_codes,
    weights_of,
)
from flexavatar.errors import DriveError, InputError
from flexavatar.head.arkit import ARKIT_NAMES, JAW_OPEN, analytic_basis, clamped_weights
from flexavatar.types import FlameCodes
from plugin_server.frames import StreamPlan
from plugin_server.gateways.hub import Hub
from plugin_server.latest import Latest
from plugin_server.live import LiveFace
from plugin_server.messages.drive_packet import unpack_drive
from plugin_server.messages.signals import packet_signal, request_signal
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.session import Session
from plugin_server.wire import Kind
from tests.make_golden import GOLDEN, drive_packets
from tests.service import TinyAvatar, TinyPuppet, tiny_camera
from tests.signals import assert_same, signal_of

REST = FlameCodes.zeros(0)
BASIS = analytic_basis(0.3)


@pytest.fixture
def session() -> Session:
    """One that nobody draws."""
    puppet = TinyPuppet(TinyAvatar(1), TinyAvatar(2))
    plan = StreamPlan(frozenset({Kind.RGBA8}), 64, 48, 60, 90, 1.0)
    nobody = cast(Any, None)
    return Session("0" * 16, ["a", "b"], puppet, plan, lambda own: own, nobody, Latest())


def shown(session: Session) -> Signal:
    """What waits for the render thread."""
    signal = session.mailbox.take()
    assert signal is not None
    return signal


# ---- made where it enters


def golden_request() -> pb.DriveRequest:
    """What the golden packet `drive_all` says, as gRPC has it."""
    packet = drive_packets()["drive_all"]
    return pb.DriveRequest(
        pts_ns=packet.pts_ns,
        arkit=pb.ArkitWeights(weights=dict(zip(ARKIT_NAMES, packet.weights, strict=True))),
        head=pb.HeadPose(
            neck_pose=packet.pose[:3], global_orient=packet.pose[3:6], transl=packet.pose[6:]
        ),
        camera=pb.Camera(orbit=pb.Orbit(yaw_deg=15.0, pitch_deg=-7.5)),
        morph=pb.Morph(share=0.25),
    )


def test_a_packet_and_a_message_make_the_same_signal(session: Session) -> None:
    packet = unpack_drive((GOLDEN / "drive_all.bin").read_bytes())
    signal = packet_signal(packet, session)
    assert_same(signal, request_signal(golden_request(), session))
    assert signal.weight("eyeBlinkLeft") == 51 / 64
    assert signal.weight("tongueOut") == 0
    assert signal.head == HeadPose(
        AxisAngle(-0.5, -0.375, -0.25), AxisAngle(-0.125, 0.0, 0.125), (0.25, 0.375, 0.5)
    )
    assert signal.camera is not None
    assert (signal.morph, signal.source) == (0.25, "drive")


def test_what_a_packet_leaves_out_says_nothing(session: Session) -> None:
    view = packet_signal(drive_packets()["drive_view"], session)
    assert not view.has_face
    assert view.head is None
    assert view.camera is not None
    assert view.morph == 0  # a share of 0 counts as well
    face = packet_signal(drive_packets()["drive_weights"], session)
    assert face.sent.all()
    assert (face.camera, face.morph, face.head) == (None, None, None)


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ({"arkit": pb.ArkitWeights(weights={"jawOpen": 2})}, r"jawOpen: expected .* 0\.\.1, got 2"),
        ({"arkit": pb.ArkitWeights(weights={"jawopen": 0})}, r"not ARKit names: \['jawopen'\]"),
        ({"head": pb.HeadPose(neck_pose=[0, 1])}, "neck_pose: expected 3 numbers, got 2"),
        ({"head": pb.HeadPose(transl=[0, 11, 0])}, "transl: expected -10 to 10, got 11"),
        ({"flame": pb.FlameCodes(jaw_pose=[9, 0, 0])}, "jaw_pose: expected -6.28319 to 6.28319"),
        ({"morph": pb.Morph(share=float("nan"))}, "morph: expected 0 to 1, got nan"),
        ({"source": "webcam"}, "source, mouth_hidden: expected a session that has sources"),
    ],
)
def test_what_no_signal_can_be_made_of(
    session: Session, part: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        request_signal(pb.DriveRequest(**part), session)


def test_a_mixer_takes_weights_and_the_neck_alone(session: Session) -> None:
    config = MixerConfig((Source("drive"),))
    session.live = LiveFace(session, config.sources, config.head_gain, Hub())
    for request in (
        pb.DriveRequest(flame=pb.FlameCodes(jaw_pose=[0.1, 0, 0])),
        pb.DriveRequest(head=pb.HeadPose(global_orient=[0.1, 0, 0])),
        pb.DriveRequest(head=pb.HeadPose(transl=[0, 0, 0.1])),
    ):
        with pytest.raises(DriveError, match="ARKit weights and neck_pose alone"):
            request_signal(request, session)
    with pytest.raises(InputError, match="mouth_hidden: expected 0 to 1, got 2"):
        request_signal(pb.DriveRequest(mouth_hidden=2), session)


def test_names_are_arkits() -> None:
    weights, sent = weights_of({"jawOpen": 0.5})
    assert weights[JAW_OPEN] == 0.5
    assert np.flatnonzero(sent).tolist() == [JAW_OPEN]
    with pytest.raises(DriveError, match=r"not ARKit names: \['jawopen'\]"):
        weights_of({"jawopen": 0.5})


def test_rounding_is_clamped_and_more_is_refused() -> None:
    weights = NO_WEIGHTS.copy()
    weights[:2] = 1.0005, -0.0005
    assert clamped_weights(weights)[:2].tolist() == [1.0, 0.0]
    for bad in (1.01, -0.01, np.nan, np.inf):
        weights[JAW_OPEN] = bad
        with pytest.raises(DriveError, match=f"jawOpen: expected a weight in 0..1, got {bad:g}"):
            clamped_weights(weights)


# ---- what it leaves out


def test_what_is_left_out_stays_as_it_was(session: Session) -> None:
    session.drive(request_signal(golden_request(), session))
    whole = shown(session)
    session.drive(Signal(morph=0.5, source="drive", pts_ns=7))
    later = shown(session)
    assert_same(replace(later, morph=whole.morph, pts_ns=whole.pts_ns), whole)
    assert (later.morph, later.pts_ns) == (0.5, 7)


def test_a_head_alone_keeps_the_face_and_a_face_alone_looks_forward() -> None:
    turned = HeadPose(AxisAngle(0.0, 0.3, 0.0))
    face = signal_of({"jawOpen": 0.5}, pts_ns=1)
    both = Signal(head=turned, pts_ns=2).after(face)
    assert (both.weight("jawOpen"), both.head, both.pts_ns) == (0.5, turned, 2)
    again = face.after(both)
    assert again.head == HeadPose()
    codes = Signal(codes=REST).after(again)
    assert codes.codes is REST
    assert not codes.sent.any()
    assert face.after(codes).codes is None
    assert Signal().after(face).pts_ns == 1


def test_a_session_that_nobody_drove_is_at_rest(session: Session) -> None:
    session.drive(Signal(camera=tiny_camera(), pts_ns=3))
    signal, rest = shown(session), replace(REST, transl=torch.ones(3))
    assert flame_codes(signal, BASIS, rest) is rest
    assert (signal.head, signal.pts_ns) == (None, 3)


# ---- codes


def test_codes_come_of_weights_of_codes_or_of_rest() -> None:
    weights = signal_of({"jawOpen": 0.5}, (0.0, 0.2, 0.0))
    codes = flame_codes(weights, BASIS, REST)
    assert codes.jaw_pose[0] == pytest.approx(0.15)
    assert codes.neck_pose.tolist() == pytest.approx([0.0, 0.2, 0.0])
    own = replace(REST, jaw_pose=torch.tensor([0.0, 0.1, 0.0]))
    assert flame_codes(Signal(codes=own), BASIS, REST) is own
    assert flame_codes(Signal(), BASIS, REST) is REST
    closed = flame_codes(Signal(sent=ALL_SENT, weights=NO_WEIGHTS.copy()), BASIS, own)
    assert closed.jaw_pose.tolist() == [0, 0, 0]


def test_a_signal_by_name() -> None:
    signal = signal_of({"jawOpen": 0.25, "browInnerUp": 0.0})
    assert signal.named() == {"jawOpen": 0.25, "browInnerUp": 0.0}
    assert signal.weight("jawOpen") == 0.25
    assert signal.weight("tongueOut") == 0
    assert signal.pts_ns == NO_PTS
