"""Phones to the motion of a mouth.

Dominance functions (Cohen and Massaro, "Modeling coarticulation in synthetic visual speech",
1993): each phone pulls an articulator to its target with a strength that falls off exponentially
before and after it, and the articulator follows the weighted mean. Lips that shut, and the lower
lip that meets the teeth, do not compromise: they are there for the whole of the closure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.voice.articulation import ARTICULATORS
from flexavatar.easing import minimum_jerk
from flexavatar.training.speech.phones import KIND_INDEX, KINDS, Phone

Array = NDArray[np.float64]

TARGETS: Mapping[str, Mapping[str, float]] = {
    "sil": {},
    "p": {"jaw": 0.12, "shut": 1},
    "f": {"jaw": 0.14, "tuck": 1, "upper": 0.3},
    "th": {"jaw": 0.2, "tongue": 1, "lower": 0.4, "spread": 0.1},
    "t": {"jaw": 0.18, "lower": 0.35, "upper": 0.08, "tongue": 0.2},
    "l": {"jaw": 0.27, "lower": 0.35, "tongue": 0.4},
    "s": {"jaw": 0.1, "spread": 0.3, "lower": 0.45, "upper": 0.15},
    "sh": {"jaw": 0.12, "funnel": 0.8, "round": 0.25, "lower": 0.2},
    "k": {"jaw": 0.26, "lower": 0.25},
    "h": {"jaw": 0.3, "lower": 0.15},
    "r": {"jaw": 0.2, "round": 0.4, "funnel": 0.3},
    "w": {"jaw": 0.16, "round": 1, "funnel": 0.15},
    "y": {"jaw": 0.14, "spread": 0.6, "lower": 0.3},
    "iy": {"jaw": 0.18, "spread": 0.85, "lower": 0.5, "upper": 0.1},
    "ih": {"jaw": 0.3, "spread": 0.5, "lower": 0.4},
    "eh": {"jaw": 0.5, "spread": 0.45, "lower": 0.45, "upper": 0.1},
    "ae": {"jaw": 0.75, "spread": 0.5, "lower": 0.5, "upper": 0.25},
    "aa": {"jaw": 0.95, "lower": 0.45, "upper": 0.15},
    "ah": {"jaw": 0.48, "lower": 0.3},
    "ao": {"jaw": 0.72, "round": 0.4, "funnel": 0.35},
    "ow": {"jaw": 0.5, "round": 0.65, "funnel": 0.35},
    "uh": {"jaw": 0.32, "round": 0.6, "funnel": 0.2},
    "uw": {"jaw": 0.22, "round": 1, "funnel": 0.15},
    "ue": {"jaw": 0.2, "round": 0.95, "funnel": 0.15, "spread": 0.1},
    "er": {"jaw": 0.38, "round": 0.3, "funnel": 0.25},
    "oe": {"jaw": 0.42, "round": 0.75, "funnel": 0.2},
}
"""Of each kind of phone at speech of usual loudness; what is missing is 0."""

STRENGTH: Mapping[str, Mapping[str, float]] = {
    "sil": {"": 0.7},
    "p": {"": 0.3, "jaw": 1.6, "lower": 2, "upper": 2, "tongue": 2},
    "f": {"": 0.5, "jaw": 1.5, "upper": 1.5, "lower": 2},
    "th": {"": 0.5, "tongue": 3, "jaw": 1},
    "t": {"": 0.35, "jaw": 0.8, "tongue": 1.5},
    "l": {"": 0.4, "jaw": 0.6, "tongue": 2},
    "s": {"": 0.7, "jaw": 2.2, "round": 0.4},
    "sh": {"": 1.8, "jaw": 2.2},
    "k": {"": 0.25, "jaw": 0.4},
    "h": {"": 0.08},
    "r": {"": 0.9},
    "w": {"": 2, "round": 3},
    "y": {"": 1, "jaw": 0.8},
    "uw": {"": 1.2, "round": 2},
    "ue": {"": 1.2, "round": 2},
    "ah": {"": 0.7},
}
"""By which a kind pulls an articulator; under "" those that are not named; 1 where nothing is."""

SECONDS: Mapping[str, tuple[float, float]] = {
    "jaw": (0.04, 0.04),
    "round": (0.07, 0.045),
    "funnel": (0.055, 0.045),
    "spread": (0.05, 0.045),
    "upper": (0.035, 0.035),
    "lower": (0.035, 0.035),
    "tongue": (0.025, 0.025),
}
"""In which the pull falls to 1/e before and after a phone: rounding comes early."""
CONTACTS: Mapping[str, tuple[float, float]] = {"shut": (0.045, 0.04), "tuck": (0.045, 0.045)}
"""Seconds in which what meets comes together and parts, before and after the closure."""
BURST = 0.3
"""Share of a stop that is burst and breath, with the lips apart."""
SCALED = np.array([name not in CONTACTS and name != "tongue" for name in ARTICULATORS])
"""What is larger in a loud voice."""


def _table(rows: Mapping[str, Mapping[str, float]], default: float) -> Array:
    """Kinds by articulators: [K, 9]."""
    return np.array(
        [
            [row.get(name, row.get("", default)) for name in ARTICULATORS]
            for row in (rows.get(kind, {}) for kind in KINDS)
        ]
    )


_TARGETS, _STRENGTH = _table(TARGETS, 0.0), _table(STRENGTH, 1.0)


def articulate(phones: Sequence[Phone], times: Array) -> Array:
    """Articulators at each time, 0..1: [T, 9]."""
    kinds = np.array([KIND_INDEX[phone.kind] for phone in phones])
    starts = np.array([phone.start for phone in phones])
    ends = np.array([phone.end for phone in phones])
    before = np.maximum(starts - times[:, None], 0)  # [T, P]
    after = np.maximum(times[:, None] - ends, 0)
    mouth = np.zeros((len(times), len(ARTICULATORS)))
    for i, name in enumerate(ARTICULATORS):
        if name in CONTACTS:
            mouth[:, i] = _contact(phones, times, name)
            continue
        come, go = SECONDS[name]
        pull = _STRENGTH[kinds, i] * np.exp(-before / come - after / go) + 1e-9
        mouth[:, i] = pull @ _TARGETS[kinds, i] / pull.sum(1)
    return mouth


def _contact(phones: Sequence[Phone], times: Array, name: str) -> Array:
    """How closed lips, or lip and teeth, are over time, 0..1: [T]."""
    come, go = CONTACTS[name]
    met = np.zeros(len(times))
    for phone in phones:
        if TARGETS[phone.kind].get(name):
            end = phone.end - BURST * (phone.end - phone.start) * phone.stop
            closing = minimum_jerk((times - phone.start + come) / come)
            met = np.maximum(met, closing * minimum_jerk((end + go - times) / go))
    return met


def scale_effort(mouth: Array, effort: Array) -> Array:
    """Articulators with more or less effort [T], about 1: [T, 9], still 0..1."""
    return np.clip(np.where(SCALED, mouth * effort[:, None], mouth), 0, 1)


def phone_kinds(phones: Sequence[Phone], times: Array) -> NDArray[np.int64]:
    """The kind that is being said at each time, silence outside: [T]."""
    kinds = np.zeros(len(times), np.int64)
    for phone in phones:
        kinds[(times >= phone.start) & (times < phone.end)] = KIND_INDEX[phone.kind]
    return kinds
