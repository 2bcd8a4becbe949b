"""A head rig in FLAME's form: identity, expression, eyelids, five joints and linear blend skinning.

Joints and pose correctives follow Li et al., "Learning a model of facial shape and expression from
4D scans" (SIGGRAPH Asia 2017), section 3. Eyelids, their arcs and the corrective fields are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from flexavatar.head.binding import identity_like
from flexavatar.types import EXPRESSION_SIZE, PARENTS, FlameCodes, check_shape


@dataclass(frozen=True)
class PosedHead:
    """A head in one pose."""

    vertices: Tensor  # [..., V, 3] metres
    transforms: Tensor  # [..., 5, 4, 4] neutral to posed, per joint


@dataclass(frozen=True, eq=False)
class FlameHead:
    """A rig: right-handed, y up, face to +z, character's left at +x, metres."""

    template: Tensor  # [V, 3]
    identity: Tensor  # [V, 3, B] coefficients ~ N(0, 1)
    expression: Tensor  # [V, 3, 100] zero where the rig has fewer
    eyelids: Tensor  # [V, 3, 2] left, right: open to closed
    lid_arcs: Tensor  # [V, 3, 2] added half way, so that the lid goes round the eyeball
    correctives: Tensor  # [V, 3, C]
    pose_correctives: Tensor  # [V, 3, 36] per entry of (R - I) of neck, jaw, left eye, right eye
    joint_regressor: Tensor  # [5, V] rows sum to 1
    lbs_weights: Tensor  # [V, 5] rows sum to 1
    faces: Tensor  # [F, 3] int64
    uvs: Tensor  # [Vt, 2] u right, v up, 0..1
    uv_faces: Tensor  # [F, 3] int64
    masks: Mapping[str, Tensor]  # [V] each, 0..1
    rings: Mapping[str, Tensor]  # ordered vertex ids, int64
    mirror: Tensor  # [V] int64: the vertex on the other side; empty if the rig is not symmetric
    corrective_factors: tuple[tuple[str, ...], ...]  # one or two ARKit names, multiplied, per C
    arkit_offsets: (
        Tensor  # [52, V, 3] before skinning, beside the analytic part; [0, V, 3] if unknown
    )
    jaw_pitch: float  # radians at jawOpen 1

    def __post_init__(self) -> None:
        count = len(self.template)
        check_shape("template", self.template, count, 3)
        check_shape("identity", self.identity, count, 3, None)
        check_shape("expression", self.expression, count, 3, EXPRESSION_SIZE)
        check_shape("eyelids", self.eyelids, count, 3, 2)
        check_shape("lid_arcs", self.lid_arcs, count, 3, 2)
        check_shape("correctives", self.correctives, count, 3, len(self.corrective_factors))
        check_shape("pose_correctives", self.pose_correctives, count, 3, 36)
        check_shape("joint_regressor", self.joint_regressor, 5, count)
        check_shape("lbs_weights", self.lbs_weights, count, 5)
        check_shape("arkit_offsets", self.arkit_offsets, None, count, 3)
        check_shape("faces", self.faces, None, 3)
        check_shape("uv_faces", self.uv_faces, len(self.faces), 3)

    @cached_property
    def basis(self) -> Tensor:
        """All blendshapes, columns in the order of `blend_weights`: [3 V, K]."""
        parts = (self.expression, self.eyelids, self.lid_arcs, self.correctives)
        return torch.cat((*parts, self.pose_correctives), dim=-1).flatten(0, 1)

    @cached_property
    def active_columns(self) -> Tensor:
        """Indices of the columns of `active_basis`: [K'] int64."""
        return self.basis.abs().amax(0).nonzero().squeeze(-1)

    @cached_property
    def active_basis(self) -> Tensor:
        """The columns of `basis` that are not zero throughout: [3 V, K']."""
        return self.basis[:, self.active_columns].contiguous()

    def neutral(self, betas: Tensor) -> Tensor:
        """A person at rest: [..., B] (fewer than the rig's B is fine) -> [..., V, 3]."""
        basis = self.identity[..., : betas.shape[-1]]
        return (
            self.template + (basis.flatten(0, 1) @ betas[..., None]).unflatten(-2, (-1, 3))[..., 0]
        )

    def joints(self, neutral: Tensor) -> Tensor:
        """Joint positions of a person: [..., V, 3] -> [..., 5, 3]."""
        return self.joint_regressor @ neutral

    def blend_weights(self, codes: FlameCodes) -> Tensor:
        """Weight of each column of `basis`: [..., K].

        Raises ShapeError for codes of another rig.
        """
        for name in ("expression", "eyelids", "correctives"):
            code, size = getattr(codes, name), getattr(self, name).shape[-1]
            check_shape(name, code, *code.shape[:-1], size)
        lids = codes.eyelids
        arcs = 4 * lids.clamp_min(0) * (1 - lids)
        poses = torch.stack((codes.neck_pose, codes.jaw_pose, codes.leye_pose, codes.reye_pose), -2)
        turns = (rotation_matrix(poses) - identity_like(poses)).flatten(-3)
        return torch.cat((codes.expression, lids, arcs, codes.correctives, turns), dim=-1)

    def offsets(self, codes: FlameCodes) -> Tensor:
        """Displacement by all blendshapes, before skinning: [..., V, 3]."""
        weights = self.blend_weights(codes)[..., self.active_columns]
        return (self.active_basis @ weights[..., None]).unflatten(-2, (-1, 3)).squeeze(-1)

    def pose(self, neutral: Tensor, codes: FlameCodes) -> PosedHead:
        """Move a person: [..., V, 3], codes of the same batch -> PosedHead.

        Offsets of expression, lids, correctives and pose are added to the neutral head, then the
        five joints (placed by the neutral head) turn it, and `transl` moves it.
        """
        transforms = joint_transforms(self.joints(neutral), codes)
        vertices = skin(neutral + self.offsets(codes), self.lbs_weights, transforms)
        return PosedHead(vertices + codes.transl[..., None, :], transforms)


