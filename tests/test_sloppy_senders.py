"""What programs really send: clocks that run back, faces that freeze, values that are none."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from flexavatar.drive.mixer import Mixer, MixerConfig, Source
from flexavatar.drive.names import arkit_name
from flexavatar.drive.protocols import fmv3, ifacialmocap, live_link_face, vtube_studio
from flexavatar.drive.protocols.fmv3 import Fmv3Reader
from flexavatar.drive.protocols.osc import write_bundle, write_message
from flexavatar.drive.protocols.vmc import VmcReader
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError
from flexavatar.types import NS_PER_S
from plugin_server.gateways.config import guard_of
from plugin_server.gateways.hub import FROZEN_S, Hub, Sender
from plugin_server.gateways.udp import (
    HOLD_S,
    IFacialMocapGateway,
    LiveLinkFaceGateway,
    UdpGateway,
    VmcGateway,
    VtubeStudioGateway,
)
from tests import packets
from tests.signals import signal_of


def value(name: str, *numbers: float) -> bytes:
    return write_message("/VMC/Ext/Blend/Val", name, *numbers)


def frame(*messages: bytes) -> bytes:
    """A VMC frame in one bundle."""
    return write_bundle([*messages, packets.VMC_APPLY])


def face_of(signal: Signal | None) -> Signal:
    assert signal is not None
    return signal


class Heard:
    """A gateway on a clock of the test's, and what it hands on."""

    def __init__(self, make: Callable[..., UdpGateway], *more: int) -> None:
        self.now_s = 100.0
        self.hub = Hub(lambda: self.now_s)
        self.gateway = make(guard_of(""), self.hub, *more)
        self.signals: list[tuple[float, Signal]] = []
        self.hub.subscribe(self._keep)

    def _keep(self, sender: Sender, signal: Signal, now_s: float) -> None:
        self.signals.append((now_s, signal))

    def feed(self, packet: bytes, port: int = 5000, step_s: float = 1 / 60) -> None:
        self.now_s += step_s
        self.gateway.datagram_received(packet, ("127.0.0.1", port))

    @property
    def problem(self) -> str:
        return self.gateway.status.problem


def live_link(jaw: float, number: int, rate: tuple[int, int] = (60, 1)) -> bytes:
    """A packet of the app with its frame's number and rate as they are."""
    packet = live_link_face.write(signal_of({"jawOpen": jaw}))
    start = packet.index(b"\x3d") - 16
    return packet[:start] + struct.pack(">ifii", number, 0.25, *rate) + packet[start + 16 :]


# ---- clocks


def test_a_rate_over_0_means_over_1() -> None:
    face = face_of(live_link_face.read(live_link(0.5, 90, (30, 0))))
    assert face.weight("jawOpen") == 0.5
    assert face.pts_ns == round(90.25 / 30 * NS_PER_S)


@pytest.mark.parametrize(
    "number",
    [
        lambda i: i + 37 * i % 50,
        lambda i: i + 13 * i % 20,
        lambda i: i + 8 * (i % 2),
        lambda i: 38 * i % 50,
    ],
)
def test_a_clock_that_keeps_running_back_gives_way_to_arrival(
    number: Callable[[int], int],
) -> None:
    heard = Heard(LiveLinkFaceGateway)
    jaws = [0.5 + 0.4 * math.sin(i / 10) for i in range(300)]
    for i, jaw in enumerate(jaws):
        heard.feed(live_link(jaw, 1000 + number(i)))
    status = heard.gateway.status
    assert status.frames >= 290
    assert status.frames + status.late == 300  # nothing goes uncounted
    times = np.array([signal.pts_ns for _, signal in heard.signals])[20:] / NS_PER_S
    assert np.diff(times) == pytest.approx(1 / 60, abs=0.001)
    shown = [signal.weight("jawOpen") for _, signal in heard.signals]
    assert shown[-100:] == pytest.approx(jaws[-100:], abs=1e-6)


def test_a_network_that_swaps_packets_does_not_take_the_clock_away() -> None:
    heard = Heard(LiveLinkFaceGateway)
    order = np.arange(600)
    for i in range(3, 600, 10):
        order[[i, i + 1]] = order[[i + 1, i]]
    for i in order:
        heard.feed(live_link(i / 1000, int(i)))
    assert heard.gateway.status.late == 60
    assert [s.pts_ns for _, s in heard.signals] == sorted(s.pts_ns for _, s in heard.signals)
    assert heard.signals[-1][1].pts_ns == round(599.25 / 60 * NS_PER_S)


# ---- no face


