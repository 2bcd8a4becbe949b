"""MediaPipe's 478 face landmarks and 52 blendshape scores of a picture."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.errors import AssetError, FaceError

MAX_FACES = 4
MIN_WIDTH_PX = 48
"""Narrower faces have no eyes to speak of."""
RIVAL_SHARE = 0.5
"""A second face this wide, beside the widest, is a person in the picture and not a bystander."""
LEVEL = np.radians(6.0)
"""A head that leans less is held as people hold their heads."""
MIN_TILE = 64
"""Pixels of the squares in which small faces are looked for."""

TURNED_DEG = 20.0
"""Degrees that a face is turned that are as bad as shut eyes."""
UPRIGHT = np.radians(5.0)
"""How far the forehead lies behind the chin in a face that looks ahead."""

_lock = threading.Lock()


@dataclass(frozen=True)
class FaceLandmarks:
    """One detected face."""

    points: NDArray[np.float32]  # [478, 3] pixels; z has x's scale, smaller is nearer
    scores: Mapping[str, float]  # MediaPipe's 52 blendshape scores by ARKit name, no tongueOut

    @property
    def width(self) -> float:
        """Pixels from the leftmost to the rightmost landmark."""
        return float(np.ptp(self.points[:, 0]))

    @property
    def centre(self) -> NDArray[np.float32]:
        """Middle of the bounding box, [2] pixels."""
        xy = self.points[:, :2]
        return (xy.min(0) + xy.max(0)) / 2

    @property
    def tilt(self) -> float:
        """Radians that the face leans to the picture's right; 0 for one that is nearly level."""
        across = self.points[454, :2] - self.points[234, :2]
        down = self.points[152, :2] - self.points[10, :2]
        x, y = across + np.array([down[1], -down[0]])
        tilt = float(np.arctan2(y, x))
        return tilt if abs(tilt) > LEVEL else 0.0

    def warped(self, warp: NDArray[np.float64]) -> FaceLandmarks:
        """In pixels to which a turn, shift and scale [2, 3] takes these."""
        xy = self.points[:, :2] @ warp[:, :2].T + warp[:, 2]
        z = self.points[:, 2:] * np.hypot(*warp[0, :2])
        return FaceLandmarks(np.concatenate((xy, z), 1).astype(np.float32), self.scores)

    @property
    def frontal_penalty(self) -> float:
        """0 for a face that looks ahead at rest; turning, shut eyes and an open mouth add to it."""
        return self.turned_deg / TURNED_DEG + self.blink + 0.5 * self.scores["jawOpen"]

    @property
    def turned_deg(self) -> float:
        """Angle between the face's direction and the line of sight, degrees."""
        across, down = self.points[454] - self.points[234], self.points[152] - self.points[10]
        yaw, pitch = (np.arctan2(v[2], np.linalg.norm(v[:2])) for v in (across, down))
        return float(np.degrees(np.hypot(yaw, pitch - UPRIGHT)))

    @property
    def blink(self) -> float:
        """Mean of both eyes, 0 open to 1 shut."""
        return 0.5 * (self.scores["eyeBlinkLeft"] + self.scores["eyeBlinkRight"])


@lru_cache(maxsize=1)
def _landmarker() -> Any:
    """The detector, made once: it is not safe to use from two threads at a time."""
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import vision

    path = Path(str(resources.files("flexavatar") / "assets/mediapipe/face_landmarker.task"))
    if not path.is_file():
        raise AssetError(f"face landmarker: expected the model file {path}, found none")
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_buffer=path.read_bytes()),
        output_face_blendshapes=True,
        num_faces=MAX_FACES,
        min_face_detection_confidence=0.4,
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)
    # Its own __del__ runs too late in a process that ends; so does atexit, after the executors.
    threading._register_atexit(landmarker.close)  # type: ignore[attr-defined]
    return landmarker


def detect_faces(rgb: NDArray[np.uint8]) -> list[FaceLandmarks]:
    """All faces in a picture [H, W, 3], the widest first; an empty list when there is none."""
    import mediapipe as mp

    image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
    with _lock:
        found = _landmarker().detect(image)
    size = np.array([rgb.shape[1], rgb.shape[0], rgb.shape[1]], np.float32)
    faces = [
        FaceLandmarks(
            np.array([(p.x, p.y, p.z) for p in points], np.float32) * size,
            MappingProxyType(
                {s.category_name: s.score for s in scores if s.category_name != "_neutral"}
            ),
        )
        for points, scores in zip(found.face_landmarks, found.face_blendshapes, strict=True)
    ]
    return sorted(faces, key=lambda face: -face.width)


