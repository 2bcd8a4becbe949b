"""Recordings of one's own to learn from, beside what synthesisers say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from flexavatar.drive.voice.features import RATE, read_sound
from flexavatar.errors import InputError
from flexavatar.training.speech.align import aligned
from flexavatar.training.speech.phones import SILENCE, Phone
from flexavatar.training.speech.pool import read_utterances, write_utterances
from flexavatar.training.speech.speakers import Utterance

PAUSE_S = 0.12
"""Recordings are cut in the middle of pauses so long."""
SHORTEST_S = 1.5


def fill_recordings(folder: Path, path: Path) -> list[Utterance]:
    """Sound files, each with what is said in it as .txt beside it -> utterances, kept at `path`.

    Raises InputError if there are none, or text and sound do not fit; AssetError without the
    package pocketsphinx.
    """
    if not path.exists():
        said = [piece for whole in read_recordings(folder) for piece in pieces(whole)]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_utterances(path, said)
    return read_utterances(path)


def read_recordings(folder: Path) -> list[Utterance]:
    """Sound files, each with what is said in it as .txt beside it. Raises as `fill_recordings`."""
    texts = sorted(folder.glob("*.txt"))
    if not texts:
        raise InputError(f"recordings: expected sound files, each with a .txt, in {folder}")
    sounds = [_sound_of(text) for text in texts]
    return [
        aligned(read_sound(sound), text.read_text(encoding="utf-8"))
        for text, sound in zip(texts, sounds, strict=True)
    ]


def _sound_of(text: Path) -> Path:
    beside = sorted(p for p in text.parent.glob(f"{text.stem}.*") if p != text)
    if len(beside) != 1:
        raise InputError(f"recordings: expected one sound file beside {text}, got {len(beside)}")
    return beside[0]


def pieces(whole: Utterance) -> Iterator[Utterance]:
    """Cut at pauses."""
    start = 0.0
    kept: list[Phone] = []
    for phone in whole.phones:
        if phone.kind != SILENCE or phone.end - phone.start < PAUSE_S:
            kept.append(phone)
            continue
        middle = (phone.start + phone.end) / 2
        if kept and middle - start >= SHORTEST_S:
            yield _piece(whole, kept, start, middle)
            kept, start = [], middle
        else:
            kept.append(phone)
    if kept:
        yield _piece(whole, kept, start, len(whole.sound) / RATE)


def _piece(whole: Utterance, phones: list[Phone], start: float, end: float) -> Utterance:
    moved = (replace(p, start=p.start - start, end=p.end - start) for p in phones)
    return Utterance(whole.sound[round(start * RATE) : round(end * RATE)], tuple(moved))
