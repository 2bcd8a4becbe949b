"""Synthesisers that say when each phone begins and ends: flite, Festival, espeak-ng, hibari."""

from __future__ import annotations

import ctypes
import itertools
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from flexavatar.drive.hearing import RATE, Resampler, Sound
from flexavatar.errors import AssetError
from flexavatar.formats.sound import read_sound
from flexavatar.training.speech.phones import (
    SILENCE,
    Phone,
    kinds_of_arpabet,
    kinds_of_ipa,
    phones_of,
)


@dataclass(frozen=True)
class Utterance:
    """Something said."""

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

    def say(text: str, chance: random.Random) -> Utterance:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            stretch = f"duration_stretch={chance.uniform(0.8, 1.3):.2f}"
            options = ("-voice", voice, "--setf", stretch, "-psdur", "-t", text, "-o", str(path))
            printed = _run("flite", *options).split()
            sound = read_sound(path)
        names, ends = zip(*(item.rsplit(":", 1) for item in printed), strict=True)
        return Utterance(sound, _arpabet(names, [float(end) for end in ends]))

    return Speaker(f"flite {voice}", "en", say)


def festival(voice: str, language: str) -> Speaker:
    """A voice of the Festival system. Raises AssetError, when it speaks, if it is not installed."""

    def say(text: str, chance: random.Random) -> Utterance:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            plain = text.replace('"', " ").replace("\\", " ")
            scheme = (
                f"(voice_{voice}) (Parameter.set 'Duration_Stretch {chance.uniform(0.85, 1.3):.2f})"
                f'(set! u (SynthText "{plain}")) (utt.save.wave u "{path}")'
                f'(utt.save.segs u "{path}.lab")'
            )
            (path.with_suffix(".scm")).write_text(scheme, encoding="latin-1", errors="replace")
            _run("festival", "-b", str(path.with_suffix(".scm")))
            sound = read_sound(path)
            lines = Path(f"{path}.lab").read_text().split("#\n", 1)[1].splitlines()
        rows = [line.split() for line in lines]
        names, ends = [row[2] for row in rows], [float(row[0]) for row in rows]
        if language == "en":
            return Utterance(sound, _arpabet(names, ends))
        return Utterance(sound, _sampa(names, ends))

    return Speaker(f"festival {voice}", language, say)


def espeak(language: str, variant: str = "") -> Speaker:
    """A voice of espeak-ng. Raises AssetError, when it speaks, if it is not installed."""

    def say(text: str, chance: random.Random) -> Utterance:
        pace, pitch = chance.randint(120, 220), chance.randint(25, 75)
        sound, events = _Espeak.installed().say(f"{language}{variant}", text, pace, pitch)
        return Utterance(sound, tuple(_from_events(sound, events)))

    return Speaker(f"espeak-ng {language}{variant}", language.split("-us")[0], say)


def hibari() -> Speaker:
    """The voice that ships with the package hibari-tts. Raises AssetError as above."""

    def say(text: str, chance: random.Random) -> Utterance:
        sound, phonemes, ends = _Hibari.installed().say(text, chance.uniform(0.85, 1.3))
        return Utterance(sound, tuple(_from_hibari(sound, phonemes, ends)))

    return Speaker("hibari heart", "en", say)


def _run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        raise AssetError(f"voice: expected the program {command[0]}: apt-get install {command[0]}")
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise AssetError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()[:200]}")
    return done.stdout.decode(errors="replace")


def _arpabet(names: Sequence[str], ends: Sequence[float]) -> tuple[Phone, ...]:
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


def _sampa(names: Sequence[str], ends: Sequence[float]) -> tuple[Phone, ...]:
    """Festival's Italian, Czech and Catalan voices; digits mark stress."""
    rows = []
    for name, start, end in zip(names, (0.0, *ends[:-1]), ends, strict=True):
        plain = name.rstrip("0123456789:")
        symbols = SAMPA.get(plain, plain)
        kinds = kinds_of_ipa(symbols) if name not in ("#", "pau") else ()
        rows.append((symbols, kinds or (SILENCE,), start, end))
    return tuple(phones_of(rows))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of espeak-ng's speak_lib.h; the last field is a union of 8 bytes."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("type", "uid", "text", "length", "at_ms", "sample")),
        ("user", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    ]


