"""Expressions asked of an avatar, drawn in its own view, and read back by MediaPipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.capture.landmarks import FaceLandmarks, find_face
from flexavatar.errors import FaceError
from flexavatar.evaluation.avatar_renderer import AvatarRenderer

Weights = Mapping[str, float]
CROP_PX = 176


@dataclass(frozen=True)
class Readback:
    """One drawn expression and the face that MediaPipe finds in it."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    face: FaceLandmarks | None

    def score(self, name: str) -> float:
        """MediaPipe's score of an ARKit shape 0..1; NaN if no face was found."""
        return math.nan if self.face is None else self.face.scores.get(name, 0.0)

    def mean_score(self, *names: str) -> float:
        """Mean score of several shapes."""
        return sum(self.score(name) for name in names) / len(names)


class ExpressionProbe:
    """Asks expressions of one avatar."""

    def __init__(self, avatar: AnyAvatar) -> None:
        """Raises FaceError if no face is found in the avatar at rest."""
        self._renderer = AvatarRenderer.of(avatar)
        self.rest = self.read_back({})
        if self.rest.face is None:
            raise FaceError("expected a face in the avatar at rest, found none")
        self._face = self.rest.face

    def read_back(self, weights: Weights) -> Readback:
        """Draw the avatar with these ARKit weights and look for its face."""
        renderer = self._renderer
        rgb = renderer.render(renderer.codes(weights), renderer.avatar.camera)
        return Readback(rgb, find_face(rgb))

    def crop(self, readback: Readback) -> NDArray[np.uint8]:
        """The picture cropped to the face at rest: [CROP_PX, CROP_PX, 3]."""
        scale = CROP_PX / (1.35 * float(np.ptp(self._face.points[:, 1])))
        shift = CROP_PX / 2 - scale * self._face.centre
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        size = (CROP_PX, CROP_PX)
        return np.asarray(
            cv2.warpAffine(readback.rgb, matrix, size, flags=cv2.INTER_AREA), np.uint8
        )
