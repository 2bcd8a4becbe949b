"""MakeHuman's macro targets: a person by gender, age, weight, build and ancestry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from flexavatar.head.bake.source import Source

MACRO = "mpfb2/targets/macrodetails/"
ANCESTRIES = ("african", "asian", "caucasian")


@dataclass(frozen=True)
class Person:
    """Macro sliders, 0..1; the defaults are an average adult."""

    gender: float = 0.5
    """0 female, 1 male."""
    age: float = 0.58
    """0.5 is 25 years, 1 is 90."""
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    ancestry: tuple[float, float, float] = field(default=(1 / 3, 1 / 3, 1 / 3))
    """Shares of ANCESTRIES, sum 1."""


def macro_weights(person: Person) -> dict[str, float]:
    """Weight of every macro target of a person aged 25 or more: target name -> weight."""
    return {name: weight for name, weight in _macros(person) if weight > 0}


def _macros(person: Person) -> Iterator[tuple[str, float]]:
    genders = {"female": 1 - person.gender, "male": person.gender}
    old = float(np.clip(2 * person.age - 1, 0, 1))
    ages = {"young": 1 - old, "old": old}
    muscles, weights = (
        _three_levels(person.muscle, "muscle"),
        _three_levels(person.weight, "weight"),
    )
    tall = {"minheight": 1 - 2 * person.height, "maxheight": 2 * person.height - 1}
    for (gender, g), (age, a) in product(genders.items(), ages.items()):
        for ancestry, share in zip(ANCESTRIES, person.ancestry, strict=True):
            yield f"{MACRO}{ancestry}-{gender}-{age}.target.gz", g * a * share
        for (muscle, m), (weight, w) in product(muscles.items(), weights.items()):
            build = f"{gender}-{age}-{muscle}-{weight}"
            yield f"{MACRO}universal-{build}.target.gz", g * a * m * w
            for height, h in tall.items():
                yield f"{MACRO}height/{build}-{height}.target.gz", g * a * m * w * max(h, 0)


def _three_levels(value: float, name: str) -> dict[str, float]:
    low, high = max(1 - 2 * value, 0.0), max(2 * value - 1, 0.0)
    return {f"min{name}": low, f"average{name}": 1 - low - high, f"max{name}": high}


def person_vertices(source: Source, person: Person) -> np.ndarray:
    """The base mesh as this person, metres: [V, 3]."""
    total = source.base.vertices.copy()
    for name, weight in macro_weights(person).items():
        total += weight * source.target(name)
    return total
