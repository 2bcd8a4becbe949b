"""Signals that drive K, as vectors; K assumes nothing of what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from flexavatar.errors import InputError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.head.flame import rotation_matrix
from flexavatar.models.config import SignalKind
from flexavatar.types import FlameCodes, check_shape

CORRECTIVES = 18
"""Of the open head; codes of another rig do not fit."""
SIGNAL_SIZES: Mapping[SignalKind, int] = {
    "flame": 135 + CORRECTIVES,
    "arkit": len(ARKIT_NAMES),
    "audio": 64,
}
"""Numbers of one instant. `flame` is the paper's 135 and our rig's correctives."""


def rotation_6d(axis_angle: Tensor) -> Tensor:
    """A turn as the first two columns of its matrix: [..., 3] -> [..., 6].

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks" (CVPR 2019).
    """
    return rotation_matrix(axis_angle)[..., :2].transpose(-1, -2).flatten(-2)


def flame_signal(codes: FlameCodes) -> Tensor:
    """Codes of one instant or a batch: [..., 153].

    Neck, head and position belong into it as in the paper; for the models that are trained here
    they are zero, since the head's motion is the camera's.
    """
    turns = (codes.leye_pose, codes.reye_pose, codes.neck_pose, codes.jaw_pose, codes.global_orient)
    parts = (
        codes.expression,
        codes.eyelids,
        *map(rotation_6d, turns),
        codes.transl,
        codes.correctives,
    )
    signal = torch.cat(parts, -1)
    check_shape("signal", signal, *signal.shape[:-1], SIGNAL_SIZES["flame"])
    return signal


def signal_vector(kind: SignalKind, weights: Tensor, codes: FlameCodes) -> Tensor:
    """Of an expression that is known as ARKit weights [..., 52] and as codes: [..., size].

    Raises InputError for `audio`: sound cannot be had from a face.
    """
    if kind == "flame":
        return flame_signal(codes)
    if kind == "arkit":
        check_shape("weights", weights, *weights.shape[:-1], SIGNAL_SIZES["arkit"])
        return weights
    raise InputError("signal: expected samples with sound to learn from, these have none")
