"""Does an avatar do what it is asked? Shapes are rendered and seen again by MediaPipe.

Each ARKit shape is asked for alone, in steps from rest to full, drawn in the avatar's own view and
shown to MediaPipe, whose scores for all shapes are compared with what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.drive.expressions import BROWS_UP, GAZE_LEFT, both
from flexavatar.evaluation.apertures import aperture_figures
from flexavatar.evaluation.readback import ExpressionProbe, Readback, Weights
from flexavatar.evaluation.report import Item, Picture
from flexavatar.head.arkit import ARKIT_NAMES, mirrored_name
from flexavatar.progress import Progress, no_progress

ABOUT = """Every ARKit shape is asked of an avatar alone, at 0, 0.25, 0.5, 0.75 and 1, drawn in the
photo's view and seen again by MediaPipe. Response: its score for that shape at 1 less that at rest.
Leak: the largest change of any other score, the mirror image included; some shapes go together on
real faces too (a blink looks down). Its scores can hardly tell some shapes apart on anybody: these
are left out of the means and marked.

Lids, lips and gaze are measured on landmarks besides: gaps over the width of the eye, or for
the lips over the distance of the eyes' outer corners; closure is 1 when nothing stays open, for the
lips from jawOpen alone to jawOpen with mouthClose. In a combination each part should show as it
does alone: kept is the share of its response that is left."""
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
INDISTINCT = (
    "cheekPuff", "cheekSquint", "eyeSquint", "jawForward", "jawLeft", "jawRight", "mouthDimple",
    "noseSneer", "tongueOut", "mouthClose",
)  # fmt: skip
"""Shapes that MediaPipe's scores hardly tell apart on real faces; both sides of each."""
GAZE_SIDEWAYS = (("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight"))
GAZE_UPWARD = (("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight"))
PLAIN_SMILE = both("mouthSmile")
BLINK = both("eyeBlink")
COMBINATIONS: Mapping[str, tuple[Weights, Weights]] = {
    "smile + blink": (PLAIN_SMILE, BLINK),
    "jawOpen + smile": ({"jawOpen": 0.6}, PLAIN_SMILE),
    "pucker + brows up": ({"mouthPucker": 1.0}, BROWS_UP),
    "gaze left + half blink": (GAZE_LEFT, both("eyeBlink", 0.5)),
    "funnel + brows down": ({"mouthFunnel": 1.0}, both("browDown")),
    "jawOpen + eyes wide": ({"jawOpen": 0.6}, both("eyeWide") | {"browInnerUp": 1.0}),
    "smile left + blink left": ({"mouthSmileLeft": 1.0}, {"eyeBlinkLeft": 1.0}),
}
"""Pairs that speech and acting are full of: smiling and surprised talk, a wink, a sleepy look."""
FAINT = 0.05
"""A part whose own score changes less than this alone is not judged in a combination."""


@dataclass(frozen=True)
class ShapeResponse:
    """MediaPipe's scores of one shape when it alone is asked for; NaN where no face was found."""

    shape: str
    at_rest: float
    """Seen when nothing is asked."""
    at_full: float
    """Seen when 1 is asked."""
    correlation: float
    """Of asked and seen over LEVELS; 0 if what is seen does not change."""
    leak: float
    """Largest change of any other shape, its mirror image included."""
    leak_to: str
    """Where to."""
    seen: bool
    """MediaPipe can tell this shape from others: it counts in the means."""


@dataclass(frozen=True)
class CombinationResponse:
    """How the two parts of one combination are seen."""

    name: str
    kept_first: float
    kept_second: float
    """Change of a part's scores in the combination over its change alone, 0..1; NaN if faint."""


def evaluate_expressions(avatar: AnyAvatar, name: str, progress: Progress = no_progress) -> Item:
    """Ask for every shape and some pairs. Raises FaceError if no face is found at rest."""
    probe = ExpressionProbe(avatar)
    rows: list[ShapeResponse] = []
    pictures = [Picture("at rest", probe.crop(probe.rest))]
    for i, shape in enumerate(ARKIT_NAMES):
        progress(shape, 0.8 * i / len(ARKIT_NAMES))
        readbacks = [probe.rest, *(probe.read_back({shape: level}) for level in LEVELS[1:])]
        rows.append(_shape_response(shape, readbacks))
        pictures.append(Picture(_caption(rows[-1]), probe.crop(readbacks[-1])))
    progress("lids, lips and gaze", 0.8)
    own = _jaw_blink_and_gaze(probe, rows) | aperture_figures(probe)
    pairs = []
    for i, (pair_response, picture) in enumerate(combination_responses(probe)):
        progress(pair_response.name, 0.85 + 0.15 * (i + 1) / len(COMBINATIONS))
        pairs.append(pair_response)
        pictures.append(picture)
    kept = [share for c in pairs for share in (c.kept_first, c.kept_second)]
    figures = _mean_figures(rows) | own | {"combination_kept": float(np.nanmean(kept))}
    tables = {"shapes": [asdict(r) for r in rows], "combinations": [asdict(c) for c in pairs]}
    return Item(name, figures, pictures, tables=tables)


