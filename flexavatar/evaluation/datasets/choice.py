"""Which of many cameras' pictures avatars are made from, and which one is held out.

The papers do not say which cameras they took. Ours are found by the faces alone, so no
calibration is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.landmarks import FaceLandmarks, detect_face
from flexavatar.errors import FaceError
from flexavatar.evaluation.datasets.sources import as_png

INPUTS = 4
NOSE, RIGHT_CHEEK, LEFT_CHEEK = 1, 234, 454


def choose(pictures: Sequence[NDArray[np.uint8]]) -> tuple[bytes, ...]:
    """Up to INPUTS photos and one held out, as files; empty if under two show a face.

    The first is the most frontal. The others spread evenly from the leftmost to the rightmost; the
    one to be held out lies between the middle and one end.
    """
    seen = [(turn, p) for p in pictures if (turn := _turn_in(p)) is not None]
    seen.sort(key=lambda one: one[0])
    if len(seen) < 2:
        return ()
    front = min(range(len(seen)), key=lambda i: abs(seen[i][0]))
    held = (front + len(seen) - 1) // 2 if front < len(seen) - 1 else 0
    if held == front:
        held = front + 1
    rest = [i for i in range(len(seen)) if i not in (front, held)]
    spread = np.linspace(0, len(rest) - 1, min(INPUTS - 1, len(rest))).round().astype(int)
    order = [front, *(rest[i] for i in spread), held]
    return tuple(as_png(seen[i][1]) for i in order)


def _turn_in(picture: NDArray[np.uint8]) -> float | None:
    try:
        return turn(detect_face(picture))
    except FaceError:
        return None


def turn(face: FaceLandmarks) -> float:
    """How far a face is turned: 0 ahead, -1 and 1 where the nose meets the cheeks' outline."""
    nose, right, left = face.points[[NOSE, RIGHT_CHEEK, LEFT_CHEEK], 0]
    return float((2 * nose - right - left) / max(abs(left - right), 1e-6))
