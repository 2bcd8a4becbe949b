"""Two expressions at once: does each still show as it does alone?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flexavatar.drive.expressions import BROWS_UP, GAZE_LEFT, pair
from flexavatar.evaluation.readback import Reading, Watch, Weights
from flexavatar.evaluation.report import Picture

SMILE = pair("mouthSmile")
BLINK = pair("eyeBlink")
COMBINATIONS: Mapping[str, tuple[Weights, Weights]] = {
    "smile + blink": (SMILE, BLINK),
    "jawOpen + smile": ({"jawOpen": 0.6}, SMILE),
    "pucker + brows up": ({"mouthPucker": 1.0}, BROWS_UP),
    "gaze left + half blink": (GAZE_LEFT, pair("eyeBlink", 0.5)),
    "funnel + brows down": ({"mouthFunnel": 1.0}, pair("browDown")),
    "jawOpen + eyes wide": ({"jawOpen": 0.6}, pair("eyeWide") | {"browInnerUp": 1.0}),
    "smile left + blink left": ({"mouthSmileLeft": 1.0}, {"eyeBlinkLeft": 1.0}),
}
"""Pairs that speech and acting are full of: smiling and surprised talk, a wink, a sleepy look."""
FAINT = 0.05
"""A part whose own score changes less than this alone says nothing in company."""


@dataclass(frozen=True)
class Company:
    """How one combination is seen."""

    name: str
    kept_first: float
    kept_second: float
    """Change of a part's scores in company over its change alone, 0..1; NaN if faint alone."""


def combinations(watch: Watch) -> Iterator[tuple[Company, Picture]]:
    """Every combination, one after the other."""
    for name, (first, second) in COMBINATIONS.items():
        both = watch.read({**first, **second})
        kept = [_kept(watch.rest, watch.read(part), both, part) for part in (first, second)]
        caption = f"{name}: kept {kept[0]:.2f} and {kept[1]:.2f}"
        yield Company(name, *kept), Picture(caption, watch.crop(both))


def _kept(rest: Reading, alone: Reading, both: Reading, part: Weights) -> float:
    """Of one part: its own scores, averaged."""
    start = rest.mean_score(*part)
    change = alone.mean_score(*part) - start
    if not abs(change) > FAINT:
        return math.nan
    return min(1.0, max(0.0, (both.mean_score(*part) - start) / change))
