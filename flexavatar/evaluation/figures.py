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
    """Unit, direction and meaning of one figure."""

    unit: str
    better: Better
    meaning: str


AROUND: Mapping[str, str] = {
    "front": "from the front",
    "three_quarter": "from 30 and 60 degrees to both sides, where unseen:",
    "profile": "from 90 degrees to both sides:",
    "back": "from 135 degrees and from behind:",
    "tilted": "from 20 degrees above and below:",
    "expression": "with expressions:",
}
"""Groups of views in `evaluate around`."""

FIGURES: Mapping[str, Figure] = {
    "head_psnr": Figure("dB", "higher", "head: the person's matte above the chin"),
    "head_ssim": Figure("0..1", "higher", "structural similarity in the head"),
    "hull_psnr": Figure("dB", "higher", "face hull: the convex hull of the landmarks"),
    "hull_ssim": Figure("0..1", "higher", "structural similarity in the face hull"),
    "haarpsi_distance": Figure(
        "0..1", "lower", "1 − HaarPSI in the head: a perceptual distance, but not LPIPS"
    ),
    "identity_distance": Figure(
        "dlib", "lower", "between face descriptors; one person 0.3 to 0.5, strangers over 0.6"
    ),
    "akd_px": Figure("px", "lower", "mean distance of 468 landmarks at 512 pixels a side"),
    "aed": Figure(
        "weights", "lower", "mean difference of the 52 ARKit weights, tracked in avatar and truth"
    ),
    "apd_deg": Figure("°", "lower", "angle between the head rotations, tracked in both"),
    "gaze_deg": Figure("°", "lower", "mean difference of the eyes' pitch and yaw in the head"),
    "copy_psnr": Figure("dB", "higher", "baseline in the head: the first picture, copied"),
    "warp_psnr": Figure(
        "dB", "higher", "baseline in the head: the first picture, moved by a 2D similarity"
    ),
    "jitter_px": Figure(
        "px", "lower", "trembling of the avatar's landmarks over a second of frames"
    ),
    "truth_jitter_px": Figure("px", "", "the same of the truth: what jitter_px should be"),
    "tof_px": Figure("px", "lower", "distance of the optical flows of avatar and truth (tOF)"),
    "unseen": Figure("pictures", "lower", "drawn pictures in which no face was found"),
    "photos": Figure("", "", "photos that the avatar was made from"),
    "gain_db": Figure("dB", "higher", "head_psnr from all the photos less that from one"),
    "correlation": Figure("−1..1", "higher", "of asked and seen, mean of the shapes"),
    "response": Figure("0..1", "higher", "seen at 1 less seen at rest, mean of the shapes"),
    "leak": Figure("0..1", "lower", "largest change of another score, mean of the shapes"),
    "asymmetry": Figure("0..1", "lower", "difference of left and right at 1"),
    "combination_kept": Figure("0..1", "higher", "share of a part's response left in company"),
    "jaw_rest": Figure("0..1", "lower", "jawOpen seen at rest"),
    "jaw_full": Figure("0..1", "higher", "jawOpen seen when it is asked"),
    "blink_rest": Figure("0..1", "lower", "eyeBlink seen at rest"),
    "blink_full": Figure("0..1", "higher", "eyeBlink seen when it is asked"),
    "gaze_correlation": Figure("−1..1", "higher", "of asked and seen, the worse of x and y"),
    "lid_gap_rest": Figure("eye width", "", "distance of the lids at rest"),
    "lid_gap_blink": Figure("eye width", "lower", "distance of the lids in a blink"),
    "lid_closure": Figure("0..1", "higher", "1 − gap in a blink over gap at rest"),
    "lip_gap_rest": Figure("eye distance", "lower", "distance of the inner lips at rest"),
    "lip_gap_open": Figure("eye distance", "higher", "the same at jawOpen"),
    "lip_gap_closed": Figure("eye distance", "lower", "the same at jawOpen with mouthClose"),
    "lip_closure": Figure("0..1", "higher", "1 − gap with mouthClose over gap without"),
    "gaze_span_x": Figure("eye width", "higher", "way of the irises from left to right"),
    "gaze_span_y": Figure("eye width", "higher", "way of the irises from up to down"),
    "front_psnr": Figure("dB", "higher", "head from the front, at rest"),
    "side_psnr": Figure("dB", "higher", "head from 30 and 60 degrees to both sides"),
    "profile_psnr": Figure("dB", "higher", "head from 90 degrees to both sides"),
    "back_psnr": Figure("dB", "higher", "head from behind and from 135 degrees"),
    "tilt_psnr": Figure("dB", "higher", "head from 25 degrees above and below"),
    "expression_psnr": Figure("dB", "higher", "head from the front with expressions held out"),
    "refused": Figure("share", "lower", "inputs that no avatar could be made or held against"),
    "jaw_correlation": Figure("−1..1", "higher", "jawOpen as sent and as seen"),
    "blink_correlation": Figure("−1..1", "higher", "eyeBlink as sent and as seen"),
    "smile_correlation": Figure("−1..1", "higher", "mouthSmile as sent and as seen"),
    "latency_p50_ms": Figure("ms", "lower", "packet sent to frame decoded, median"),
    "latency_p99_ms": Figure("ms", "lower", "the same, 99th percentile"),
    "fps": Figure("1/s", "higher", "different packets that were shown"),
    "lag_ms": Figure("ms", "lower", "shift in time at which seen and sent agree best"),
    "looked_fps": Figure("1/s", "higher", "pictures of the camera that were looked at"),
    "raw_correlation": Figure("−1..1", "higher", "asked of the avatar and MediaPipe's score"),
    "read_correlation": Figure("−1..1", "higher", "asked of the avatar and what is sent for it"),
    "packets_refused": Figure("", "lower", "packets that the gateway could not read"),
    "closures": Figure("share", "higher", "p, b and m at which the lips shut within 40 ms"),
    "closures_asked": Figure("", "", "p, b and m that were said"),
    "open_vowels": Figure("share", "higher", "vowels in whose middle the lips are apart"),
    "openness": Figure("−1..1", "higher", "gap of the lips over time, shown and asked"),
    "jaw": Figure("−1..1", "higher", "jawOpen over time, shown and asked"),
    "vowel_height": Figure("−1..1", "higher", "gap in the middle of vowels, shown and asked"),
    "still": Figure("share", "higher", "frames with the lips shut where nobody speaks"),
    "cpu": Figure("of a core", "lower", "from sound to weights"),
    "alpha_error_band": Figure("0..1", "lower", "mean error of alpha within 12 px of the outline"),
    "background_taken": Figure("share", "lower", "of the picture: taken for person beyond that"),
    "person_lost": Figure("share", "lower", "of the person: taken for background beyond that"),
    "color_error_band": Figure("0..1", "lower", "mean error of the person's colours within it"),
    "zoom_consistency_db": Figure(
        "dB", "higher", "drawn at 512 pixels and four times as large, mean of four expressions"
    ),
    "zoom_consistency_worst_db": Figure("dB", "higher", "the same, the worst expression"),
    "iris_agreement": Figure(
        "share", "higher", "of an eye's pixels as dark or light as the rig says, the worst gaze"
    ),
    "iris_agreement_mean": Figure("share", "higher", "the same, mean of both eyes and all gazes"),
    **{
        f"{group}_{metric}": Figure(unit, better, f"{what} {meaning}")  # pyright: ignore
        for group, what in AROUND.items()
        for metric, unit, better, meaning in (
            ("psnr", "dB", "higher", "where avatar or truth is"),
            ("haarpsi_distance", "0..1", "lower", "there: 1 − HaarPSI"),
            ("iou", "0..1", "higher", "IoU of the outlines"),
        )
    },
    "face_mm": Figure("mm", "lower", "distance of the faces' surfaces at rest, sizes aligned"),
}
"""By name. What is not listed is shown without a unit."""


def figure_of(name: str) -> Figure:
    """The entry of FIGURES; an unknown figure has no unit and no better way."""
    return FIGURES.get(name, Figure("", "", ""))


def mean_figures(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every figure over the rows that have it; NaN counts as not having it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _mean([row.get(name, math.nan) for row in rows]) for name in names}


def total_figures(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over the pictures of one input; `unseen` is counted."""
    return mean_figures(rows) | {"unseen": sum(row["unseen"] for row in rows)}


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan
