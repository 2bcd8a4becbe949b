"""The avatars between two, step by step: pictures, and how alike each is to the two."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.avatar.interpolate import interpolate
from flexavatar.capture.identity import face_descriptor
from flexavatar.capture.landmarks import find_face
from flexavatar.drive.expressions import both
from flexavatar.errors import InputError
from flexavatar.evaluation.avatar_renderer import AvatarRenderer, Rgb8
from flexavatar.evaluation.contact_sheet import SMILE, TILE, montage
from flexavatar.render.camera import orbit, resize_camera

MOST_STEPS = 40
TALKING = SMILE | both("eyeBlink", 0.6) | {"jawOpen": 0.4}


@dataclass(frozen=True)
class MorphStep:
    """One avatar between two, and how unlike its face is to theirs."""

    share: float  # of the second
    distance_to_a: float
    """Distance of dlib's face descriptors, at rest from the front; two photos of one person are
    usually below 0.6. NaN where no face is seen."""
    distance_to_b: float


@torch.no_grad()
def morph_sheet(a: AnyAvatar, b: AnyAvatar, steps: int = 9) -> tuple[Rgb8, list[MorphStep]]:
    """The avatars between two, labelled with the share of `b`: RGB [H, W, 3], and their likeness.

    A row of each one's own view, one from the side, one that talks. Raises InputError for two that
    cannot be interpolated, or a number of steps that is not 2..40.
    """
    if not 2 <= steps <= MOST_STEPS:
        raise InputError(f"steps: expected 2..{MOST_STEPS}, got {steps}")
    shares: list[float] = torch.linspace(0, 1, steps).tolist()
    rows: tuple[list[tuple[str, Rgb8]], ...] = ([], [], [])
    for share in shares:
        renderer = AvatarRenderer.of(interpolate(a, b, share))
        camera = resize_camera(renderer.avatar.camera, TILE, TILE)
        rows[0].append((f"{share:.3f}", renderer.render(renderer.avatar.codes, camera)))
        rows[1].append(("yaw +40", renderer.render(renderer.codes({}), orbit(camera, 40))))
        rows[2].append(("talking", renderer.render(renderer.codes(TALKING), camera)))
    descriptors = [_face_descriptor(picture) for _, picture in rows[0]]
    likeness = [
        MorphStep(share, _distance(own, descriptors[0]), _distance(own, descriptors[-1]))
        for share, own in zip(shares, descriptors, strict=True)
    ]
    return montage([tile for row in rows for tile in row], steps), likeness


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(one - other))


def _face_descriptor(picture: Rgb8) -> NDArray[np.float64]:
    """The face descriptor [128], NaN where no face is seen."""
    face = find_face(picture)
    return np.full(128, math.nan) if face is None else face_descriptor(picture, face)
