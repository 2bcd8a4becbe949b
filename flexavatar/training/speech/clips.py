"""Clips to learn from: features of a sound, and how a mouth moves with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from flexavatar.drive.voice.articulation import ARTICULATORS
from flexavatar.drive.voice.features import (
    FEATURES,
    MELS,
    RATE,
    STEP,
    STEP_REACH,
    LevelTracker,
    Sound,
    mel_frames,
)
from flexavatar.drive.voice.network import DELAY
from flexavatar.training.speech import augment
from flexavatar.training.speech.coarticulation import articulate, phone_kinds, scale_effort
from flexavatar.training.speech.phones import SILENCE, Phone
from flexavatar.training.speech.speakers import Utterance

CLIP_S = 5.0
STEPS = round(CLIP_S * RATE / STEP)
TUNES, CROWDS, BACKGROUND_S = 40, 10, 12
RECORDED_SHARE = 0.2
"""Share of recordings in clips in which somebody speaks."""
NO_SPEECH_SHARE = 0.1
"""Share of clips in which nobody speaks."""
THROAT_SPREAD = 0.06
"""Spread of the logarithm by which formants lie higher or lower, whatever the pitch."""
EFFORT_DB, EFFORT_S = 26.0, 0.12
"""Decibels over the utterance's loudness that a doubled movement has, and how slowly it follows."""
EFFORT_RANGE = (0.65, 1.35)


@dataclass(frozen=True)
class Clip:
    """One stretch of time, T steps; targets are DELAY steps late, as the network is."""

    features: NDArray[np.float32]  # [T, FEATURES]
    mouth: NDArray[np.float32]  # [T, 9] articulators
    kinds: NDArray[np.int64]  # [T] kinds of phones


class ClipSampler:
    """Draws clips by chance from voices, from each as often as it has utterances.

    Recordings have a share of their own, however few they are.
    """

    def __init__(
        self,
        voices: Sequence[Sequence[Utterance]],
        seed: int,
        recordings: Sequence[Utterance] = (),
    ) -> None:
        self._voices, self._seed = voices, seed
        shares = np.array([len(voice) for voice in voices])
        self._shares = shares / shares.sum()
        if recordings:
            self._voices = [*voices, recordings]
            self._shares = np.append((1 - RECORDED_SHARE) * self._shares, RECORDED_SHARE)
        self._backgrounds: dict[int, Sound] = {}

    def sample(self, rng: augment.Rng) -> Clip:
        """A clip of any kind."""
        if rng.random() < NO_SPEECH_SHARE:
            return self._sample_non_speech(rng)
        sound, phones = self._sample_speech(rng)
        strength = augment.slow_gain(len(sound), rng, 0.35) if rng.random() < 0.5 else 1.0
        sound = sound * np.float32(strength)
        effort = effort_curve(sound, STEPS)
        heard = augment.degrade_speech(sound, rng, self._sample_background)
        return make_clip(heard, phones, effort, float(np.exp(rng.normal(0, THROAT_SPREAD))))

    def _sample_speech(self, rng: augment.Rng) -> tuple[Sound, list[Phone]]:
        """Utterances of one voice with pauses between them, faster or slower, higher or lower."""
        voice = self._voices[int(rng.choice(len(self._voices), p=self._shares))]
        factor = float(np.exp(rng.normal(0, 0.12)))
        sounds: list[Sound] = []
        phones: list[Phone] = []
        at = rng.uniform(0, 0.4) if rng.random() < 0.5 else -rng.uniform(0, 1.5)
        sounds.append(np.zeros(max(round(at * RATE), 0), np.float32))
        while at < CLIP_S:
            utterance = voice[int(rng.integers(len(voice)))]
            spoken = augment.resample(utterance.sound, factor)
            skipped = round(max(-at, 0) * RATE)
            sounds.append(spoken[skipped:] * np.float32(rng.uniform(0.6, 1)))
            phones += [
                replace(p, start=at + p.start / factor, end=at + p.end / factor)
                for p in utterance.phones
            ]
            at = max(at, 0) + (len(spoken) - skipped) / RATE
            pause = rng.uniform(0, 0.5) if rng.random() < 0.7 else rng.uniform(0.5, 2)
            sounds.append(np.zeros(round(pause * RATE), np.float32))
            at = sum(len(s) for s in sounds) / RATE
        return np.concatenate(sounds)[: round(CLIP_S * RATE)], phones

    def _sample_non_speech(self, rng: augment.Rng) -> Clip:
        """Noise, knocks, music, or nothing at all."""
        length = round(CLIP_S * RATE)
        kind = rng.integers(4)
        if kind == 0:
            sound = augment.noise(length, rng)
        elif kind == 1:
            hiss = augment.noise(length, rng)
            sound = augment.mix(augment.knocks(length, rng), hiss, 0.1)
        elif kind == 2:
            sound = self._background(int(rng.integers(TUNES)), length, rng)
        else:
            faint = np.float32(1e-3 * (rng.random() < 0.7))
            return make_clip(faint * augment.noise(length, rng), (), np.ones(STEPS))
        loud = np.float32(10 ** (-rng.uniform(5, 60) / 20))
        return make_clip(augment.set_level(sound, rng) * loud, (), np.ones(STEPS))

    def _sample_background(self, length: int, rng: augment.Rng) -> Sound:
        """Music, or people who talk: [length]."""
        return self._background(int(rng.integers(TUNES + CROWDS)), length, rng)

    def _background(self, number: int, length: int, rng: augment.Rng) -> Sound:
        """A piece of background `number`, which is made on first use."""
        if number not in self._backgrounds:
            own = np.random.default_rng((self._seed, number))
            make = augment.music if number < TUNES else self._babble
            self._backgrounds[number] = make(BACKGROUND_S * RATE, own)
        return augment.crop(self._backgrounds[number], length, rng)

    def _babble(self, length: int, rng: augment.Rng) -> Sound:
        """Many people who talk at once."""
        made = np.zeros(length, np.float32)
        for _ in range(6):
            voice = self._voices[int(rng.integers(len(self._voices)))]
            said = np.concatenate([voice[int(rng.integers(len(voice)))].sound for _ in range(4)])
            made += np.resize(said / np.sqrt(augment.mean_square(said)), length)
        return made / np.float32(np.sqrt(augment.mean_square(made)))


