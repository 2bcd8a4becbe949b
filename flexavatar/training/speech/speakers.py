"""Synthesisers that say when each phone begins and ends: Flite and Festival."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flexavatar.drive.voice.features import RATE, Sound, read_sound
from flexavatar.errors import AssetError
from flexavatar.training.speech.phones import (
    SILENCE,
    Phone,
    kinds_of_arpabet,
    kinds_of_ipa,
    phones_of,
)

QUIET_RMS = 0.004
"""Amplitude under which a synthesiser is silent: about -48 dB."""
RMS_FRAME_S = 0.005


@dataclass(frozen=True)
class Utterance:
    """Speech and its phones."""

    sound: Sound  # [S] at RATE, -1..1
    phones: tuple[Phone, ...]


@dataclass(frozen=True)
class Speaker:
    """One voice."""

    name: str
    language: str
    """As texts.py names it."""
    say: Callable[[str, random.Random], Utterance]
    """Speed and pitch by chance."""


def flite(voice: str) -> Speaker:
    """A voice of CMU Flite. Raises AssetError, when it speaks, if flite is not installed."""

    def say(text: str, rng: random.Random) -> Utterance:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            stretch = f"duration_stretch={rng.uniform(0.8, 1.3):.2f}"
            options = ("-voice", voice, "--setf", stretch, "-psdur", "-t", text, "-o", str(path))
            printed = _run_program("flite", *options).split()
            sound = read_sound(path)
        names, ends = zip(*(item.rsplit(":", 1) for item in printed), strict=True)
        return Utterance(sound, _arpabet_phones(names, [float(end) for end in ends]))

    return Speaker(f"flite {voice}", "en", say)


def festival(voice: str, language: str) -> Speaker:
    """A voice of the Festival system. Raises AssetError, when it speaks, if it is not installed."""

    def say(text: str, rng: random.Random) -> Utterance:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            plain = text.replace('"', " ").replace("\\", " ")
            scheme = (
                f"(voice_{voice}) (Parameter.set 'Duration_Stretch {rng.uniform(0.85, 1.3):.2f})"
                f'(set! u (SynthText "{plain}")) (utt.save.wave u "{path}")'
                f'(utt.save.segs u "{path}.lab")'
            )
            (path.with_suffix(".scm")).write_text(scheme, encoding="latin-1", errors="replace")
            _run_program("festival", "-b", str(path.with_suffix(".scm")))
            sound = read_sound(path)
            lines = Path(f"{path}.lab").read_text().split("#\n", 1)[1].splitlines()
        rows = [line.split() for line in lines]
        names, ends = [row[2] for row in rows], [float(row[0]) for row in rows]
        if language == "en":
            return Utterance(sound, _arpabet_phones(names, ends))
        return Utterance(sound, _sampa_phones(names, ends))

    return Speaker(f"festival {voice}", language, say)


def _run_program(*command: str) -> str:
    if shutil.which(command[0]) is None:
        raise AssetError(f"voice: expected the program {command[0]}: apt-get install {command[0]}")
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise AssetError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()[:200]}")
    return done.stdout.decode(errors="replace")


def _arpabet_phones(names: Sequence[str], ends: Sequence[float]) -> tuple[Phone, ...]:
    """Symbols of ARPAbet that end at these seconds."""
    starts = (0.0, *ends[:-1])
    kinds = (kinds_of_arpabet(name) for name in names)
    return tuple(phones_of(zip(names, kinds, starts, ends, strict=True)))


SAMPA = {
    "S": "ʃ",
    "Z": "ʒ",
    "N": "ŋ",
    "J": "ɲ",
    "L": "ʎ",
    "E": "ɛ",
    "O": "ɔ",
    "ax": "ə",
    "D": "d",
    "tS": "tʃ",
    "dZ": "dʒ",
    "dz": "dz",
    "rr": "r",
    "ch": "x",
    "c": "ts",
    "B": "b",
    "G": "ɡ",
}


def _sampa_phones(names: Sequence[str], ends: Sequence[float]) -> tuple[Phone, ...]:
    """Festival's Italian, Czech and Catalan voices; digits mark stress."""
    rows = []
    for name, start, end in zip(names, (0.0, *ends[:-1]), ends, strict=True):
        plain = name.rstrip("0123456789:")
        symbols = SAMPA.get(plain, plain)
        kinds = kinds_of_ipa(symbols) if name not in ("#", "pau") else ()
        rows.append((symbols, kinds or (SILENCE,), start, end))
    return tuple(phones_of(rows))


def rms_frames(sound: Sound) -> Sound:
    """Root mean square of each RMS_FRAME_S of sound [S]: where synthesisers are not exact about
    phones, loudness says the rest."""
    size = round(RMS_FRAME_S * RATE)
    whole = sound[: len(sound) // size * size].reshape(-1, size)
    return np.sqrt(np.square(whole).mean(1))


def mean_rms(loud: Sound, start: float, end: float) -> float:
    """Mean of `rms_frames` from one second to another; 0 beyond its end."""
    first = int(start / RMS_FRAME_S)
    part = loud[first : max(int(end / RMS_FRAME_S), first + 1)]
    return float(part.mean()) if len(part) else 0.0
