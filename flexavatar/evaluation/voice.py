"""Does a voice move the mouth as its speaker's mouth moved? Measured on the rig's lips.

What is true is derived from phones whose times are known: synthesisers that training never heard
say them, and for recordings an aligner finds them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.drive.voice.articulation import arkit_weights
from flexavatar.drive.voice.driver import VoiceDriver
from flexavatar.drive.voice.features import RATE, STEP, Sound
from flexavatar.drive.voice.network import LoudnessBaseline, StreamingVoiceNet
from flexavatar.evaluation.charts import blank_chart, draw_lines
from flexavatar.evaluation.report import Item, Picture
from flexavatar.head.arkit import JAW_OPEN, ArkitBasis, arkit_vector_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.arkit_report import aperture_report
from flexavatar.head.flame import FlameHead, joint_transforms, skin
from flexavatar.head.open_head import load_open_head
from flexavatar.training.speech.augment import knocks, music, noise
from flexavatar.training.speech.coarticulation import articulate
from flexavatar.training.speech.phones import BILABIAL, SILENCE, VOWELS, Phone
from flexavatar.training.speech.speakers import Utterance

SHUT_MM = 0.5
"""Lips that are no further apart touch for who looks: the open head at rest has -0.1."""
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
TOLERANCE_S = 0.04
CHART_S, CHART = 6.0, (900, 200)
"""Seconds that are drawn, and pixels."""
NON_SPEECH_S = 8.0

Array = NDArray[np.float64]
VoiceNetFactory = Callable[[], StreamingVoiceNet | LoudnessBaseline]


@dataclass(frozen=True)
class MouthMotion:
    """Lip gap and jaw over time."""

    times: Array  # [T] seconds
    gaps: Array  # [T] mm
    jaws: Array  # [T] jawOpen
    seconds: float
    """Of one core that computing it took."""


def drive_mouth(sound: Sound, network: VoiceNetFactory = StreamingVoiceNet) -> MouthMotion:
    """The mouth that sound [S] at RATE drives, sent in pieces of 20 ms as to a server."""
    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    driver = VoiceDriver(RATE, 1, network=network)
    began = time.process_time()
    frames = [
        f for at in range(0, len(pcm), 2 * STEP) for f in driver.push(pcm[at : at + 2 * STEP])
    ]
    frames += driver.finish()
    spent = time.process_time() - began
    times = np.array([frame.sample / RATE for frame in frames])
    weights = np.array([frame.weights for frame in frames])
    return MouthMotion(times, lip_gaps(weights), weights[:, JAW_OPEN].astype(np.float64), spent)


def evaluate_voice(name: str, utterances: Sequence[Utterance]) -> Item:
    """Figures of one voice."""
    heard = [_score_utterance(u, drive_mouth(u.sound)) for u in utterances]
    loud = [_score_utterance(u, drive_mouth(u.sound, LoudnessBaseline)) for u in utterances]
    figures = _voice_figures(heard) | {
        f"loud_{name}": v for name, v in _voice_figures(loud).items()
    }
    first = drive_mouth(utterances[0].sound)
    seconds = sum(len(u.sound) for u in utterances) / RATE
    figures["cpu"] = sum(row.seconds for row in heard) / seconds
    chart = Picture("gap asked (grey), shown (blue); p, b, m marked", _chart(utterances[0], first))
    return Item(name, figures, [chart])


def evaluate_non_speech(seed: int = 0) -> list[Item]:
    """Figures of silence, noise, knocks and music, in which nobody speaks."""
    rng, length = np.random.default_rng(seed), round(NON_SPEECH_S * RATE)
    sounds = {"silence": np.zeros(length, np.float32)}
    for loud_db in (-50, -30, -15):
        share = np.float32(10 ** (loud_db / 20))
        sounds |= {
            f"noise at {loud_db} dB": share * noise(length, rng),
            f"knocks at {loud_db} dB": share * knocks(length, rng),
            f"music at {loud_db} dB": share * music(length, rng),
        }
    items = []
    for name, sound in sounds.items():
        still = {
            key: float(np.mean(drive_mouth(sound, network).gaps <= SHUT_MM))
            for key, network in (("still", StreamingVoiceNet), ("loud_still", LoudnessBaseline))
        }
        items.append(Item(name, still))
    return items


@dataclass(frozen=True)
class _UtteranceScores:
    """Scores of one utterance, before those of a voice are summed up."""

    closures: list[bool]
    open_vowels: list[bool]
    asked: Array  # [T, 2] mm and jawOpen while somebody speaks
    shown: Array  # [T, 2]
    vowels_asked: list[float]
    vowels_shown: list[float]
    seconds: float


def _score_utterance(utterance: Utterance, shown: MouthMotion) -> _UtteranceScores:
    times, gaps = shown.times, shown.gaps
    asked = _target_motion(utterance.phones, times)
    spoken = [p for p in utterance.phones if p.kind != SILENCE]
    during = (times >= spoken[0].start) & (times <= spoken[-1].end)
    closures = [
        bool(
            (
                gaps[(times >= p.start - TOLERANCE_S) & (times <= p.end + TOLERANCE_S)] <= SHUT_MM
            ).any()
        )
        for p in spoken
        if p.kind == BILABIAL
    ]
    vowels = [p for p in spoken if p.kind in VOWELS]
    middles = np.interp([(p.start + p.end) / 2 for p in vowels], times, gaps)
    wanted = _vowel_gaps([p.kind for p in vowels])
    return _UtteranceScores(
        closures,
        [bool(gap > SHUT_MM) for gap in middles],
        asked[during],
        np.stack((gaps, shown.jaws), 1)[during],
        wanted,
        middles.tolist(),
        shown.seconds,
    )


def _target_motion(phones: Sequence[Phone], times: Array) -> Array:
    """The gap in mm and jawOpen that the phones ask for: [T, 2]."""
    weights = np.array([arkit_weights(row) for row in articulate(phones, times)])
    return np.stack((lip_gaps(weights), weights[:, JAW_OPEN].astype(np.float64)), 1)


def _vowel_gaps(kinds: Sequence[str]) -> list[float]:
    """Lip gap of each kind of vowel held for long, mm."""
    named = sorted({*kinds})
    rows = [articulate([Phone(kind, 0.0, 1.0)], np.array([0.5]))[0] for kind in named]
    gaps = lip_gaps(np.array([arkit_weights(row) for row in rows])).tolist()
    return [gaps[named.index(kind)] for kind in kinds]


def _voice_figures(found: Sequence[_UtteranceScores]) -> dict[str, float]:
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


def _chart(utterance: Utterance, shown: MouthMotion) -> NDArray[np.uint8]:
    """The lip gap over time, asked and shown, with p, b and m marked."""
    width, height = CHART
    picture = blank_chart(width, height)
    across = width / CHART_S
    for phone in utterance.phones:
        if phone.kind == BILABIAL:
            ends = (round(phone.start * across), 0), (round(phone.end * across), height)
            cv2.rectangle(picture, *ends, (255, 225, 200), -1)
    asked = _target_motion(utterance.phones, shown.times)[:, 0]
    heights = (height - 4 - gaps / 20 * (height - 8) for gaps in (asked, shown.gaps))
    draw_lines(picture, shown.times * across, *heights)
    return picture


@torch.no_grad()
def lip_gaps(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """ARKit weights [T, 52] -> the widest opening between the lips in mm, 0 at least: [T]."""
    lips, joints, basis = _lips_of_open_head()
    codes = arkit_vector_to_flame(torch.from_numpy(weights), basis)
    turned = joint_transforms(joints.expand(len(weights), -1, -1), codes)
    posed = skin(lips.template + lips.offsets(codes), lips.lbs_weights, turned).double().numpy()
    return np.array([max(aperture_report(lips, one, "", "{}_lip").gap_mm, 0.0) for one in posed])


@lru_cache(1)
def _lips_of_open_head() -> tuple[FlameHead, Tensor, ArkitBasis]:
    """The open head's lips alone, the joints of the whole of it, and its basis."""
    head = load_open_head()
    edges = {name: ring for name, ring in head.rings.items() if "_lip_" in name}
    ids, places = torch.cat([*edges.values()]).unique(return_inverse=True)
    rings = dict(zip(edges, places.split([len(ring) for ring in edges.values()]), strict=True))
    shapes = "template identity expression eyelids lid_arcs correctives pose_correctives".split()
    lips = replace(
        head,
        **{name: getattr(head, name)[ids] for name in (*shapes, "lbs_weights")},
        joint_regressor=head.joint_regressor[:, ids],
        arkit_offsets=head.arkit_offsets[:, ids],
        faces=head.faces[:0],
        uv_faces=head.uv_faces[:0],
        masks={},
        rings=rings,
        mirror=head.mirror[:0],
    )
    return lips, head.joints(head.template), load_arkit_basis(head)
