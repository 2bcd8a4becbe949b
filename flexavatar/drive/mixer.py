"""Several sources on one face, and a living face where there are none.

The rule: sources are layers in the order of their priority, over a face that idles. A layer covers
what is below by its share of the region (mouth, eyes and brows, head; 1 unless set otherwise), for
the shapes that it has sent. A layer above the voice gives it the mouth while it does not see one
itself (see `mouth.py`). A source that is silent for `timeout_s` lets what is below show through
within `leave_s`; one that comes or comes back is joined without a jump within `join_s`.

Nothing here looks at a clock: the same calls give the same faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.head_angles import FORWARD, AxisAngle, HeadAngles, Quaternion
from flexavatar.drive.idle import IdleAnimator
from flexavatar.drive.mouth import MouthTracker
from flexavatar.drive.one_euro import (
    HEAD_SMOOTHING,
    NO_SMOOTHING,
    WEIGHT_SMOOTHING,
    RotationFilter,
    Smoothing,
    WeightFilter,
)
from flexavatar.drive.signal import ALL_SENT, AUDIO, NO_PTS, HeadPose, Signal
from flexavatar.easing import minimum_jerk
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES
from flexavatar.types import NS_PER_S

AUDIO_JOIN_S = 0.06
"""The first syllable must not be lost."""
MOUTH, EYES, HEAD_TURN = "mouth", "eyes", "head"
REGIONS = (MOUTH, EYES, HEAD_TURN)
EYE_REGION = ("eye", "brow", "cheekSquint")
IS_EYES = np.array([name.startswith(EYE_REGION) for name in ARKIT_NAMES])  # [52]
FORGET_S = 1.0
"""A shape that a source has not sent for so long, while it sent others, it sends no more."""
MAX_STEP_S, MIN_STEP_S = 1.0, 1e-3
MAX_GAIN = 4.0
WHOLE_TURN = HeadAngles(1.0, 1.0, 1.0)

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """One source's part in a face."""

    name: str
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of each of REGIONS, 0..1; 1 where it is not given."""
    gains: Mapping[str, float] = field(default_factory=dict)
    """By ARKit's name, what its weight is multiplied with; 1 where it is not given."""

    def __post_init__(self) -> None:
        """Raises DriveError."""
        for what, values, names, largest in (
            ("shares", self.shares, REGIONS, 1.0),
            ("gains", self.gains, ARKIT_INDEX, MAX_GAIN),
        ):
            if unknown := values.keys() - {*names}:
                raise DriveError(f"source {self.name}: {what}: not known: {sorted(unknown)}")
            if bad := {name: v for name, v in values.items() if not 0 <= v <= largest}:
                raise DriveError(f"source {self.name}: {what}: expected 0..{largest:g}, got {bad}")


@dataclass(frozen=True)
class MixerConfig:
    """How sources become one face."""

    sources: tuple[Source, ...]
    """The first is on top."""
    head_gain: HeadAngles = WHOLE_TURN
    """How much of each of the head's angles is followed; below 0 turns the other way."""
    timeout_s: float = 0.25
    leave_s: float = 0.6
    join_s: float = 0.3
    weights: Smoothing = WEIGHT_SMOOTHING
    head: Smoothing = HEAD_SMOOTHING
    seed: int = 0
    """Of the idling."""


class _Layer:
    """One source: its smoothed signal, and when its last one came."""

    def __init__(self, source: Source, config: MixerConfig) -> None:
        self._config = config
        self._gains = np.array([source.gains.get(name, 1.0) for name in ARKIT_NAMES])
        region = [source.shares.get(EYES if e else MOUTH, 1.0) for e in IS_EYES]
        self._shares = np.array(region)
        self.head_share = source.shares.get(HEAD_TURN, 1.0)
        self._smoothing = config.weights if source.name != AUDIO else NO_SMOOTHING
        self.mouth = MouthTracker()
        self.fed_at_s = -np.inf
        self.pts_ns = 0
        self._reset()

    def _reset(self) -> None:
        self._raw, self._sent = np.zeros(52), np.zeros(52, bool)
        self._sent_at_s, self._turned_at_s = np.full(52, -np.inf), -np.inf
        self._pts_ns = NO_PTS
        self._smooth = WeightFilter(self._smoothing)
        self._turns = RotationFilter(self._config.head)
        self.weights, self.turn = self._raw, None
        self.mouth.reset()

    def feed(self, signal: Signal, now_s: float) -> bool:
        """Take a signal; whether something has joined that was not there before."""
        joined = now_s - self.fed_at_s > self._config.timeout_s
        if joined:
            self._reset()
        step_s = self._step_s(signal.pts_ns, now_s)
        joined = self._note_sent(signal, now_s) or joined
        raw = np.where(signal.sent, np.clip(self._gains * signal.weights, 0, 1), self._raw)
        self._raw = raw
        self.weights = self._smooth.step(raw, step_s)
        self.mouth.add(raw, signal.mouth_hidden, now_s)
        if signal.head is not None:
            joined = joined or self.turn is None
            (yaw, pitch, roll), (x, y, z) = self._config.head_gain, signal.head.neck_pose
            turn = AxisAngle(pitch * x, yaw * y, roll * z)
            self.turn = self._turns.step(turn.quaternion(), step_s)
        self.fed_at_s, self._pts_ns = now_s, signal.pts_ns
        self.pts_ns = round(now_s * NS_PER_S) if signal.pts_ns == NO_PTS else signal.pts_ns
        return joined

    def _note_sent(self, signal: Signal, now_s: float) -> bool:
        """Which shapes it sends, and whether it turns the head; true if that has changed.

        What it has not sent for a while shows what is below again.
        """
        self._sent_at_s[signal.sent] = now_s
        sent = self._sent_at_s >= now_s - FORGET_S
        changed = bool((sent != self._sent).any())
        self._sent = sent
        if signal.head is not None:
            self._turned_at_s = now_s
        elif self.turn is not None and self._turned_at_s < now_s - FORGET_S:
            self.turn, changed = None, True
        return changed

    def _step_s(self, pts_ns: int, now_s: float) -> float:
        """Since the signal before: by the sender's clock, unless that was set anew."""
        step_s = -1.0
        if NO_PTS not in (pts_ns, self._pts_ns):
            step_s = (pts_ns - self._pts_ns) / NS_PER_S
        if not 0 < step_s <= MAX_STEP_S:
            step_s = now_s - self.fed_at_s
        return float(np.clip(step_s, MIN_STEP_S, MAX_STEP_S))

    def presence(self, now_s: float) -> float:
        """1 while its signals come, and then ever less."""
        silent_s = now_s - self.fed_at_s - self._config.timeout_s
        return float(minimum_jerk(1 - silent_s / self._config.leave_s))

    def blend_over(self, below: Weights, presence: float) -> Weights:
        """Its weights over those of the layers below: [52], [52]."""
        kept = np.where(IS_EYES, 1.0, 1 - self.mouth.voice_share)
        return below + presence * kept * self._shares * self._sent * (self.weights - below)


