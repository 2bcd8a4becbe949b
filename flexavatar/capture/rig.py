"""The open head as the tracker sees it, and tracked photos as codes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from flexavatar.capture.embed import load_embedding
from flexavatar.capture.track import PhotoPose, TrackRig
from flexavatar.head.arkit import ARKIT_NAMES, arkit_vector_to_flame
from flexavatar.head.arkit_fit import arkit_displacements, load_arkit_basis
from flexavatar.head.binding import Binding
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.types import FlameCodes


@lru_cache(maxsize=1)
def load_track_rig() -> TrackRig:
    """The open head reduced to its landmarks."""
    head = load_open_head()
    binding = load_embedding()
    shapes = arkit_displacements(head)  # [52, V, 3]
    eyes = head.joint_regressor[3:]  # [2, V]
    return TrackRig(
        points=_interpolate(head.template, binding),
        identity=_interpolate(head.identity, binding),
        expression=_interpolate(shapes.permute(1, 2, 0), binding),
        shape_names=ARKIT_NAMES,
        eye_centres=(eyes @ head.template).double().numpy(),
        eye_identity=torch.einsum("jv,vcb->jcb", eyes, head.identity).double().numpy(),
    )


def _interpolate(field: Tensor, binding: Binding) -> np.ndarray:
    """A vertex field at the landmarks: [V, ...] -> [478, ...]."""
    picked = torch.einsum("nk...,nk->n...", field[binding.vertex_ids], binding.bary)
    return picked.double().numpy()


def photo_codes(pose: PhotoPose, head: FlameHead) -> FlameCodes:
    """A tracked photo's expression and gaze as codes; the head itself stays at rest."""
    weights = torch.from_numpy(pose.weights).float()
    codes = arkit_vector_to_flame(weights, load_arkit_basis(head))
    gaze = torch.from_numpy(pose.gaze).float()
    zero = torch.zeros(2, 1)
    left, right = torch.cat((gaze, zero), 1)
    return FlameCodes(**{**vars(codes), "leye_pose": left, "reye_pose": right})