def rotation_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, smooth at zero: [..., 3] -> [..., 3, 3]."""
    squared = (axis_angle * axis_angle).sum(-1)[..., None, None]
    small = squared < 1e-8
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    versine = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / (angle * angle))
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))
    return identity_like(axis_angle) + sine * cross + versine * (cross @ cross)


def joint_transforms(joints: Tensor, codes: FlameCodes) -> Tensor:
    """Neutral-to-posed transform of each joint, without `transl`: [..., 5, 3] -> [..., 5, 4, 4]."""
    poses = (codes.global_orient, codes.neck_pose, codes.jaw_pose, codes.leye_pose, codes.reye_pose)
    turns = rotation_matrix(torch.stack(poses, -2))  # [..., 5, 3, 3]
    moves = joints - (turns @ joints[..., None]).squeeze(-1)  # each joint turns about itself
    bottom = identity_like(joints, 4)[3:].expand(*moves.shape[:-1], 1, 4)
    local = torch.cat((torch.cat((turns, moves[..., None]), -1), bottom), -2)
    chain: list[Tensor] = []
    for joint, parent in enumerate(PARENTS):
        own = local[..., joint, :, :]
        chain.append(own if parent < 0 else chain[parent] @ own)
    return torch.stack(chain, -3)


def skin(vertices: Tensor, weights: Tensor, transforms: Tensor) -> Tensor:
    """Linear blend skinning: [..., V, 3], [V, J], [..., J, 4, 4] -> [..., V, 3]."""
    blended = (weights @ transforms[..., :3, :].flatten(-2)).unflatten(-1, (3, 4))  # [..., V, 3, 4]
    rotated = (blended[..., :3] * vertices[..., None, :]).sum(-1)
    return rotated + blended[..., 3]
