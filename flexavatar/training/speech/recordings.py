"""Recordings of one's own to learn from; pocketsphinx's forced alignment finds their phones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flexavatar.drive.voice.features import RATE, Sound, read_sound
from flexavatar.errors import AssetError, InputError
from flexavatar.training.speech.phones import SILENCE, Phone, kinds_of_arpabet, phones_of
from flexavatar.training.speech.pool import read_utterances, write_utterances
from flexavatar.training.speech.speakers import Utterance

if TYPE_CHECKING:
    from pocketsphinx import Decoder

PAUSE_S = 0.12
"""Recordings are cut in the middle of pauses so long."""
SHORTEST_S = 1.5
ALIGNED_S = 0.01
"""The recogniser's step."""


def fill_recordings(folder: Path, path: Path) -> list[Utterance]:
    """Sound files, each with what is said in it as .txt beside it -> utterances, kept at `path`.

    Raises InputError if there are none, or text and sound do not fit; AssetError without the
    package pocketsphinx.
    """
    if not path.exists():
        said = [piece for whole in read_recordings(folder) for piece in cut_at_pauses(whole)]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_utterances(path, said)
    return read_utterances(path)


def read_recordings(folder: Path) -> list[Utterance]:
    """Sound files, each with what is said in it as .txt beside it. Raises as `fill_recordings`."""
    texts = sorted(folder.glob("*.txt"))
    if not texts:
        raise InputError(f"recordings: expected sound files, each with a .txt, in {folder}")
    sounds = [_sound_beside(text) for text in texts]
    return [
        align_phones(read_sound(sound), text.read_text(encoding="utf-8"))
        for text, sound in zip(texts, sounds, strict=True)
    ]


def _sound_beside(text: Path) -> Path:
    beside = sorted(p for p in text.parent.glob(f"{text.stem}.*") if p != text)
    if len(beside) != 1:
        raise InputError(f"recordings: expected one sound file beside {text}, got {len(beside)}")
    return beside[0]


def cut_at_pauses(whole: Utterance) -> Iterator[Utterance]:
    """Pieces of an utterance, cut in the middle of its pauses."""
    start = 0.0
    kept: list[Phone] = []
    for phone in whole.phones:
        if phone.kind != SILENCE or phone.end - phone.start < PAUSE_S:
            kept.append(phone)
            continue
        middle = (phone.start + phone.end) / 2
        if kept and middle - start >= SHORTEST_S:
            yield _cut(whole, kept, start, middle)
            kept, start = [], middle
        else:
            kept.append(phone)
    if kept:
        yield _cut(whole, kept, start, len(whole.sound) / RATE)


def _cut(whole: Utterance, phones: list[Phone], start: float, end: float) -> Utterance:
    moved = (replace(p, start=p.start - start, end=p.end - start) for p in phones)
    return Utterance(whole.sound[round(start * RATE) : round(end * RATE)], tuple(moved))


def align_phones(sound: Sound, text: str = "") -> Utterance:
    """Phones of sound [S] at RATE by what is said in it; if not given, what the recogniser hears.

    Raises AssetError without the package pocketsphinx, InputError where text and sound do not fit.
    """
    if find_spec("pocketsphinx") is None:
        raise AssetError('voice: expected pocketsphinx: pip install "flexavatar[voice]"')
    from pocketsphinx import Decoder

    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    heard = text or _hypothesis(Decoder(samprate=RATE, loglevel="FATAL"), pcm)
    words = re.sub(r"[^a-z' ]+", " ", heard.lower()).split()
    decoder = Decoder(samprate=RATE, loglevel="FATAL", bestpath=False)
    if unknown := [word for word in words if decoder.lookup_word(word) is None]:
        raise InputError(f"text: words that the recogniser does not know: {', '.join(unknown)}")
    decoder.set_align_text(" ".join(words))
    _hypothesis(decoder, pcm)
    decoder.set_alignment()  # of the words' phones, in a second pass
    _decode(decoder, pcm)  # which has no hypothesis: to ask for it crashes
    alignment = decoder.get_alignment()  # its words live no longer than it does
    rows = [(p.name.lower(), p.start, p.start + p.duration) for word in alignment for p in word]
    symbols = [(n, kinds_of_arpabet(n), a * ALIGNED_S, b * ALIGNED_S) for n, a, b in rows]
    return Utterance(sound, tuple(phones_of(symbols)))


def _hypothesis(decoder: Decoder, pcm: bytes) -> str:
    """The words that it hears. Raises InputError if there are none."""
    _decode(decoder, pcm)
    if (found := decoder.hyp()) is None:
        raise InputError("text: the recogniser does not find it in the sound")
    return re.sub(r"[(]\d[)]|<[^>]*>", "", found.hypstr)


def _decode(decoder: Decoder, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
