"""Several sources on one face: who shows where, how they come and go, and what is there without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flexavatar.drive.head_angles import AxisAngle, HeadAngles
from flexavatar.drive.idle import LID_CLOSING_S, IdleAnimator
from flexavatar.drive.mixer import Mixer, MixerConfig, Source
from flexavatar.drive.one_euro import RotationFilter, WeightFilter
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
from flexavatar.drive.signal import NO_PTS, Signal
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES
from flexavatar.types import NS_PER_S
from plugin_server.gateways.hub import PacketOrder
from tests.signals import signal_of

FRAME_S = 1 / 60
FASTEST = 15 / 8 / LID_CLOSING_S
"""Weight a second: a lid along its minimum-jerk way; nothing in a face is quicker."""


def all_at(weight: float, head: Sequence[float] | None = None) -> Signal:
    return signal_of(dict.fromkeys(ARKIT_NAMES, weight), head)


class Stage:
    """A mixer that is fed and looked at 60 times a second."""

    def __init__(self, *sources: Source, **settings: Any) -> None:
        self.mixer = Mixer(MixerConfig(sources, **settings))
        self.now_s = 100.0
        self.seen: list[Signal] = []

    def run(self, seconds: float, **faces: Signal) -> Signal:
        """Every source says the same all the while."""
        for _ in range(round(seconds / FRAME_S)):
            self.now_s += FRAME_S
            for name, face in faces.items():
                self.mixer.feed(replace(face, source=name), self.now_s)
            self.seen.append(self.mixer.face(self.now_s))
        return self.seen[-1]

    def steps(self) -> np.ndarray:
        """Largest change of any weight from frame to frame."""
        return np.abs(np.diff([face.weights for face in self.seen], axis=0)).max(1)

    def turns(self) -> np.ndarray:
        """How far the head turned from frame to frame, radians."""
        turns = Rotation.from_rotvec([face.neck_pose for face in self.seen])
        return (turns[1:] * turns[:-1].inv()).magnitude()


def idle_at(time_s: float, seed: int = 0) -> np.ndarray:
    return IdleAnimator(seed).face_at(time_s).weights


# ---- one source


def test_a_steady_source_is_what_is_shown() -> None:
    stage = Stage(Source("phone"))
    face = stage.run(1.0, phone=all_at(0.4, (0.1, -0.2, 0.05)))
    assert face.named() == pytest.approx(dict.fromkeys(ARKIT_NAMES, 0.4))
    assert face.neck_pose == pytest.approx((0.1, -0.2, 0.05))


def test_a_performance_comes_through() -> None:
    """Smoothing costs little: correlation and lag of what is shown with what is sent."""
    stage, frames = Stage(Source("phone")), read_performance(SHIPPED_PERFORMANCE)
    for frame in frames:
        stage.run(FRAME_S, phone=frame)
    shown = np.array([face.weights for face in stage.seen])
    sent = np.array([frame.weights for frame in frames])
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileLeft"):
        i = ARKIT_NAMES.index(name)
        assert np.corrcoef(shown[60:, i], sent[60:, i])[0, 1] > 0.99, name
        later = np.corrcoef(shown[62:, i], sent[60:-2, i])[0, 1]
        assert later < np.corrcoef(shown[61:, i], sent[60:-1, i])[0, 1], name  # lag under 33 ms


def test_overshoot_is_clamped_and_gains_are_applied() -> None:
    stage = Stage(Source("phone", gains={"eyeBlinkLeft": 2.0, "jawOpen": 0.5}))
    sent = {"eyeBlinkLeft": 0.4, "eyeBlinkRight": 1.3, "jawOpen": 0.6, "mouthLeft": -0.2}
    face = stage.run(1.0, phone=signal_of(sent))
    wanted = {"eyeBlinkLeft": 0.8, "eyeBlinkRight": 1.0, "jawOpen": 0.3, "mouthLeft": 0.0}
    assert {name: face.weight(name) for name in wanted} == pytest.approx(wanted)


def test_the_head_may_follow_less_or_the_other_way() -> None:
    stage = Stage(Source("phone"), head_gain=HeadAngles(-1.0, 0.5, 0.0))
    face = stage.run(1.0, phone=all_at(0, (0.2, 0.4, 0.3)))
    assert face.neck_pose == pytest.approx((0.1, -0.4, 0.0), abs=1e-9)


def test_shapes_that_were_not_sent_are_left_to_what_is_below() -> None:
    stage = Stage(Source("phone"))
    face = stage.run(8.0, phone=signal_of({"jawOpen": 0.5}))
    assert face.weight("jawOpen") == pytest.approx(0.5)
    blinks = [face.weight("eyeBlinkLeft") for face in stage.seen]
    assert max(blinks) > 0.9  # it still blinks by itself
    assert stage.turns().max() > 0  # and moves its head


# ---- several


def test_the_first_source_wins_and_what_it_lacks_shows_the_next() -> None:
    stage = Stage(Source("phone"), Source("camera"))
    camera = all_at(0.2, (0, 0.3, 0))
    face = stage.run(1.0, phone=signal_of({"jawOpen": 0.9}), camera=camera)
    assert face.weight("jawOpen") == pytest.approx(0.9)
    assert face.weight("mouthPucker") == pytest.approx(0.2)
    assert face.neck_pose == pytest.approx((0, 0.3, 0))
    assert stage.run(1.0, camera=camera).weight("jawOpen") == pytest.approx(0.2)


def test_shares_by_region() -> None:
    """The mouth from one source, half of the eyes from it, the head from the other."""
    voice = Source("voice", shares={"eyes": 0.5, "head": 0.0})
    stage = Stage(voice, Source("camera"))
    voiced, filmed = all_at(1.0, (0, 0.5, 0)), all_at(0.2, (0, -0.3, 0))
    face = stage.run(1.0, voice=voiced, camera=filmed)
    assert face.weight("jawOpen") == pytest.approx(1.0)
    assert face.weight("noseSneerLeft") == pytest.approx(1.0)
    for name in ("eyeBlinkLeft", "browInnerUp", "cheekSquintRight"):
        assert face.weight(name) == pytest.approx(0.6)
    assert face.neck_pose == pytest.approx((0, -0.3, 0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": {"nose": 1}}, {"shares": {"mouth": 1.5}}, {"gains": {"jawopen": 1}},
        {"gains": {"jawOpen": math.nan}}, {"gains": {"jawOpen": -1}},
    ],
)  # fmt: skip
def test_sources_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DriveError, match="source phone: "):
        Source("phone", **wrong)


def test_one_name_once() -> None:
    with pytest.raises(DriveError, match="each once"):
        Mixer(MixerConfig((Source("phone"), Source("phone"))))


# ---- coming and going


def test_a_source_that_dies_leaves_a_living_face_within_a_second() -> None:
    stage = Stage(Source("phone"))
    stage.run(2.0, phone=all_at(0.7, (0.2, 0.3, 0)))
    stage.seen.clear()
    face = stage.run(1.0)
    np.testing.assert_allclose(face.weights, idle_at(stage.now_s), atol=1e-12)
    assert face.neck_pose == pytest.approx(IdleAnimator(0).face_at(stage.now_s).neck_pose)
    ease = 0.7 * 15 / 8 / 0.6 * FRAME_S  # minimum jerk over `leave_s`
    assert stage.steps().max() < ease + FASTEST * FRAME_S
    assert stage.turns().max() < 0.05
    stage.seen.clear()
    stage.run(10.0)
    assert max(face.weight("eyeBlinkLeft") for face in stage.seen) > 0.9  # it lives
    assert stage.turns().max() > 0


@pytest.mark.parametrize("pause_s", [0.3, 0.5, 5.0])
def test_a_source_that_comes_back_does_not_jump(pause_s: float) -> None:
    stage = Stage(Source("phone"))
    stage.run(1.0, phone=all_at(0.0, (0, -0.4, 0)))
    stage.run(pause_s)
    stage.seen = stage.seen[-1:]
    face = stage.run(0.5, phone=all_at(0.8, (0, 0.4, 0)))
    assert face.weight("jawOpen") == pytest.approx(0.8)
    assert face.neck_pose == pytest.approx((0, 0.4, 0))
    assert stage.steps().max() < 0.8 * 15 / 8 / 0.3 * FRAME_S + FASTEST * FRAME_S
    assert stage.turns().max() < 0.8 * 15 / 8 / 0.3 * FRAME_S + 0.01


def test_the_upper_source_dies_and_the_lower_one_takes_over() -> None:
    stage = Stage(Source("phone"), Source("camera"))
    camera = all_at(0.2, (0, -0.3, 0))
    stage.run(1.0, phone=all_at(0.9, (0, 0.3, 0)), camera=camera)
    stage.seen = stage.seen[-1:]
    face = stage.run(1.0, camera=camera)
    assert face.named() == pytest.approx(dict.fromkeys(ARKIT_NAMES, 0.2))
    assert stage.steps().max() < 0.7 * 15 / 8 / 0.6 * FRAME_S * 1.01


def test_a_few_lost_packets_are_not_noticed() -> None:
    stage = Stage(Source("phone"))
    stage.run(1.0, phone=all_at(0.5))
    assert stage.run(0.2).weight("jawOpen") == pytest.approx(0.5)


# ---- time


def test_pts_is_the_senders_time_and_runs_on_without_one() -> None:
    stage = Stage(Source("phone"))
    assert stage.run(FRAME_S).pts_ns == round(stage.now_s * NS_PER_S)
    face = stage.run(FRAME_S, phone=signal_of({}, pts_ns=7 * NS_PER_S))
    assert face.pts_ns == 7 * NS_PER_S
    assert stage.run(0.2).pts_ns == 7 * NS_PER_S  # the same instant, still shown
    assert stage.run(1.0).pts_ns == pytest.approx(8.2 * NS_PER_S)
    untimed = stage.run(FRAME_S, phone=signal_of({}))
    assert untimed.pts_ns == round(stage.now_s * NS_PER_S)


def test_the_same_calls_give_the_same_faces() -> None:
    def seen(seed: int) -> list[object]:
        stage = Stage(Source("phone"), seed=seed)
        stage.run(0.5, phone=all_at(0.3, (0.1, 0, 0)))
        stage.run(3.0)
        return [(face.weights.tolist(), face.head, face.pts_ns) for face in stage.seen]

    assert seen(1) == seen(1)
    assert seen(1) != seen(2)


# ---- smoothing


def test_smoothing_stills_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (600, 52))
    smooth = WeightFilter()
    out = np.array([smooth.step(0.5 + row, FRAME_S) for row in noise])
    assert np.diff(out[60:], axis=0).std() < 0.35 * np.diff(noise, axis=0).std()


def test_smoothing_goes_by_time_and_not_by_packets() -> None:
    """Half the rate, half of the packets lost: the same instant looks about the same."""

    def after_a_step(step_s: float, keep: float) -> float:
        smooth, chance, elapsed = WeightFilter(), np.random.default_rng(1), 0.0
        shown = smooth.step(np.zeros(1), step_s)
        for _ in range(round(0.1 / step_s)):
            elapsed += step_s
            if chance.random() < keep:
                shown, elapsed = smooth.step(np.ones(1), elapsed), 0.0
        return float(shown[0])

    assert after_a_step(1 / 60, 1.0) > 0.9  # a step is followed within 0.1 s
    assert after_a_step(1 / 30, 1.0) == pytest.approx(after_a_step(1 / 60, 1.0), abs=0.1)
    assert after_a_step(1 / 120, 0.5) == pytest.approx(after_a_step(1 / 60, 1.0), abs=0.1)


def test_heads_turn_the_shorter_way() -> None:
    smooth = RotationFilter()
    smooth.step(AxisAngle(0, math.radians(170), 0).quaternion(), FRAME_S)
    shown = smooth.step(AxisAngle(0, math.radians(-170), 0).quaternion(), FRAME_S)
    assert abs(shown.axis_angle().y) > math.radians(169)  # across the back, not through the front


def test_a_still_head_is_stilled_and_a_turning_one_followed() -> None:
    noise = np.random.default_rng(0).normal(0, 0.005, (300, 3))
    smooth = RotationFilter()
    out = [smooth.step(AxisAngle(*row).quaternion(), FRAME_S).axis_angle() for row in noise]
    assert np.diff(np.array(out)[60:], axis=0).std() < 0.35 * np.diff(noise, axis=0).std()
    turning = RotationFilter()
    shown = [turning.step(AxisAngle(0, i / 60, 0).quaternion(), FRAME_S) for i in range(60)]
    assert 59 / 60 - shown[-1].axis_angle().y < 0.03  # 30 ms behind at 1 radian a second


# ---- the idle face


def test_idling_is_a_matter_of_seed_and_time() -> None:
    instants = np.random.default_rng(0).uniform(0, 1000, 50)
    first, again = IdleAnimator(3), IdleAnimator(3)

    def at(idle: IdleAnimator, time_s: float) -> object:
        face = idle.face_at(time_s)
        return face.weights.tolist(), face.neck_pose, face.rise_m

    seen = {t: at(first, t) for t in instants}
    assert all(at(again, t) == seen[t] for t in reversed(instants))
    assert any(at(IdleAnimator(4), t) != seen[t] for t in instants)


def test_idling_is_alive_but_calm() -> None:
    times = np.arange(0, 120, 1 / 120)
    living = [IdleAnimator(5).face_at(t) for t in times]
    closed = np.array([one.weights[ARKIT_INDEX["eyeBlinkLeft"]] for one in living]) > 0.95
    blinks = np.sum(closed[1:] & ~closed[:-1])
    assert 2 * 10 <= blinks <= 2 * 30  # people blink about 15 times a minute
    turned = np.degrees(np.array([one.neck_pose for one in living]))
    assert 1.0 < np.ptp(turned[:, 1]) < 4.0
    assert np.abs(turned).max() < 3.0
    looks = np.array([one.weights[ARKIT_INDEX["eyeLookOutLeft"]] for one in living])
    assert 0.1 < looks.max() < 0.7
    assert len(np.unique(np.round(looks, 3))) > 20
    rise = np.array([one.rise_m for one in living])
    assert 25 <= np.sum((rise[1:] > 0) & (rise[:-1] <= 0)) <= 32  # 14 breaths a minute
    rows = np.array([one.weights for one in living])
    assert rows.min() >= 0
    assert rows.max() <= 1
    assert np.abs(np.diff(rows, axis=0)).max() < FASTEST / 120 + 0.01


# ---- order


def test_order_of_packets() -> None:
    order, now_s = PacketOrder(), 50.0
    arrived = [1.00, 1.02, 1.01, 1.02, 1.03, 0.90, 1.05]
    taken = [t for i, t in enumerate(arrived) if order.is_new(round(t * NS_PER_S), now_s + i / 60)]
    assert taken == [1.00, 1.02, 1.02, 1.03, 1.05]


def test_a_clock_that_jumps_far_back_is_a_new_start() -> None:
    order = PacketOrder()
    assert order.is_new(3600 * NS_PER_S, 1.0)
    assert order.is_new(0, 1.01)
    assert order.is_new(NS_PER_S // 60, 1.03)
    assert not order.is_new(0, 1.04)


def test_a_clock_that_jumps_a_little_back_is_a_new_start_soon() -> None:
    order = PacketOrder()
    assert order.is_new(3 * NS_PER_S, 1.0)
    assert not order.is_new(round(2.8 * NS_PER_S), 1.1)
    assert order.is_new(round(2.8 * NS_PER_S), 1.6)


def test_senders_without_a_clock_are_taken_as_they_come() -> None:
    assert all(PacketOrder().is_new(NO_PTS, t) for t in (1.0, 2.0))