def make_clip(
    sound: Sound, phones: Sequence[Phone], effort: NDArray[np.float64], throat: float = 1.0
) -> Clip:
    """Sound, its phones, and how loud a voice is at each step [T] -> a clip of T steps."""
    times = np.arange(len(effort)) * STEP / RATE
    features = features_of(sound, len(effort), throat)
    mouth = np.zeros((len(effort), len(ARTICULATORS)))
    kinds = np.zeros(len(effort), np.int64)
    if phones:
        quiet = (Phone(SILENCE, -9.0, phones[0].start), Phone(SILENCE, phones[-1].end, 99.0))
        mouth = scale_effort(articulate((quiet[0], *phones, quiet[1]), times), effort)
        kinds = phone_kinds(phones, times)
    late = np.maximum(np.arange(len(effort)) - DELAY, 0)
    return Clip(features, mouth[late].astype(np.float32), kinds[late])


def features_of(sound: Sound, steps: int, throat: float = 1.0) -> NDArray[np.float32]:
    """The network's input at each step: [steps, FEATURES]; of a shorter throat over 1."""
    frames = _frames(sound, steps)
    if throat != 1.0:
        at = np.clip(np.arange(MELS) / throat, 0, MELS - 1)
        low = np.minimum(at.astype(np.int64), MELS - 2)
        share = (at - low).astype(np.float32)
        frames[:, :MELS] = (1 - share) * frames[:, low] + share * frames[:, low + 1]
    return LevelTracker().normalize(frames).reshape(steps, FEATURES)


def _frames(sound: Sound, steps: int) -> Sound:
    """Two a step, as a FeatureExtractor gives them: [2 * steps, MELS + 1]."""
    silence = np.zeros(STEP_REACH, np.float32), np.zeros(steps * STEP + STEP_REACH, np.float32)
    return mel_frames(np.concatenate((silence[0], sound, silence[1])))[: 2 * steps]


def effort_curve(sound: Sound, steps: int) -> NDArray[np.float64]:
    """Loudness about the voice's own as a factor of movement: [steps], about 1."""
    loud = _frames(sound, steps)[::2, -1].astype(np.float64)
    spoken = loud > loud.max() - 30
    usual = float(np.mean(loud[spoken]))
    held = np.maximum(loud, usual - 12)  # a closure is not said softly
    smooth = gaussian_filter1d(held, EFFORT_S * RATE / STEP)
    return np.clip(1 + (smooth - usual + 2) / EFFORT_DB, *EFFORT_RANGE)
