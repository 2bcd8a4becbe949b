"""What programs really send as VMC: clips beside presets, no Apply, names that nobody knows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from flexavatar.drive.mixer import Mixer, MixerConfig, Source
from flexavatar.drive.protocols.osc import write_bundle
from flexavatar.drive.protocols.vmc import VmcReader
from flexavatar.drive.signal import Signal
from flexavatar.head.arkit import ARKIT_NAMES
from plugin_server.gateways.udp import (
    LiveLinkFaceGateway,
    UdpGateway,
    VmcGateway,
    VtubeStudioGateway,
)
from tests import packets
from tests.signals import signal_of
from tests.test_sloppy_senders import Heard, face_of, frame, value

# ---- VMC's clips


def test_presets_drive_what_arkit_names_leave_at_0() -> None:
    zeros = [value(name, 0.0) for name in ARKIT_NAMES]
    reader = VmcReader()
    for level in (0.2, 0.9, 0.5):
        reader.read(write_bundle(zeros[:26]))
        live = [value("A", level), value("Blink", level)]
        face = face_of(reader.read(frame(*zeros[26:], *live)))
        assert face.weight("jawOpen") == pytest.approx(0.6 * level)
        assert face.weight("eyeBlinkLeft") == pytest.approx(level)
        assert face.sent.all()
    shaped = face_of(reader.read(frame(value("jawOpen", 0.3), value("A", 1.0))))
    assert shaped.weight("jawOpen") == np.float32(0.3)  # what is live itself has the say


def test_who_changes_what_he_sends_leaves_nothing_behind() -> None:
    reader = VmcReader()
    reader.read(frame(value("jawOpen", 0.8), value("eyeBlinkLeft", 0.0), packets.VMC_HEAD))
    faces = [reader.read(frame(value("eyeBlinkLeft", i / 100))) for i in range(60)]
    assert face_of(faces[0]).weight("jawOpen") == np.float32(0.8)  # a datagram may get lost
    assert face_of(faces[-1]).named().keys() == {"eyeBlinkLeft"}
    assert face_of(faces[-1]).head is None


def test_who_was_silent_starts_with_nothing() -> None:
    heard = Heard(VmcGateway)
    heard.feed(frame(value("jawOpen", 0.8), packets.VMC_HEAD))
    heard.feed(frame(value("eyeBlinkLeft", 0.5)), step_s=3.0)
    face = heard.signals[-1][1]
    assert (face.named().keys(), face.head) == ({"eyeBlinkLeft"}, None)


def test_a_mixer_lets_go_of_what_is_sent_no_more() -> None:
    mixer = Mixer(MixerConfig((Source("vmc"),)))
    for i in range(60):
        mixer.feed(
            signal_of({"jawOpen": 0.8, "mouthPucker": 0.5}, (0, 0.5, 0), source="vmc"), i / 60
        )
    shown = [mixer.face(1.0)]
    for i in range(60, 240):
        mixer.feed(signal_of({"mouthPucker": 0.5}, source="vmc"), i / 60)
        shown.append(mixer.face(i / 60))
    assert shown[0].weight("jawOpen") == pytest.approx(0.8, abs=0.02)
    assert shown[-1].weight("jawOpen") < 0.05
    assert shown[-1].weight("mouthPucker") == pytest.approx(0.5, abs=0.02)
    assert abs(shown[-1].neck_pose.y) < 0.1
    assert np.abs(np.diff([one.weight("jawOpen") for one in shown])).max() < 0.12


# ---- VMC without Apply, and names that nobody knows


def test_without_apply_a_bundle_is_a_frame() -> None:
    reader = VmcReader()
    found = [
        reader.read(write_bundle([value("jawOpen", i / 100), value("Blink", 0.0)]))
        for i in range(50)
    ]
    assert found[0] is None
    assert [face_of(f).weight("jawOpen") for f in found[1:]] == pytest.approx(
        [i / 100 for i in range(1, 50)]
    )


def test_without_apply_and_without_bundles() -> None:
    """Every value in a datagram of its own: a frame a round, not one a value."""
    reader, found = VmcReader(), list[Signal]()
    for i in range(20):
        for name in ("jawOpen", "mouthPucker", "eyeBlinkLeft"):
            if (face := reader.read(value(name, i / 20))) is not None:
                found.append(face)
    assert len(found) == 19
    assert found[-1].weight("jawOpen") == pytest.approx(19 / 20)


def test_unknown_names_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard(VmcGateway)
    for i in range(200):
        heard.feed(frame(value("Eyes Happy", i / 200), value("mth_a", 0.5)))
    assert "'Eyes Happy', 'mth_a'" in heard.problem
    assert "expected ARKit's names or VRM's presets" in heard.problem
    assert len([r for r in caplog.records if "Eyes Happy" in r.message]) == 1
    heard.feed(frame(value("jawOpen", 0.5)))
    assert (heard.problem, len(heard.signals)) == ("", 1)


@pytest.mark.parametrize(
    ("make", "packet", "message"),
    [
        (LiveLinkFaceGateway, packets.LIVE_LINK_FACE_UNSEEN, "the app sees no face"),
        (VtubeStudioGateway, b'{"FaceFound":false}', "the app sees no face"),
        (VmcGateway, write_bundle([packets.VMC_HEAD, packets.VMC_APPLY]), "send blend shapes"),
        (VmcGateway, write_bundle([packets.VMC_LOST, packets.VMC]), "it sees no face"),
    ],
)
def test_what_is_missing_is_said_once(
    caplog: pytest.LogCaptureFixture, make: Callable[..., UdpGateway], packet: bytes, message: str
) -> None:
    heard = Heard(make)
    for _ in range(100):
        heard.feed(packet)
    assert message in heard.problem
    assert len([r for r in caplog.records if message in r.message]) == 1