FROZEN_SENDERS: list[tuple[Callable[..., UdpGateway], Callable[[float], bytes], Sequence[int]]] = [
    (VmcGateway, lambda jaw: frame(value("jawOpen", jaw)), ()),
    (LiveLinkFaceGateway, lambda jaw: live_link(jaw, 7), ()),
    (IFacialMocapGateway, lambda jaw: f"jawOpen-{100 * jaw:.0f}|".encode(), (2,)),
    (VtubeStudioGateway, lambda jaw: vtube_studio.write(signal_of({"jawOpen": jaw})), ()),
]


@pytest.mark.parametrize(("make", "write", "more"), FROZEN_SENDERS)
def test_the_same_face_over_and_over_is_no_face(
    make: Callable[..., UdpGateway], write: Callable[[float], bytes], more: Sequence[int]
) -> None:
    heard = Heard(make, *more)
    for i in range(60):
        heard.feed(write(0.1 + i / 100))
    for _ in range(240):
        heard.feed(write(0.9))
    frozen_at_s = 101.0
    assert heard.signals[-1][0] - frozen_at_s < FROZEN_S + 0.05
    assert "same face over and over" in heard.problem
    heard.feed(write(0.5))
    assert face_of(heard.signals[-1][1]).weight("jawOpen") == pytest.approx(0.5, abs=1e-6)
    assert heard.problem == ""


def test_a_status_says_that_the_face_is_lost() -> None:
    text = b"jawOpen-40|trackingStatus-%d|=head#1,2,3|"
    assert ifacialmocap.read(text % 0) is None
    assert ifacialmocap.read((text % 0).replace(b"-", b"&")) is None
    assert face_of(ifacialmocap.read(text % 1)).weight("jawOpen") == np.float32(0.4)
    heard = Heard(IFacialMocapGateway, 2)
    heard.feed(text % 0)
    assert "sees no face" in heard.problem
    assert heard.gateway.status.frames == heard.gateway.status.refused == 0


def test_a_frozen_face_idles_within_two_seconds_and_comes_back_without_a_jump() -> None:
    heard, mixer = Heard(VmcGateway), Mixer(MixerConfig((Source("vmc"),)))
    jaws: list[float] = []

    def play(seconds: float, jaw_at: Callable[[float], float]) -> None:
        for i in range(round(60 * seconds)):
            fed = len(heard.signals)
            heard.feed(frame(value("jawOpen", jaw_at(i / 60))))
            for _, signal in heard.signals[fed:]:
                mixer.feed(signal, heard.now_s)
            jaws.append(mixer.face(heard.now_s).weight("jawOpen"))

    play(2.0, lambda t: 0.6 + 0.2 * math.sin(5 * t))
    play(4.0, lambda t: 0.6 + 0.2 * math.sin(10))
    assert max(jaws[-120:]) < 0.05  # two seconds after it froze
    play(2.0, lambda t: 0.6 + 0.2 * math.sin(5 * t))
    assert jaws[-60] > 0.3
    assert np.abs(np.diff(jaws)).max() < 0.12  # of the whole way in one frame


# ---- values that are none


BAD_VALUES = [
    value("jawOpen"), value("mouthPucker", 100.0), value("mouthPucker", math.nan),
    write_message("/VMC/Ext/Bone/Pos", "LeftEye", *[math.nan] * 7),
    b"/VMC/Ext/Blend/Val\0\0,s?\0A\0\0\0", write_message("/VMC/Ext/Blend/Val", "A", "much"),
    b"/VMC/Ext/Bone/Pos\0\0\0,s\0\0Head\0\0\0\0",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_VALUES)
def test_a_bad_value_of_vmc_is_left_out_and_counted(bad: bytes) -> None:
    heard = Heard(VmcGateway)
    heard.feed(frame(value("eyeBlinkLeft", 0.5), bad, value("jawOpen", 0.25)))
    ((_, face),) = heard.signals
    assert face.named() == {"eyeBlinkLeft": 0.5, "jawOpen": 0.25}
    status = heard.gateway.status
    assert (status.frames, status.refused, status.skipped) == (1, 0, 1)
    assert status.problem


def test_arrays_of_osc_are_read() -> None:
    packet = b"/VMC/Ext/Blend/Val\0\0,[sf]\0\0\0JawOpen\0\x3f\0\0\0"
    assert face_of(VmcReader().read(frame(packet))).weight("jawOpen") == 0.5


@pytest.mark.parametrize(
    "bad", ["1", "=", "my smile", "a-b-c", "jawLeft-x", "head#1,2", "leftEye#nan,1,1"]
)
def test_a_bad_field_of_ifacialmocap_is_left_out(bad: str) -> None:
    face = face_of(ifacialmocap.read(f"jawOpen-50|{bad}|eyeBlink_L-25|my-smile-12|".encode()))
    assert face.named() == {"jawOpen": 0.5, "eyeBlinkLeft": 0.25}
    assert len(face.faults) == 1


