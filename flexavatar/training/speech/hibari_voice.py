"""The voice of the package hibari-tts: a network, and how long it makes each phoneme."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from flexavatar.drive.voice.features import Resampler, Sound
from flexavatar.errors import AssetError
from flexavatar.training.speech.loudness import FRAME_S, QUIET, loudness, mean_of
from flexavatar.training.speech.phones import SILENCE, Phone, kinds_of_ipa, phones_of
from flexavatar.training.speech.speakers import Speaker, Utterance


def hibari() -> Speaker:
    """The voice that ships with the package hibari-tts. Raises AssetError as above."""

    def say(text: str, chance: random.Random) -> Utterance:
        sound, phonemes, ends = _Hibari.installed().say(text, chance.uniform(0.85, 1.3))
        return Utterance(sound, tuple(_from_hibari(sound, phonemes, ends)))

    return Speaker("hibari heart", "en", say)


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
    loud = loudness(sound)
    rows: list[tuple[str, tuple[str, ...], float, float]] = []
    start = 0.0
    for symbol, end in zip(phonemes, ends, strict=True):
        kinds = kinds_of_ipa(symbol)
        silent = mean_of(loud, start, end) < QUIET
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