class _Espeak:
    """The library: one a process."""

    PHONEME = 7
    RETRIEVAL, PHONEME_EVENTS_IPA = 1, 3
    UTF8, SPEED, PITCH = 1, 1, 3

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError:
            raise AssetError("voice: expected espeak-ng: apt-get install espeak-ng") from None
        self._rate = self._library.espeak_Initialize(
            self.RETRIEVAL, 0, None, self.PHONEME_EVENTS_IPA
        )
        made = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = made(self._take)  # the library does not keep it alive
        self._library.espeak_SetSynthCallback(self._callback)

    @staticmethod
    @lru_cache(1)
    def installed() -> _Espeak:
        """The only one."""
        return _Espeak()

    def _take(self, samples: int | None, count: int, events: ctypes.Array[_Event]) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, 2 * count)
        for event in itertools.takewhile(lambda e: e.type, (events[i] for i in itertools.count())):
            if event.type == self.PHONEME:
                name = bytes(event.string).decode(errors="replace")
                self._events.append((name, event.sample / self._rate))
        return 0

    def say(
        self, voice: str, text: str, pace: int, pitch: int
    ) -> tuple[Sound, list[tuple[str, float]]]:
        """Sound at RATE, and when each phoneme begins."""
        self._pcm, self._events = bytearray(), list[tuple[str, float]]()
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise AssetError(f"espeak-ng: no voice {voice}")
        self._library.espeak_SetParameter(self.SPEED, pace, 0)
        self._library.espeak_SetParameter(self.PITCH, pitch, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 0, 0, self.UTF8, None, None)
        self._library.espeak_Synchronize()
        pcm = np.frombuffer(bytes(self._pcm), "<i2").astype(np.float32) / np.float32(32768)
        return Resampler(self._rate).push(pcm), self._events


QUIET = 0.004
"""Amplitude under which a synthesiser is silent: about -48 dB."""
LONGEST_CLOSURE_S, FRAME_S = 0.09, 0.005
SILENT_STOPS = frozenset("ptkcqʈ")


def _from_events(sound: Sound, events: Sequence[tuple[str, float]]) -> list[Phone]:
    """espeak-ng names a voiceless stop when it bursts, and gives no end: silence says the rest."""
    loud = _loudness(sound)
    rows: list[tuple[str, tuple[str, ...], float, float]] = []
    ends = [at for _, at in events[1:]] + [len(sound) / RATE]
    for (name, at), end in zip(events, ends, strict=True):
        kinds = kinds_of_ipa(name)
        if not kinds:  # the phoneme before goes on, or a pause
            if rows and _mean(loud, at, end) > QUIET:
                kinds = rows[-1][1][-1:]
            else:
                kinds = (SILENCE,)
        start = at
        if name[:1] in SILENT_STOPS and rows:
            start = max(_quiet_since(loud, at), rows[-1][2] + FRAME_S)
            rows[-1] = (*rows[-1][:3], start)
            rows.append((name[:1] + "*", kinds[:1], start, at + 2 * FRAME_S))
            rest = ("h",) if len(kinds) == 1 and kinds[0] in ("p", "t", "k") else kinds
            rows.append(("", rest, at + 2 * FRAME_S, max(end, at + 3 * FRAME_S)))
        else:
            rows.append((name, kinds, start, end))
    # a star: what is listed is the closure alone
    return [
        Phone(p.kind, p.start, p.end, p.stop and not row[0].endswith("*"))
        for row in rows
        for p in phones_of([row])
    ]


