"""The clock of a sound's faces: when it runs, waits, skips, and what it counts."""

from __future__ import annotations

import pytest

from flexavatar.drive.signal import weights_of
from flexavatar.drive.voice.config import VoiceConfig
from flexavatar.drive.voice.driver import VoiceDriver, VoiceFrame
from flexavatar.head.arkit import ARKIT_INDEX, JAW_OPEN
from plugin_server.playout import CLOSE_S, LATEST_S, LIVE_START_S, PATIENCE_S, START_S, Playout

RATE = 16_000
TICK_S = 1 / 60


def frames(start_s: float, end_s: float, jaw: float = 0.5) -> list[VoiceFrame]:
    """Fifty a second."""
    return [
        VoiceFrame(i * RATE // 50, *weights_of({"jawOpen": jaw}))
        for i in range(round(50 * start_s), round(50 * end_s) + 1)
    ]


class Clock:
    """A playout that is looked at 60 times a second."""

    def __init__(self, live: bool = False) -> None:
        self.playout = Playout(RATE, live)
        self.now_s = 10.0

    def add(self, start_s: float, end_s: float, jaw: float = 0.5) -> None:
        self.playout.add(frames(start_s, end_s, jaw), round(end_s * RATE), self.now_s)

    def run(self, seconds: float) -> list[float | None]:
        """The jaw at every tick."""
        seen = []
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            face = self.playout.face_at(self.now_s)
            seen.append(None if face is None else float(face.weights[JAW_OPEN]))
        return seen


def test_it_runs_at_the_pace_of_the_sound_however_fast_it_comes() -> None:
    clock = Clock()
    clock.add(0.0, 3.0)
    clock.run(1.0)
    assert clock.playout.position == pytest.approx(1.0 * RATE, abs=1.1 * TICK_S * RATE)
    clock.run(1.0)
    assert clock.playout.position == pytest.approx(2.0 * RATE, abs=1.1 * TICK_S * RATE)
    assert clock.playout.queued_s == pytest.approx(1.0, abs=1.1 * TICK_S)
    assert clock.playout.gaps.count == 0


def test_between_frames_faces_are_between() -> None:
    playout = Playout(RATE)
    ends = [VoiceFrame(at, *weights_of({"jawOpen": jaw})) for at, jaw in ((0, 0.0), (3200, 1.0))]
    playout.add(ends, 3200, 0.0)
    first, between = playout.face_at(1.0), playout.face_at(1.1)
    assert first is not None
    assert between is not None
    assert first.weights[JAW_OPEN] == 0
    assert between.weights[JAW_OPEN] == pytest.approx(0.5)


def test_a_feeling_goes_as_it_came() -> None:
    """The style may change in the middle of a sound: the cheeks must not stay where they were."""
    driver, pcm = VoiceDriver(RATE, 1, VoiceConfig(emotion="happy")), bytes(2 * RATE)
    frames = driver.push(pcm)
    driver.config = VoiceConfig()
    frames += driver.push(pcm)
    playout, cheek = Playout(RATE), ARKIT_INDEX["cheekSquintLeft"]
    playout.add(frames, frames[-1].sample, 0.0)
    shown = [playout.face_at(10 + i * TICK_S) for i in range(round(1.5 / TICK_S))]
    seen = [face for face in shown if face is not None]
    assert all(face.sent[cheek] for face in seen)
    assert seen[0].weights[cheek] > 0.2
    assert seen[-1].weights[cheek] == 0


def test_it_waits_for_a_little_more_than_it_shows() -> None:
    clock = Clock()
    clock.add(0.0, START_S / 2)
    assert clock.run(0.1) == [None] * 6
    clock.add(START_S / 2 + 0.02, START_S + 0.02)
    assert clock.run(TICK_S)[0] is not None


@pytest.mark.parametrize("complete", [True, False])
def test_a_short_sound_is_shown_too(complete: bool) -> None:
    clock = Clock()
    clock.add(0.0, 0.04)
    clock.playout.complete = complete
    waited = PATIENCE_S if not complete else 0.0
    seen = clock.run(waited + 0.1)
    assert any(jaw is not None for jaw in seen)
    assert clock.playout.drained


def test_where_sound_is_missing_the_mouth_closes_and_the_clock_waits() -> None:
    clock = Clock()
    clock.add(0.0, 1.0)
    seen = clock.run(1.0 + CLOSE_S + 0.05)
    assert seen[-1] is None
    closing = [jaw for jaw in seen if jaw is not None][-8:]
    assert closing == sorted(closing, reverse=True)
    assert closing[-1] < 0.1
    clock.run(1.0)
    assert clock.playout.position == RATE
    assert clock.playout.gaps.count == 0  # it may be the end
    clock.add(1.02, 2.0)
    clock.run(0.2)
    assert clock.playout.gaps.count == 1
    assert clock.playout.gaps.seconds == pytest.approx(1.2, abs=0.1)
    clock.run(1.0)
    assert clock.playout.position == 2 * RATE  # nothing was left out
    assert clock.playout.skipped == 0


def test_a_live_sound_does_not_fall_behind() -> None:
    clock = Clock(live=True)
    clock.add(0.0, LIVE_START_S)
    clock.run(0.5)
    clock.add(LIVE_START_S + 0.02, 1.0)  # half a second late, all at once
    clock.run(TICK_S)
    assert clock.playout.queued_s <= LATEST_S
    assert clock.playout.skipped > 0.5 * RATE


def test_a_sound_that_is_cleared_goes_on_behind() -> None:
    clock = Clock()
    clock.add(0.0, 3.0)
    clock.run(1.0)
    dropped = clock.playout.clear(3 * RATE, clock.now_s)
    assert dropped == pytest.approx(2 * RATE, abs=1.1 * TICK_S * RATE)
    assert clock.run(CLOSE_S + TICK_S)[-1] is None
    assert clock.playout.drained
    clock.add(3.0, 4.0, jaw=0.9)
    assert clock.run(0.5)[-1] == pytest.approx(0.9)
    assert clock.playout.gaps.count == 0
