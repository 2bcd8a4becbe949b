"""What the figures of every report are called, in what unit, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", ""]
ARROWS: Mapping[str, str] = {"higher": "\u2191", "lower": "\u2193", "": ""}


@dataclass(frozen=True)
class Figure:
    """One kind of figure."""

    unit: str
    better: Better
    meaning: str


FIGURES: Mapping[str, Figure] = {
    "head_psnr": Figure("dB", "higher", "head: the person's matte above the chin"),
    "head_ssim": Figure("0..1", "higher", "structural similarity in the head"),
    "hull_psnr": Figure("dB", "higher", "face hull: the convex hull of the landmarks"),
    "hull_ssim": Figure("0..1", "higher", "structural similarity in the face hull"),
    "haarpsi_distance": Figure(
        "0..1", "lower", "1 − HaarPSI of the whole picture over grey (not LPIPS)"
    ),
    "identity_distance": Figure(
        "dlib", "lower", "between face descriptors; one person 0.3 to 0.5, strangers over 0.6"
    ),
    "akd_px": Figure("px", "lower", "mean distance of 468 landmarks at 512 pixels a side"),
    "aed": Figure(
        "weights", "lower", "mean distance of the 52 ARKit weights, tracked in avatar and truth"
    ),
    "apd_deg": Figure("°", "lower", "angle between the head rotations, tracked in both"),
    "copy_psnr": Figure("dB", "higher", "baseline in the head: the first frame, copied"),
    "warp_psnr": Figure(
        "dB", "higher", "baseline in the head: the first frame, moved by a 2D similarity"
    ),
    "jod": Figure("0..10", "higher", "just-objectionable differences of a run of frames; 10: none"),
    "jitter_px": Figure(
        "px", "lower", "trembling of the avatar's landmarks that the truth's do not have"
    ),
    "unseen": Figure("frames", "lower", "drawn frames in which no face was found; not scored"),
}
"""By name. What is not listed is shown without a unit."""


def figure_of(name: str) -> Figure:
    """What is known of a figure; an unknown one has no unit and no better way."""
    return FIGURES.get(name, Figure("", "", ""))


def mean_figures(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every figure over the rows that have it; NaN counts as not having it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _mean([row.get(name, math.nan) for row in rows]) for name in names}


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan
