"""Kinds of phones by what is seen of them, and the alphabets that synthesisers and aligners use."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KINDS: tuple[str, ...] = (
    *("sil", "p", "f", "th", "t", "l", "s", "sh", "k", "h", "r", "w", "y"),
    *("iy", "ih", "eh", "ae", "aa", "ah", "ao", "ow", "uh", "uw", "ue", "er", "oe"),
)
"""`p` is p, b and m; `t` also d and n; `ue` is ü, `oe` is ö; the rest as in ARPAbet."""
KIND_INDEX = {kind: i for i, kind in enumerate(KINDS)}
VOWELS = KINDS[KINDS.index("iy") :]
SILENCE, BILABIAL = "sil", "p"


@dataclass(frozen=True)
class Phone:
    """One phone of an utterance."""

    kind: str
    """One of KINDS."""
    start: float
    """Seconds."""
    end: float
    stop: bool = False
    """Ends with a burst: the closure is shorter than the phone."""


_ARPABET = {
    "p": "p b m em",
    "f": "f v",
    "th": "th dh",
    "t": "t d n dx nx en",
    "l": "l el",
    "s": "s z",
    "sh": "sh zh ch jh",
    "k": "k g ng",
    "h": "hh hv h",
    "r": "r",
    "w": "w wh",
    "y": "y",
    "iy": "iy",
    "ih": "ih ix ux",
    "eh": "eh",
    "ae": "ae",
    "aa": "aa",
    "ah": "ah ax ax-h",
    "ao": "ao",
    "uh": "uh",
    "uw": "uw",
    "er": "er axr",
}
ARPABET: dict[str, tuple[str, ...]] = {
    symbol: (kind,) for kind, symbols in _ARPABET.items() for symbol in symbols.split()
} | {
    "ay": ("aa", "ih"),
    "aw": ("aa", "uh"),
    "ey": ("eh", "ih"),
    "oy": ("ao", "ih"),
    "ow": ("ow", "uh"),
}
"""Kinds of each symbol, in lower case and without stress; what is not there is silence."""

_IPA = {
    "p": "pbmɓβʙ",
    "f": "fvʋɱɸⱱ",
    "th": "θð",
    "t": "tdnɾɖʈɳɲcɟrɽ",
    "l": "lɫɭʎɬɮɺʟ",
    "s": "szʦʣ",
    "sh": "ʃʒɕʑʂʐʧʤʨʥ",
    "k": "kɡgŋxɣqɢχʁɴʀɰ",
    "h": "hɦħʕʔ",
    "r": "ɹɻ",
    "w": "wʍɥ",
    "y": "jçʝ",
    "iy": "i",
    "ih": "ɪɨᵻɯ",
    "eh": "eɛ",
    "ae": "æ",
    "aa": "aɑ",
    "ah": "ʌəɐɤɘᵊ",
    "ao": "ɔɒ",
    "ow": "o",
    "uh": "ʊ",
    "uw": "uʉ",
    "ue": "yʏ",
    "er": "ɚɝɜ",
    "oe": "øœɶɵ",
}
IPA = {symbol: kind for kind, symbols in _IPA.items() for symbol in symbols}
MISAKI = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ"}
"""What hibari writes for diphthongs and the flap, in IPA."""
STOPS = frozenset("pbtdkgɡqcɟɓ")


def kinds_of_arpabet(symbol: str) -> tuple[str, ...]:
    """Kinds that one symbol of ARPAbet goes through, stress or not."""
    return ARPABET.get(symbol.lower().rstrip("012"), (SILENCE,))


def kinds_of_ipa(symbols: str) -> tuple[str, ...]:
    """Kinds that some symbols go through: two for a diphthong; none for marks alone."""
    plain = unicodedata.normalize("NFD", "".join(MISAKI.get(c, c) for c in symbols))
    kinds = [IPA[c] for c in plain if c in IPA]
    if kinds[:2] == ["t", "sh"] or kinds[:2] == ["t", "s"]:
        kinds = kinds[1:]  # an affricate is seen as its second part
    return tuple(kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1])


def phones_of(
    symbols: Iterable[tuple[str, tuple[str, ...], float, float]],
) -> Iterator[Phone]:
    """Symbol, its kinds, start and end in seconds -> phones; kinds share the time evenly."""
    for symbol, kinds, start, end in symbols:
        step = (end - start) / max(len(kinds), 1)
        for i, kind in enumerate(kinds):
            stop = symbol[:1] in STOPS and kind in ("p", "t", "k")
            yield Phone(kind, start + i * step, start + (i + 1) * step, stop)
