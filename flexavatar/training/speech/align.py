"""Where the phones of recorded English are: pocketsphinx's forced alignment."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from flexavatar.drive.voice.features import RATE, Sound
from flexavatar.errors import AssetError, InputError
from flexavatar.training.speech.phones import kinds_of_arpabet, phones_of
from flexavatar.training.speech.speakers import Utterance

if TYPE_CHECKING:
    from pocketsphinx import Decoder

FRAME_S = 0.01


def aligned(sound: Sound, text: str = "") -> Utterance:
    """Sound [S] at RATE and what is said in it; what the recogniser hears if no text is given.

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
    _listen(decoder, pcm)  # which has no hypothesis: to ask for it crashes
    alignment = decoder.get_alignment()  # its words live no longer than it does
    rows = [(p.name.lower(), p.start, p.start + p.duration) for word in alignment for p in word]
    symbols = [(n, kinds_of_arpabet(n), a * FRAME_S, b * FRAME_S) for n, a, b in rows]
    return Utterance(sound, tuple(phones_of(symbols)))


def _hypothesis(decoder: Decoder, pcm: bytes) -> str:
    """The words that it hears. Raises InputError if there are none."""
    _listen(decoder, pcm)
    if (found := decoder.hyp()) is None:
        raise InputError("text: the recogniser does not find it in the sound")
    return re.sub(r"[(]\d[)]|<[^>]*>", "", found.hypstr)


def _listen(decoder: Decoder, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