def test_hyphens_and_signs() -> None:
    face = face_of(ifacialmocap.read(b"jawOpen--4|my-own-shape-12|mouth-pucker-30|"))
    assert face.named() == pytest.approx({"jawOpen": -0.04, "mouthPucker": 0.3}, abs=1e-6)
    assert face.faults == ()


def test_bad_numbers_in_other_protocols_are_left_out() -> None:
    packet = bytearray(live_link(0.5, 1))
    at = len(packet) - 4 * 61
    packet[at : at + 4] = struct.pack(">f", math.nan)  # eyeBlinkLeft
    packet[at + 4 * 52 : at + 4 * 53] = struct.pack(">f", 1e30)  # the head's yaw
    face = face_of(live_link_face.read(bytes(packet)))
    assert "eyeBlinkLeft" not in face.named()
    assert (face.weight("jawOpen"), face.head, len(face.faults)) == (0.5, None, 2)
    text = packets.VTUBE_STUDIO.replace(b'"v":0.5', b'"v":NaN').replace(b'"x":10.0', b'"x":null')
    face = face_of(vtube_studio.read(text))
    assert face.named().keys() == {"eyeBlinkLeft", "eyeLookOutLeft"}
    assert (face.head, len(face.faults)) == (None, 2)
    reader = Fmv3Reader()
    reader.read(packets.fmv3_schema())
    pose = struct.pack("<12f", *[math.nan] * 6, *[1.0] * 6)
    content = bytes.fromhex("0c00 0800 2d00 e7ff") + pose
    face = face_of(reader.read(packets.fmv3(4, content, sequence=1, flags=fmv3.TRACKING)))
    assert (face.weight("jawOpen"), face.head) == (np.float32(0.45), None)


@pytest.mark.parametrize(
    "sent",
    ["BlendShape.jawOpen", "blendShape1.jawOpen", "ARKit_jawOpen", "Face:JawOpen", "jaw_open",
     "Jaw Open", "head/jawOpen", "bs_JawOpen", " jawOpen "],
)  # fmt: skip
def test_usual_prefixes_are_no_part_of_the_name(sent: str) -> None:
    assert arkit_name(sent) == "jawOpen"


def test_prefixes_of_presets() -> None:
    face = face_of(VmcReader().read(frame(value("BlendShape.A", 1.0), value("Face.Blink_L", 0.5))))
    assert face.weight("jawOpen") == pytest.approx(0.6)
    assert face.weight("eyeBlinkLeft") == 0.5


def test_osc_on_another_app_s_port_is_named() -> None:
    for packet in (packets.VMC, packets.VMC_VALUE):
        with pytest.raises(DriveError, match=r"got OSC, which VMC .* --vmc"):
            live_link_face.read(packet)


# ---- two programs on one machine


def test_of_two_programs_one_is_followed_and_the_other_told() -> None:
    heard = Heard(VmcGateway)
    for i in range(120):
        heard.feed(frame(value("jawOpen", 0.7 + i / 1000)), 5000, 1 / 120)
        heard.feed(frame(value("jawOpen", 0.1)), 5001, 1 / 120)
    jaws = [signal.weight("jawOpen") for _, signal in heard.signals]
    assert min(jaws[2:]) > 0.6
    assert max(np.abs(np.diff(jaws[2:]))) < 0.01
    heard.feed(frame(value("jawOpen", 0.1)), 5001)
    assert "another program sends too" in heard.problem
    assert "5001" in heard.problem
    heard.feed(frame(value("jawOpen", 0.2)), 5001, HOLD_S + 0.1)
    assert heard.signals[-1][1].weight("jawOpen") == np.float32(0.2)  # the other has ended


def test_a_new_port_for_every_packet_is_one_program() -> None:
    heard = Heard(VmcGateway)
    for i in range(100):
        heard.feed(frame(value("jawOpen", i / 100)), 6000 + i)
    assert len(heard.signals) == 100


# ---- over the network


def test_counts_are_told_to_clients(tmp_path: Path) -> None:
    from tests.live import live_server, sending_udp
    from tests.service import eventually

    with live_server(tmp_path, vmc=0) as (client, addresses):
        with sending_udp(addresses["vmc"]) as send:
            for i in range(10):
                send(frame(value("jawOpen", i / 10), value("mouthPucker", 100.0)))
                time.sleep(0.005)
            eventually(lambda: client.info().gateways[0].skipped == 10)
        gateway = client.info().gateways[0]
        assert (gateway.frames, gateway.refused, gateway.late) == (10, 0, 0)
        assert "Blend/Val" in gateway.problem
