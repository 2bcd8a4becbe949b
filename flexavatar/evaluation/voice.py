"""Does a voice move the mouth as its speaker's mouth moved? Measured on the rig's lips.

What is true is derived from phones whose times are known: synthesisers that training never heard
say them, and for recordings an aligner finds them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.voice.articulation import arkit_of
from flexavatar.drive.voice.driver import VoiceDriver
from flexavatar.drive.voice.features import RATE, STEP, Sound
from flexavatar.drive.voice.network import Listener, LoudListener
from flexavatar.evaluation.lips import SHUT_MM, lip_gaps
from flexavatar.evaluation.report import Item, Picture
from flexavatar.training.speech.augment import knocks, music, noise
from flexavatar.training.speech.coarticulate import mouth_of
from flexavatar.training.speech.phones import BILABIAL, SILENCE, VOWELS, Phone
from flexavatar.training.speech.speakers import Utterance

ABOUT = f"""Voices drive the mouth of the open head, and the gap between its lips is measured in
millimetres; lips are shut at {SHUT_MM} mm. `closures` is the share of p, b and m at which they
shut within 40 ms of the phone, `open_vowels` the share of vowels in whose middle they are apart: a
mouth that never opens has all closures and no vowels. `openness` and `jaw` correlate the gap and
jawOpen over time with those that the phones ask for through the dominance functions that training
uses, `vowel_height` the gap in the middle of vowels with the one that the vowel's kind asks for.
The same with `loud_` is a jaw that opens with loudness alone.

