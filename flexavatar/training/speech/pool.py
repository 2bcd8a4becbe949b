"""Utterances on disk: one file a voice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from flexavatar.errors import AssetError
from flexavatar.progress import Progress, no_progress
from flexavatar.training.speech.espeak import espeak
from flexavatar.training.speech.hibari_voice import hibari
from flexavatar.training.speech.phones import KIND_INDEX, KINDS, Phone
from flexavatar.training.speech.speakers import Speaker, Utterance, festival, flite
from flexavatar.training.speech.texts import (
    ENGLISH,
    HELD_OUT,
    OTHERS,
    nonsense_sentence,
    word_salad,
)

LARGEST = 32767
TOO_QUIET = 1e-3

VARIANTS = ("", "+m2", "+m5", "+f1", "+f3", "+f5", "+klatt2", "+Annie", "+Michael")
OTHER_EACH = 30
"""Utterances in each language but English."""


@dataclass(frozen=True)
class VoiceQuota:
    """A voice, and how many utterances it contributes."""

    speaker: Speaker
    utterances: int

    @property
    def path(self) -> str:
        """Its file's name."""
        return self.speaker.name.replace(" ", "_").replace("+", "-") + ".npz"


def training_voices() -> list[VoiceQuota]:
    """The voices that are trained from."""
    english = [
        VoiceQuota(flite("slt"), 380),
        VoiceQuota(flite("rms"), 380),
        VoiceQuota(flite("kal16"), 220),
        VoiceQuota(festival("ked_diphone", "en"), 180),
        VoiceQuota(hibari(), 320),
        *(VoiceQuota(espeak("en-us", variant), 30) for variant in VARIANTS),
    ]
    others = [
        VoiceQuota(espeak(language, VARIANTS[i % len(VARIANTS)]), OTHER_EACH)
        for i, language in enumerate(OTHERS)
    ]
    return english + others


HELD_OUT_SPEAKERS = (
    flite("awb"),
    espeak("en-us", "+Andrea"),
    espeak("fr", "+klatt4"),
    espeak("hu", "+f4"),
    festival("lp_diphone", "it"),
    festival("czech_ph", "cs"),
    festival("upc_ca_ona_hts", "ca"),
)
"""Voices, and languages but for the first two, that training never hears."""


def held_out_utterances(speaker: Speaker, seed: int = 0) -> Iterator[Utterance]:
    """The utterances with which a held-out voice is tested."""
    rng = random.Random(seed)
    for text in HELD_OUT[speaker.language]:
        yield speaker.say(text, rng)


def english_words() -> list[str]:
    """English words of several sounds, from the dictionary that pocketsphinx brings.

    Raises AssetError if the package is not installed.
    """
    try:
        from pocketsphinx import get_model_path
    except ModuleNotFoundError:
        raise AssetError(
            'voice: expected the package pocketsphinx: pip install "flexavatar[voice]"'
        ) from None
    lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text().splitlines()
    words = [line.split() for line in lines]
    return [word for word, *phones in words if word.isalpha() and len(phones) > 2]


def fill_pool(folder: Path, progress: Progress = no_progress) -> None:
    """Let every voice speak that has not yet. Raises AssetError if a synthesiser is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    words, wanted = english_words(), training_voices()
    for i, part in enumerate(wanted):
        progress(part.speaker.name, i / len(wanted))
        path = folder / part.path
        if not path.exists():
            rng = random.Random(crc32(part.speaker.name.encode()))
            texts = _choose_texts(part, words, rng)
            write_utterances(path, [part.speaker.say(text, rng) for text in texts])
    progress("all voices", 1.0)


def _choose_texts(part: VoiceQuota, words: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Sentences first, then words without sense."""
    sentences = ENGLISH if part.speaker.language == "en" else OTHERS[part.speaker.language]
    own = list(sentences)
    rng.shuffle(own)
    for i in range(part.utterances):
        if i < len(own):
            yield own[i]
        elif part.speaker.language == "en" and rng.random() < 0.8:
            yield word_salad(words, rng)
        else:
            yield nonsense_sentence(rng)


def write_utterances(path: Path, utterances: Sequence[Utterance]) -> None:
    """Whole or not at all. What is silent throughout is left out."""
    kept = [u for u in utterances if len(u.sound) and np.abs(u.sound).max() > TOO_QUIET]
    rows = [
        (i, KIND_INDEX[p.kind], p.start, p.end, p.stop)
        for i, u in enumerate(kept)
        for p in u.phones
    ]
    scaled = [u.sound / max(float(np.abs(u.sound).max()), 1.0) * LARGEST for u in kept]
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        sound=np.concatenate(scaled).astype("<i2"),
        ends=np.cumsum([len(sound) for sound in scaled]),
        phones=np.array(rows),
    )
    part.rename(path)


def read_utterances(path: Path) -> list[Utterance]:
    """What `write_utterances` wrote."""
    with np.load(path) as file:
        sound, ends, table = file["sound"], file["ends"], file["phones"]
    starts = np.concatenate(([0], ends[:-1]))
    return [
        Utterance(sound[a:b].astype(np.float32) / LARGEST, _phones(table[table[:, 0] == i]))
        for i, (a, b) in enumerate(zip(starts, ends, strict=True))
    ]


def _phones(table: NDArray[np.float64]) -> tuple[Phone, ...]:
    return tuple(
        Phone(KINDS[int(kind)], float(start), float(end), bool(stop))
        for _, kind, start, end, stop in table
    )
