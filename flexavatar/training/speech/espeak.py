"""The voices of espeak-ng, by its library: many languages, and when each phoneme begins."""

from __future__ import annotations

import ctypes
import itertools
import random
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from flexavatar.drive.voice.features import RATE, Resampler, Sound
from flexavatar.errors import AssetError
from flexavatar.training.speech.phones import SILENCE, Phone, kinds_of_ipa, phones_of
from flexavatar.training.speech.speakers import (
    QUIET_RMS,
    RMS_FRAME_S,
    Speaker,
    Utterance,
    mean_rms,
    rms_frames,
)

LONGEST_CLOSURE_S = 0.09
SILENT_STOPS = frozenset("ptkcqʈ")


def espeak(language: str, variant: str = "") -> Speaker:
    """A voice of espeak-ng. Raises AssetError, when it speaks, if it is not installed."""

    def say(text: str, rng: random.Random) -> Utterance:
        pace, pitch = rng.randint(120, 220), rng.randint(25, 75)
        sound, events = _Espeak.installed().say(f"{language}{variant}", text, pace, pitch)
        return Utterance(sound, tuple(_phones_from_events(sound, events)))

    return Speaker(f"espeak-ng {language}{variant}", language.split("-us")[0], say)


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
        self._callback = made(self._on_synthesised)  # the library does not keep it alive
        self._library.espeak_SetSynthCallback(self._callback)

    @staticmethod
    @lru_cache(1)
    def installed() -> _Espeak:
        """The library of this process."""
        return _Espeak()

    def _on_synthesised(self, samples: int | None, count: int, events: ctypes.Array[_Event]) -> int:
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


def _phones_from_events(sound: Sound, events: Sequence[tuple[str, float]]) -> list[Phone]:
    """Phones of espeak-ng's events, which give a voiceless stop's burst and no end: silence says
    the rest."""
    loud = rms_frames(sound)
    rows: list[tuple[str, tuple[str, ...], float, float]] = []
    ends = [at for _, at in events[1:]] + [len(sound) / RATE]
    for (name, at), end in zip(events, ends, strict=True):
        kinds = kinds_of_ipa(name)
        if not kinds:  # the phoneme before goes on, or a pause
            if rows and mean_rms(loud, at, end) > QUIET_RMS:
                kinds = rows[-1][1][-1:]
            else:
                kinds = (SILENCE,)
        start = at
        if name[:1] in SILENT_STOPS and rows:
            start = max(_silence_start(loud, at), rows[-1][2] + RMS_FRAME_S)
            rows[-1] = (*rows[-1][:3], start)
            rows.append((name[:1] + "*", kinds[:1], start, at + 2 * RMS_FRAME_S))
            rest = ("h",) if len(kinds) == 1 and kinds[0] in ("p", "t", "k") else kinds
            rows.append(("", rest, at + 2 * RMS_FRAME_S, max(end, at + 3 * RMS_FRAME_S)))
        else:
            rows.append((name, kinds, start, end))
    # a star: what is listed is the closure alone
    return [
        Phone(p.kind, p.start, p.end, p.stop and not row[0].endswith("*"))
        for row in rows
        for p in phones_of([row])
    ]


def _silence_start(loud: Sound, at: float) -> float:
    """Where the silence before an instant begins, LONGEST_CLOSURE_S before it at most."""
    last = min(round(at / RMS_FRAME_S), len(loud)) - 1  # its frame may hold the burst
    first = last
    while (
        first > 0 and at - first * RMS_FRAME_S < LONGEST_CLOSURE_S and loud[first - 1] < QUIET_RMS
    ):
        first -= 1
    return first * RMS_FRAME_S
