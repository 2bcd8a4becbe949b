"""Displacement fields of a posed head, taken back to before skinning."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flexavatar.head.arkit import ARKIT_INDEX, analytic_basis, arkit_vector_to_flame
from flexavatar.head.flame import FlameHead, joint_transforms


def offsets_before_skinning(head: FlameHead, fields: Tensor) -> Tensor:
    """What is left of the 52 ARKit fields beside jaw, gaze and lids: [52, V, 3] -> [52, V, 3].

    Adding the offsets before skinning gives the fields at weight 1. `mouthClose` is taken with the
    jaw open, where alone it is used. Eyeballs keep to their joints.
    """
    weights = torch.eye(52)
    close, jaw = ARKIT_INDEX["mouthClose"], ARKIT_INDEX["jawOpen"]
    weights[close, jaw] = 1
    codes = arkit_vector_to_flame(weights, analytic_basis(head.jaw_pitch))
    codes = replace(codes, correctives=torch.zeros(52, head.correctives.shape[-1]))
    targets = head.template + (weights @ fields.flatten(1)).unflatten(1, (-1, 3))
    transforms = joint_transforms(head.joints(head.template).expand(52, -1, -1), codes)
    blended = (head.lbs_weights @ transforms[..., :3, :].flatten(-2)).unflatten(-1, (3, 4))
    still = torch.linalg.solve(blended[..., :3], targets - blended[..., 3])
    offsets = still - head.template - head.offsets(codes)
    offsets[close] -= offsets[jaw]
    offsets[:, head.lbs_weights[:, 3:].sum(1) > 0.5] = 0
    return offsets


def lid_arcs(head: FlameHead) -> Tensor:
    """What keeps a half-closed lid as far from the eyeball's centre as its way suggests: [V, 3, 2].

    On the straight way from open to closed a lid cuts through the ball; half way it is pushed out
    to the mean of its distances at both ends.
    """
    centres = head.joints(head.template)[3:]  # [2, 3]
    arms = head.template[:, None] - centres  # [V, 2, 3]
    moves = head.eyelids.transpose(1, 2)
    half = arms + moves / 2
    distance = half.norm(dim=-1)
    wanted = (arms.norm(dim=-1) + (arms + moves).norm(dim=-1)) / 2
    push = (wanted - distance).clamp_min(0) * (moves.norm(dim=-1) > 1e-5)
    return (half / distance.clamp_min(1e-6)[..., None] * push[..., None]).transpose(1, 2)
