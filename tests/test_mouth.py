"""A camera and a voice on one face: whose the mouth is, and how it goes from one to the other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from flexavatar.drive.mixer import Source
from flexavatar.drive.mouth import CROSSFADE_S
from flexavatar.types import NS_PER_S
from tests.signals import signal_of
from tests.test_mixer import FRAME_S, Stage

CAMERA = {"eyeBlinkLeft": 0.2, "browInnerUp": 0.6, "mouthSmileLeft": 0.5}


def said(time_s: float) -> dict[str, float]:
    """A jaw that goes up and down four times a second, as in speech."""
    return {"jawOpen": 0.35 + 0.3 * math.sin(8 * math.pi * time_s)}


class Talk(Stage):
    """Somebody who talks before a camera."""

    def __init__(self, *order: str) -> None:
        super().__init__(*(Source(name) for name in order or ("webcam", "audio")))

    def talk(self, seconds: float, jaw: float | None = None, **camera: float) -> float:
        """The camera sees this jaw, the same as is said if None; how far the shown one went."""
        hidden = camera.pop("hidden", 0.0)
        shown = []
        for _ in range(round(seconds / FRAME_S)):
            speech = said(self.now_s)
            seen = CAMERA | ({"jawOpen": jaw} if jaw is not None else speech) | camera
            face = signal_of(seen, (0, 0.3, 0), mouth_hidden=hidden)
            mixed = self.run(FRAME_S, webcam=face, audio=signal_of(speech))
            shown.append(mixed.weight("jawOpen"))
        return max(shown[-30:]) - min(shown[-30:])


def test_the_camera_wins_while_it_sees_the_mouth() -> None:
    stage = Talk()
    stage.talk(2.0)
    one = Stage(Source("webcam"))
    one.now_s = 100.0
    for i in range(120):
        seen = CAMERA | said(100.0 + i * FRAME_S)
        one.run(FRAME_S, webcam=signal_of(seen, (0, 0.3, 0)))
    assert stage.seen[-1].named() == pytest.approx(one.seen[-1].named())


def test_a_mouth_that_rests_while_the_voice_speaks_is_the_voices() -> None:
    """Behind a mask, or with a driver that sends no mouth; eyes, brows and head stay."""
    stage = Talk()
    assert stage.talk(3.0, jaw=0.1) > 0.5
    face = stage.seen[-1]
    assert face.weight("eyeBlinkLeft") == pytest.approx(0.2)
    assert face.weight("browInnerUp") == pytest.approx(0.6)
    assert face.neck_pose == pytest.approx((0, 0.3, 0))
    stage.talk(2.0)  # the camera's mouth moves again, and has it
    assert stage.seen[-1].weight("mouthSmileLeft") == pytest.approx(0.5)


def test_a_hidden_mouth_is_the_voices_at_once_but_without_a_jump() -> None:
    stage = Talk()
    stage.talk(2.0, jaw=0.9)
    stage.seen = stage.seen[-1:]
    assert stage.talk(1.0, jaw=0.9, hidden=1.0) > 0.5
    jaws = [face.weight("jawOpen") for face in stage.seen]
    said_fastest = 0.3 * 8 * math.pi * FRAME_S
    assert np.abs(np.diff(jaws)).max() < 0.9 * FRAME_S / CROSSFADE_S + said_fastest
    assert stage.seen[-1].weight("jawOpen") == pytest.approx(
        said(stage.now_s - FRAME_S)["jawOpen"], abs=0.02
    )


def test_without_a_voice_a_hidden_mouth_is_the_cameras() -> None:
    stage = Talk()
    face = stage.run(2.0, webcam=signal_of({"jawOpen": 0.4}, mouth_hidden=1.0))
    assert face.weight("jawOpen") == pytest.approx(0.4)


def test_a_silent_voice_gives_the_mouth_back() -> None:
    stage = Talk()
    stage.talk(3.0, jaw=0.1)
    face = stage.run(2.0, webcam=signal_of(CAMERA | {"jawOpen": 0.1}))
    assert face.weight("jawOpen") == pytest.approx(0.1)
    assert face.weight("mouthSmileLeft") == pytest.approx(0.5)


def test_a_voice_on_top_keeps_the_mouth() -> None:
    stage = Talk("audio", "webcam")
    stage.talk(2.0, jaw=0.9)
    assert stage.seen[-1].weight("jawOpen") == pytest.approx(
        said(stage.now_s - FRAME_S)["jawOpen"], abs=0.02
    )
    assert stage.seen[-1].weight("eyeBlinkLeft") == pytest.approx(0.2)


@pytest.mark.parametrize("dies", ["webcam", "audio"])
def test_killing_one_leaves_the_other(dies: str) -> None:
    stage = Talk()
    stage.talk(2.0)
    faces = {
        "webcam": signal_of(CAMERA | {"jawOpen": 0.1}),
        "audio": signal_of({"jawOpen": 0.7}),
    }
    faces.pop(dies)
    face = stage.run(1.0, **faces)
    assert face.weight("jawOpen") == pytest.approx(0.7 if dies == "webcam" else 0.1, abs=1e-4)


def test_while_a_voice_speaks_its_clock_is_the_faces() -> None:
    stage = Talk()
    camera = signal_of(CAMERA, pts_ns=7 * NS_PER_S)
    assert stage.run(FRAME_S, webcam=camera).pts_ns == 7 * NS_PER_S
    voice = signal_of({"jawOpen": 0.2}, pts_ns=3 * NS_PER_S)
    assert stage.run(FRAME_S, webcam=camera, audio=voice).pts_ns == 3 * NS_PER_S
    stage.run(1.0, webcam=replace(camera, pts_ns=8 * NS_PER_S))
    assert stage.seen[-1].pts_ns == 8 * NS_PER_S


def test_a_voice_is_not_smoothed_and_comes_soon() -> None:
    stage = Stage(Source("audio"))
    stage.run(0.5)
    stage.run(0.1, audio=signal_of({"jawOpen": 0.8}))
    assert stage.seen[-1].weight("jawOpen") == pytest.approx(0.8, abs=0.01)
    closed = stage.run(2 * FRAME_S, audio=signal_of({"jawOpen": 0.0}))
    assert closed.weight("jawOpen") < 0.02  # lips that shut do so
