"""Whether a face is human, and whether two are one person's, by dlib's networks (CC0).

MediaPipe finds landmarks on monkeys and dolls as readily as on people; dlib's face detector
scores people above 1.0 and a capuchin 0.08. The descriptor puts photos of one person 0.3-0.5 apart,
strangers 0.6-0.9.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.landmarks import FaceLandmarks, level_warp
from flexavatar.errors import AssetError, FaceError

HUMAN_SCORE = 0.5
SAME_PERSON = 0.6
"""Distance above which two photos show different people (dlib's own threshold)."""

FIVE_POINTS = (263, 362, 33, 133, 2)
"""MediaPipe's landmarks for dlib's five: left eye outer, inner; right eye outer, inner; nose."""

_lock = threading.Lock()


def _model(name: str) -> str:
    """Path of a model file, without importing its package (which needs the old pkg_resources)."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise AssetError("identity: expected the package face-recognition-models, found none")
    return str(Path(spec.origin).parent / "models" / name)


@lru_cache(maxsize=1)
def _descriptor_net() -> Any:
    import dlib

    return dlib.face_recognition_model_v1(_model("dlib_face_recognition_resnet_model_v1.dat"))


@lru_cache(maxsize=1)
def _human_net() -> Any:
    import dlib

    return dlib.cnn_face_detection_model_v1(_model("mmod_human_face_detector.dat"))


def human_score(rgb: NDArray[np.uint8], face: FaceLandmarks, side: int = 220) -> float:
    """Confidence of dlib's detector that a face is a person's; people score about 1."""
    crop_side = 2.2 * float(np.ptp(face.points[:, :2], axis=0).max())
    warp = level_warp(face.centre, (side / 2, side / 2), side / crop_side, face.tilt)
    crop = cv2.warpAffine(rgb, warp, (side, side), flags=cv2.INTER_AREA)
    with _lock:
        found = _human_net()(np.ascontiguousarray(crop), 0)
    return max((float(f.confidence) for f in found), default=0.0)


def face_descriptor(rgb: NDArray[np.uint8], face: FaceLandmarks) -> NDArray[np.float64]:
    """The face descriptor, [128]; Euclidean distance compares two."""
    import dlib

    low, high = face.points[:, :2].min(0), face.points[:, :2].max(0)
    box = dlib.rectangle(*(int(v) for v in (*low, *high)))
    points = [dlib.point(int(x), int(y)) for x, y in face.points[list(FIVE_POINTS), :2]]
    shape = dlib.full_object_detection(box, points)
    with _lock:
        return np.array(_descriptor_net().compute_face_descriptor(np.ascontiguousarray(rgb), shape))


def check_human(rgb: NDArray[np.uint8], face: FaceLandmarks) -> None:
    """Raise FaceError if the face is not a person's."""
    score = human_score(rgb, face)
    if score < HUMAN_SCORE:
        raise not_human(score)


def not_human(score: float) -> FaceError:
    """What is wrong with a face of this score."""
    return FaceError(f"expected a human face, found something like one (score {score:.2f} of 1)")


def check_same_person(descriptors: Sequence[NDArray[np.float64]], names: Sequence[str]) -> None:
    """Raise FaceError naming a picture that is not of the person whom most pictures show."""
    groups = group_by_person(descriptors)
    person = max(groups, key=groups.count, default=0)
    for name, group, descriptor in zip(names, groups, descriptors, strict=True):
        if group != person:
            apart = float(np.linalg.norm(descriptor - descriptors[person]))
            raise FaceError(
                f"expected pictures of one person: {name} shows another than {names[person]} "
                f"(distance {apart:.2f}, one person stays under {SAME_PERSON})"
            )


def group_by_person(descriptors: Sequence[NDArray[np.float64]]) -> list[int]:
    """Clusters of descriptors within SAME_PERSON: for each the index of its cluster's first."""
    if not descriptors:
        return []
    stacked = np.stack(descriptors)
    return _connected_groups(
        np.linalg.norm(stacked[:, None] - stacked[None], axis=-1) < SAME_PERSON
    )


def _connected_groups(near: NDArray[np.bool_]) -> list[int]:
    """Connected groups of a symmetric relation: the lowest member's index for each."""
    reach = near.copy()
    for _ in range(len(near)):
        reach = reach @ reach
    return [int(np.flatnonzero(row)[0]) for row in reach]