Synthesised voices are ones that training never heard, and all but two speak languages that it never
heard. In recordings a recogniser has found the phones, and its errors count as ours. `still` is the
share of frames with the lips shut where nobody speaks. `cpu` is the share of one core."""
NEAR_S = 0.04
CHART_S, CHART = 6.0, (900, 200)
"""Seconds that are drawn, and pixels."""
NOBODY_S = 8.0
PIECE = 2 * STEP
"""Bytes."""

Array = NDArray[np.float64]
Maker = Callable[[], Listener | LoudListener]


@dataclass(frozen=True)
class Shown:
    """What a mouth did."""

    times: Array  # [T] seconds
    gaps: Array  # [T] mm
    jaws: Array  # [T] jawOpen
    seconds: float
    """Of one core that it took."""


def show(sound: Sound, listener: Maker = Listener) -> Shown:
    """Sound [S] at RATE, as a server would be sent it, in pieces of 20 ms."""
    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    driver = VoiceDriver(RATE, 1, listener=listener)
    began = time.process_time()
    frames = [
        f for at in range(0, len(pcm), 2 * STEP) for f in driver.push(pcm[at : at + 2 * STEP])
    ]
    frames += driver.finish()
    spent = time.process_time() - began
    times = np.array([frame.sample / RATE for frame in frames])
    jaws = np.array([frame.weights["jawOpen"] for frame in frames])
    return Shown(times, lip_gaps([frame.weights for frame in frames]), jaws, spent)


def spoken_item(name: str, utterances: Sequence[Utterance]) -> Item:
    """Figures of one voice."""
    heard = [_figures(u, show(u.sound)) for u in utterances]
    loud = [_figures(u, show(u.sound, LoudListener)) for u in utterances]
    figures = _joined(heard) | {f"loud_{name}": v for name, v in _joined(loud).items()}
    first = show(utterances[0].sound)
    seconds = sum(len(u.sound) for u in utterances) / RATE
    figures["cpu"] = sum(row.seconds for row in heard) / seconds
    chart = Picture("gap asked (grey), shown (blue); p, b, m marked", _chart(utterances[0], first))
    return Item(name, figures, [chart])


def nobody_items(seed: int = 0) -> list[Item]:
    """Silence, noise, knocks and music: nobody speaks."""
    chance, length = np.random.default_rng(seed), round(NOBODY_S * RATE)
    sounds = {"silence": np.zeros(length, np.float32)}
    for loud_db in (-50, -30, -15):
        share = np.float32(10 ** (loud_db / 20))
        sounds |= {
            f"noise at {loud_db} dB": share * noise(length, chance),
            f"knocks at {loud_db} dB": share * knocks(length, chance),
            f"music at {loud_db} dB": share * music(length, chance),
        }
    items = []
    for name, sound in sounds.items():
        still = {
            key: float(np.mean(show(sound, listener).gaps <= SHUT_MM))
            for key, listener in (("still", Listener), ("loud_still", LoudListener))
        }
        items.append(Item(name, still))
    return items


@dataclass(frozen=True)
class _Found:
    """Of one utterance, before voices are summed up."""

    closures: list[bool]
    open_vowels: list[bool]
    asked: Array  # [T, 2] mm and jawOpen while somebody speaks
    shown: Array  # [T, 2]
    vowels_asked: list[float]
    vowels_shown: list[float]
    seconds: float


def _figures(utterance: Utterance, shown: Shown) -> _Found:
    times, gaps = shown.times, shown.gaps
    asked = _asked(utterance.phones, times)
    spoken = [p for p in utterance.phones if p.kind != SILENCE]
    during = (times >= spoken[0].start) & (times <= spoken[-1].end)
    closures = [
        bool((gaps[(times >= p.start - NEAR_S) & (times <= p.end + NEAR_S)] <= SHUT_MM).any())
        for p in spoken
        if p.kind == BILABIAL
    ]
    vowels = [p for p in spoken if p.kind in VOWELS]
    middles = np.interp([(p.start + p.end) / 2 for p in vowels], times, gaps)
    wanted = _kind_gaps([p.kind for p in vowels])
    return _Found(
        closures,
        [bool(gap > SHUT_MM) for gap in middles],
        asked[during],
        np.stack((gaps, shown.jaws), 1)[during],
        wanted,
        middles.tolist(),
        shown.seconds,
    )


def _asked(phones: Sequence[Phone], times: Array) -> Array:
    """The gap in mm and jawOpen that the phones ask for: [T, 2]."""
    faces = [arkit_of(row) for row in mouth_of(phones, times)]
    return np.stack((lip_gaps(faces), [face["jawOpen"] for face in faces]), 1)


def _kind_gaps(kinds: Sequence[str]) -> list[float]:
    """Gap of each kind of vowel, held for long."""
    named = sorted({*kinds})
    rows = [mouth_of([Phone(kind, 0.0, 1.0)], np.array([0.5]))[0] for kind in named]
    gaps = dict(zip(named, lip_gaps([arkit_of(row) for row in rows]).tolist(), strict=True))
    return [gaps[kind] for kind in kinds]


def _joined(found: Sequence[_Found]) -> dict[str, float]:
    closures = [c for one in found for c in one.closures]
    vowels = [v for one in found for v in one.open_vowels]
    asked, shown = (np.concatenate([getattr(one, n) for one in found]) for n in ("asked", "shown"))
    heights = [v for one in found for v in one.vowels_asked]
    middles = [v for one in found for v in one.vowels_shown]
    return {
        "closures": float(np.mean(closures)),
        "closures_asked": float(len(closures)),
        "open_vowels": float(np.mean(vowels)),
        "openness": float(np.corrcoef(asked[:, 0], shown[:, 0])[0, 1]),
        "jaw": float(np.corrcoef(asked[:, 1], shown[:, 1])[0, 1]),
        "vowel_height": float(np.corrcoef(heights, middles)[0, 1]),
    }


def _chart(utterance: Utterance, shown: Shown) -> NDArray[np.uint8]:
    """The gap over time."""
    width, height = CHART
    picture = np.full((height, width, 3), 255, np.uint8)
    across = width / CHART_S
    for phone in utterance.phones:
        if phone.kind == BILABIAL:
            ends = (round(phone.start * across), 0), (round(phone.end * across), height)
            cv2.rectangle(picture, *ends, (255, 225, 200), -1)
    asked = _asked(utterance.phones, shown.times)[:, 0]
    for line, color in ((asked, (150, 150, 150)), (shown.gaps, (30, 90, 220))):
        points = np.stack((shown.times * across, height - 4 - line / 20 * (height - 8)), 1)
        cv2.polylines(picture, [points.round().astype(np.int32)], False, color, 1, cv2.LINE_AA)
    return picture