def _loudness(sound: Sound) -> Sound:
    """Root mean square of each FRAME_S."""
    size = round(FRAME_S * RATE)
    whole = sound[: len(sound) // size * size].reshape(-1, size)
    return np.sqrt(np.square(whole).mean(1))


def _mean(loud: Sound, start: float, end: float) -> float:
    part = loud[int(start / FRAME_S) : max(int(end / FRAME_S), int(start / FRAME_S) + 1)]
    return float(part.mean()) if len(part) else 0.0


def _quiet_since(loud: Sound, at: float) -> float:
    """Where the silence before an instant begins, LONGEST_CLOSURE_S before it at most."""
    last = min(round(at / FRAME_S), len(loud)) - 1  # its frame may hold the burst
    first = last
    while first > 0 and at - first * FRAME_S < LONGEST_CLOSURE_S and loud[first - 1] < QUIET:
        first -= 1
    return first * FRAME_S


class _Hibari:
    """The package's network, with its durations as one more output."""

    DURATIONS = b"/Round_output_0"
    UNIT_S = 0.025
    LATE_S = 0.05
    """By which the durations' sums lag behind the sound (measured on closures)."""

    def __init__(self) -> None:
        if find_spec("hibari") is None:
            raise AssetError(
                'voice: expected the package hibari-tts: pip install "flexavatar[voice]"'
            )
        import onnxruntime
        from hibari import Hibari

        self._voice = Hibari()
        graph = Path(self._voice.model_path).read_bytes()
        # in a protobuf a field that is repeated is added to: graph (7), output (12), name (1)
        graph += _field(7, _field(12, _field(1, self.DURATIONS)))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    @staticmethod
    @lru_cache(1)
    def installed() -> _Hibari:
        """The only one."""
        return _Hibari()

    def say(self, text: str, speed: float) -> tuple[Sound, str, list[float]]:
        """Sound at RATE, phonemes with a pause at either end, and when each ends."""
        from hibari import SAMPLE_RATE, dsp

        known = "".join(c for c in self._voice.phonemize(text)[0] if c in self._voice.vocab)
        ids = np.array([self._voice.ids(known)], np.int64)
        given = {"ids": ids, "speed": np.array([speed], np.float32)}
        *spectra, durations = self._session.run(None, given)
        sound = dsp.synth(*(part[0] for part in spectra), np.random.default_rng(0))
        ends = np.maximum(np.cumsum(durations) * self.UNIT_S - self.LATE_S, 0)
        made = Resampler(SAMPLE_RATE).push(sound.astype(np.float32))
        return made, f" {known} ", ends.tolist()


def _field(number: int, data: bytes) -> bytes:
    """A protobuf's field of bytes; both numbers are under 128."""
    return bytes([number << 3 | 2, len(data)]) + data


def _from_hibari(sound: Sound, phonemes: str, ends: Sequence[float]) -> list[Phone]:
    """Marks of stress belong to the sound after them, marks of length and spaces to that before."""
    loud = _loudness(sound)
    rows: list[tuple[str, tuple[str, ...], float, float]] = []
    start = 0.0
    for symbol, end in zip(phonemes, ends, strict=True):
        kinds = kinds_of_ipa(symbol)
        silent = _mean(loud, start, end) < QUIET
        if not kinds and symbol in "ˈˌ" and rows:
            continue
        if not kinds and rows and not silent:
            rows[-1] = (*rows[-1][:3], end)
        else:
            rows.append((symbol, kinds or (SILENCE,), start, end))
        start = end
    return [_snapped(loud, phone) for phone in phones_of(rows)]


def _snapped(loud: Sound, phone: Phone) -> Phone:
    """A stop where the sound is quietest: durations come in steps of 25 ms."""
    if not phone.stop:
        return phone
    size = max(round((phone.end - phone.start) / FRAME_S), 1)
    first = round(phone.start / FRAME_S)
    places = [f for f in range(first - 8, first + 9) if 0 <= f and f + size <= len(loud)]
    if not places:
        return phone
    best = min(places, key=lambda f: (loud[f : f + size].sum(), abs(f - first)))
    return Phone(phone.kind, best * FRAME_S, (best + size) * FRAME_S, True)
