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
from flexavatar.training.speech.phones import SILENCE, Phone, kinds_of_ipa, phones_of
from flexavatar.training.speech.speakers import (
    QUIET_RMS,
    RMS_FRAME_S,
    Speaker,
    Utterance,
    mean_rms,
    rms_frames,
)


def hibari() -> Speaker:
    """The voice that ships with the package hibari-tts. Raises AssetError, when it speaks, if it is
    not installed."""

    def say(text: str, rng: random.Random) -> Utterance:
        sound, phonemes, ends = _Hibari.installed().say(text, rng.uniform(0.85, 1.3))
        return Utterance(sound, tuple(_phones_from_durations(sound, phonemes, ends)))

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
        graph += _protobuf_field(7, _protobuf_field(12, _protobuf_field(1, self.DURATIONS)))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    @staticmethod
    @lru_cache(1)
    def installed() -> _Hibari:
        """The network of this process."""
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


def _protobuf_field(number: int, data: bytes) -> bytes:
    """A protobuf's field of bytes; both numbers are under 128."""
    return bytes([number << 3 | 2, len(data)]) + data


def _phones_from_durations(sound: Sound, phonemes: str, ends: Sequence[float]) -> list[Phone]:
    """Phones of symbols and when each ends, seconds.

    Marks of stress belong to the sound after them, marks of length and spaces to that before.
    """
    loud = rms_frames(sound)
    rows: list[tuple[str, tuple[str, ...], float, float]] = []
    start = 0.0
    for symbol, end in zip(phonemes, ends, strict=True):
        kinds = kinds_of_ipa(symbol)
        silent = mean_rms(loud, start, end) < QUIET_RMS
        if not kinds and symbol in "ˈˌ" and rows:
            continue
        if not kinds and rows and not silent:
            rows[-1] = (*rows[-1][:3], end)
        else:
            rows.append((symbol, kinds or (SILENCE,), start, end))
        start = end
    return [_snap_to_closure(loud, phone) for phone in phones_of(rows)]


def _snap_to_closure(loud: Sound, phone: Phone) -> Phone:
    """A stop moved to where the sound is quietest: durations come in steps of 25 ms."""
    if not phone.stop:
        return phone
    size = max(round((phone.end - phone.start) / RMS_FRAME_S), 1)
    first = round(phone.start / RMS_FRAME_S)
    places = [f for f in range(first - 8, first + 9) if 0 <= f and f + size <= len(loud)]
    if not places:
        return phone
    best = min(places, key=lambda f: (loud[f : f + size].sum(), abs(f - first)))
    return Phone(phone.kind, best * RMS_FRAME_S, (best + size) * RMS_FRAME_S, True)