def _shape_response(shape: str, readbacks: Sequence[Readback]) -> ShapeResponse:
    own = np.array([readback.score(shape) for readback in readbacks])
    flat = float(np.std(own)) < 1e-4
    others = [n for n in ARKIT_NAMES if n != shape]
    leaks = [abs(readbacks[-1].score(n) - readbacks[0].score(n)) for n in others]
    most = int(np.argmax(leaks))
    return ShapeResponse(
        shape,
        float(own[0]),
        float(own[-1]),
        0.0 if flat else float(np.corrcoef(LEVELS, own)[0, 1]),
        float(leaks[most]),
        others[most],
        not shape.startswith(INDISTINCT),
    )


def _caption(row: ShapeResponse) -> str:
    mark = "" if row.seen else " (hardly seen on anybody)"
    return f"{row.shape}{mark}: {row.at_rest:.2f} to {row.at_full:.2f}, leak {row.leak:.2f}"


def _mean_figures(rows: Sequence[ShapeResponse]) -> dict[str, float]:
    """Means over the shapes that MediaPipe can see."""
    seen = [row for row in rows if row.seen]
    found = {row.shape: row for row in rows}
    sided = [row for row in seen if row.shape.endswith("Left")]
    apart = [abs(row.at_full - found[mirrored_name(row.shape)].at_full) for row in sided]
    return {
        "correlation": float(np.nanmean([row.correlation for row in seen])),
        "response": float(np.nanmean([row.at_full - row.at_rest for row in seen])),
        "leak": float(np.nanmean([row.leak for row in seen])),
        "asymmetry": float(np.nanmean(apart)),
        "unseen": float(sum(math.isnan(row.at_full) for row in rows)),
    }


def _jaw_blink_and_gaze(probe: ExpressionProbe, rows: Sequence[ShapeResponse]) -> dict[str, float]:
    """Figures of what is noticed first."""
    jaw = next(row for row in rows if row.shape == "jawOpen")
    blink = ("eyeBlinkLeft", "eyeBlinkRight")
    shut = probe.read_back(dict.fromkeys(blink, 1.0))
    return {
        "jaw_rest": jaw.at_rest,
        "jaw_full": jaw.at_full,
        "blink_rest": probe.rest.mean_score(*blink),
        "blink_full": shut.mean_score(*blink),
        "gaze_correlation": min(
            _gaze_correlation(probe, *GAZE_SIDEWAYS), _gaze_correlation(probe, *GAZE_UPWARD)
        ),
    }


def _gaze_correlation(
    probe: ExpressionProbe, ahead: tuple[str, str], back: tuple[str, str]
) -> float:
    """Correlation of asked and seen gaze, from all the way back to all the way ahead."""
    steps = np.linspace(-1, 1, 7)
    seen: list[float] = []
    for step in steps:
        asked = dict.fromkeys(ahead if step > 0 else back, abs(float(step)))
        readback = probe.read_back(asked)
        seen.append(readback.mean_score(*ahead) - readback.mean_score(*back))
    return float(np.corrcoef(steps, seen)[0, 1])


def combination_responses(probe: ExpressionProbe) -> Iterator[tuple[CombinationResponse, Picture]]:
    """Ask for every combination, and for its parts alone."""
    for name, (first, second) in COMBINATIONS.items():
        combined = probe.read_back({**first, **second})
        kept = [
            _share_kept(probe.rest, probe.read_back(part), combined, part)
            for part in (first, second)
        ]
        caption = f"{name}: kept {kept[0]:.2f} and {kept[1]:.2f}"
        yield CombinationResponse(name, *kept), Picture(caption, probe.crop(combined))


def _share_kept(rest: Readback, alone: Readback, combined: Readback, part: Weights) -> float:
    """Share of one part's response that the combination keeps: its own scores, averaged."""
    start = rest.mean_score(*part)
    change = alone.mean_score(*part) - start
    if not abs(change) > FAINT:
        return math.nan
    return min(1.0, max(0.0, (combined.mean_score(*part) - start) / change))