class Mixer:
    """One face's sources, smoothed and laid over each other. For one thread."""

    def __init__(self, config: MixerConfig) -> None:
        """Raises DriveError if two sources have one name."""
        names = [source.name for source in config.sources]
        if len({*names}) != len(names):
            raise DriveError(f"sources: expected each once, got {names}")
        self._config = config
        self._idle = IdleAnimator(config.seed)
        self._layers = {source.name: _Layer(source, config) for source in config.sources}
        self._pending_join_s = 0.0  # of what has joined and is not shown yet
        self._joined_at_s, self._join_s = -np.inf, config.join_s
        self._shown: tuple[Weights, Quaternion] | None = None
        self._fading = np.zeros(52), FORWARD  # what is taken away bit by bit after a join

    def feed(self, signal: Signal, now_s: float) -> None:
        """Take its source's newest signal. The receiver's clock is in seconds, never runs back."""
        if self._layers[signal.source].feed(signal, now_s):
            join_s = AUDIO_JOIN_S if signal.source == AUDIO else self._config.join_s
            self._pending_join_s = max(self._pending_join_s, join_s)

    def face(self, now_s: float) -> Signal:
        """The face to show now: all weights, 0..1, how the head is held, a breath, and the time.

        The time is on the clock of the voice, else of the topmost source that is there; it runs on
        where there is none.
        """
        idle = self._idle.face_at(now_s)
        weights, turn = idle.weights, idle.neck_pose.quaternion()
        self._assign_mouth(now_s)
        for layer in reversed(self._layers.values()):
            presence = layer.presence(now_s)
            weights = layer.blend_over(weights, presence)
            if layer.turn is not None:
                turn = turn.slerp(layer.turn, presence * layer.head_share)
        weights, turn = self._crossfade(weights, turn, now_s)
        self._shown = weights, turn
        head = HeadPose(turn.axis_angle(), transl=(0.0, idle.rise_m, 0.0))
        return Signal(weights.astype(np.float32), ALL_SENT, head=head, pts_ns=self._pts_ns(now_s))

    def _assign_mouth(self, now_s: float) -> None:
        """Give it to the voice where the sources above that do not see one."""
        voice = self._layers.get(AUDIO)
        speaks = voice is not None and voice.presence(now_s) > 0
        for layer in self._layers.values():
            if layer is voice:
                break
            layer.mouth.yield_to(voice.mouth if voice and speaks else None, now_s)

    def _crossfade(
        self, weights: Weights, turn: Quaternion, now_s: float
    ) -> tuple[Weights, Quaternion]:
        """What was shown before a join fades away instead of vanishing."""
        if self._pending_join_s and self._shown is not None:
            before, turn_before = self._shown
            self._fading = before - weights, (turn_before @ turn.inverse()).axis_angle()
            self._joined_at_s, self._join_s = now_s, self._pending_join_s
        self._pending_join_s = 0.0
        left = 1 - float(minimum_jerk((now_s - self._joined_at_s) / self._join_s))
        if left == 0:
            return weights, turn
        more, way = self._fading
        return np.clip(weights + left * more, 0, 1), way.scale(left).quaternion() @ turn

    def _pts_ns(self, now_s: float) -> int:
        layers = sorted(self._layers.items(), key=lambda item: item[0] != AUDIO)
        there = (layer for _, layer in layers if layer.presence(now_s) > 0)
        fed = [layer for _, layer in layers if np.isfinite(layer.fed_at_s)]
        layer = next(there, max(fed, key=lambda one: one.fed_at_s, default=None))
        if layer is None:
            return round(now_s * NS_PER_S)
        silent_s = now_s - layer.fed_at_s
        return layer.pts_ns + round(silent_s * NS_PER_S if silent_s > self._config.timeout_s else 0)
