"""The avatars between two, step by step: pictures, and how alike each is to the two."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.avatar.interpolate import interpolate
from flexavatar.capture.cropped_frame import find_face
from flexavatar.capture.identity import face_descriptor
from flexavatar.drive.expressions import pair
from flexavatar.errors import InputError
from flexavatar.evaluation.sheet import SMILE, TILE, Stage, montage
from flexavatar.render.camera import orbit, resize_camera

MOST_STEPS = 40
TALKING = SMILE | pair("eyeBlink", 0.6) | {"jawOpen": 0.4}

Rgb8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Between:
    """One of the avatars on the way."""

    share: float  # of the second
    from_a: float
    """Distance of dlib's face descriptors, at rest from the front; two photos of one person are
    usually below 0.6. NaN where no face is seen."""
    from_b: float


@torch.no_grad()
def morph_sheet(a: AnyAvatar, b: AnyAvatar, steps: int = 9) -> tuple[Rgb8, list[Between]]:
    """The avatars between two, labelled with the share of `b`: RGB [H, W, 3], and their likeness.

    A row of each one's own view, one from the side, one that talks. Raises InputError for two that
    cannot be interpolated, or a number of steps that is not 2..40.
    """
    if not 2 <= steps <= MOST_STEPS:
        raise InputError(f"steps: expected 2..{MOST_STEPS}, got {steps}")
    shares: list[float] = torch.linspace(0, 1, steps).tolist()
    rows: tuple[list[tuple[str, Rgb8]], ...] = ([], [], [])
    for share in shares:
        stage = Stage.of(interpolate(a, b, share))
        camera = resize_camera(stage.avatar.camera, TILE, TILE)
        rows[0].append((f"{share:.3f}", stage.shoot(stage.avatar.codes, camera)))
        rows[1].append(("yaw +40", stage.shoot(stage.codes({}), orbit(camera, 40))))
        rows[2].append(("talking", stage.shoot(stage.codes(TALKING), camera)))
    who = [_described(picture) for _, picture in rows[0]]
    likeness = [
        Between(share, float(np.linalg.norm(d - who[0])), float(np.linalg.norm(d - who[-1])))
        for share, d in zip(shares, who, strict=True)
    ]
    return montage([tile for row in rows for tile in row], steps), likeness


def _described(picture: Rgb8) -> NDArray[np.float64]:
    """The face descriptor [128], NaN where no face is seen."""
    face = find_face(np.asarray(picture / 255, np.float32))
    return np.full(128, math.nan) if face is None else face_descriptor(picture, face)