def detect_face(rgb: NDArray[np.uint8]) -> FaceLandmarks:
    """The one face of a portrait, measured on a close crop for precision.

    Raises FaceError when there is none, when it is too small, or when several people are equally
    in the picture.
    """
    faces = detect_faces(rgb) or detect_faces_in_tiles(rgb, 2)
    return refine_face(rgb, check_width(main_face(faces, rgb.shape)))


def find_face(rgb: NDArray[np.uint8]) -> FaceLandmarks | None:
    """The widest face of a drawn picture [H, W, 3], measured as `detect_face` does, or None."""
    faces = detect_faces(rgb)
    return refine_face(rgb, faces[0]) if faces else None


def main_face(faces: Sequence[FaceLandmarks], shape: Sequence[int]) -> FaceLandmarks:
    """The face of `faces`, the widest first, that a picture of `shape` is about.

    Raises FaceError if there is none, or if several are.
    """
    if not faces:
        raise no_face(shape)
    rivals = [face for face in faces if face.width >= RIVAL_SHARE * faces[0].width]
    if len(rivals) > 1:
        raise FaceError(
            f"expected a picture of one face, found {len(rivals)}: crop it to one person"
        )
    return faces[0]


def no_face(shape: Sequence[int]) -> FaceError:
    """What is wrong with a picture of this shape in which nobody is found."""
    height, width = shape[:2]
    return FaceError(f"expected a picture of one face, found no face in {width} x {height} pixels")


def check_width(face: FaceLandmarks) -> FaceLandmarks:
    """The face. Raises FaceError if it is too small."""
    if face.width < MIN_WIDTH_PX:
        raise FaceError(
            f"expected a face at least {MIN_WIDTH_PX} pixels wide, got {face.width:.0f}"
        )
    return face


def refine_face(rgb: NDArray[np.uint8], face: FaceLandmarks, size: int = 512) -> FaceLandmarks:
    """Detect again on a level crop where the face fills half, which is as precise for any face."""
    side = 2.0 * float(np.ptp(face.points[:, :2], axis=0).max())
    warp = level_warp(face.centre, (size / 2, size / 2), size / side, face.tilt)
    crop = cv2.warpAffine(
        rgb, warp, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    again = detect_faces(np.asarray(crop, np.uint8))
    if not again:
        return face
    nearest = min(again, key=lambda f: float(np.linalg.norm(f.centre - size / 2)))
    return nearest.warped(np.asarray(cv2.invertAffineTransform(warp), np.float64))


def level_warp(
    centre: Sequence[float] | NDArray[np.float32],
    place: tuple[float, float],
    scale: float,
    tilt: float,
) -> NDArray[np.float64]:
    """Pixels of a picture to those of a crop, `tilt` radians level and `centre` at `place`."""
    across = scale * np.array([np.cos(tilt), np.sin(tilt)])
    turn = np.array([across, (-across[1], across[0])])
    return np.column_stack((turn, np.asarray(place) - turn @ np.asarray(centre, np.float64)))


def detect_faces_in_tiles(rgb: NDArray[np.uint8], parts: int) -> list[FaceLandmarks]:
    """Look closer, in overlapping squares whose side is one of so many parts of the shorter side.

    The detector misses faces under a tenth of what it is shown.
    """
    height, width = rgb.shape[:2]
    side = min(height, width) // parts
    if side < MIN_TILE:
        return []
    found: list[FaceLandmarks] = []
    for top in range(0, height - side + 1, side // 2):
        for left in range(0, width - side + 1, side // 2):
            for face in detect_faces(rgb[top : top + side, left : left + side]):
                moved = face.points + np.array([left, top, 0], np.float32)
                found.append(FaceLandmarks(moved, face.scores))
    return _merge_duplicates(found)


def _merge_duplicates(faces: list[FaceLandmarks]) -> list[FaceLandmarks]:
    """Drop faces that two tiles saw; keep the widest of each."""
    kept: list[FaceLandmarks] = []
    for face in sorted(faces, key=lambda f: -f.width):
        if all(np.linalg.norm(face.centre - k.centre) > 0.5 * k.width for k in kept):
            kept.append(face)
    return kept
