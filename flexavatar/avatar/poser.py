"""One person's mesh in any pose: what every kind of avatar moves with, or is measured by."""

from __future__ import annotations

import torch
from torch import Tensor

from flexavatar.errors import AssetError
from flexavatar.head.eyelids import fit_eyelids
from flexavatar.head.flame import FlameHead, joint_transforms, skin
from flexavatar.head.open_head import load_open_head
from flexavatar.render.deform import Skinner
from flexavatar.types import EXPRESSION_SIZE, FlameCodes


class Poser:
    """Turns codes into a posed mesh; holds what does not change from frame to frame.

    On the CPU the compiled path is taken. What it returns are the calling thread's buffers: its
    next call overwrites them.
    """

    def __init__(self, neutral: Tensor, head: FlameHead | None = None) -> None:
        """`neutral` [V, 3] is a person at rest. Raises AssetError if it is of another rig."""
        head = head or load_open_head()
        check_rig(neutral, head)
        self.neutral = neutral
        self.head = rig_with_own_lids(neutral, head)
        self.joints = self.head.joints(neutral)
        if neutral.is_cuda:
            self._rig, self._own_lids = head, lid_difference(self.head, head)
        else:
            basis = self.head.active_basis.unflatten(0, (-1, 3)).permute(2, 0, 1)
            self._skinner = Skinner(neutral, basis, self.head.lbs_weights)

    def vertices(self, codes: FlameCodes) -> Tensor:
        """The posed mesh: [V, 3] metres."""
        if self.neutral.is_cuda:
            return self._vertices_in_torch(codes)
        weights = self.head.blend_weights(codes)[self.head.active_columns]
        return self._skinner.pose(weights, self.transforms(codes))

    def _vertices_in_torch(self, codes: FlameCodes) -> Tensor:
        """The shapes of the rig, which all people on a device share, and this person's lids."""
        weights = self._rig.blend_weights(codes)
        lids = weights[EXPRESSION_SIZE : EXPRESSION_SIZE + self._own_lids.shape[1]]
        moves = self._rig.active_basis @ weights[self._rig.active_columns] + self._own_lids @ lids
        shaped = self.neutral + moves.unflatten(0, (-1, 3))
        return skin(shaped, self._rig.lbs_weights, self.transforms(codes))

    def transforms(self, codes: FlameCodes) -> Tensor:
        """Where each joint takes what moves with it, `transl` included: [5, 4, 4]."""
        moves = joint_transforms(self.joints, codes)
        moves[:, :3, 3] += codes.transl
        return moves


def lid_difference(own: FlameHead, rig: FlameHead) -> Tensor:
    """What a person's lids and arcs add to the rig's columns of them: [3 V, 4]."""
    parts = (own.eyelids - rig.eyelids, own.lid_arcs - rig.lid_arcs)
    return torch.cat(parts, -1).flatten(0, 1)


def check_rig(neutral: Tensor, head: FlameHead) -> None:
    """Raise AssetError unless a person at rest [V, 3] was made on this rig."""
    if len(neutral) != len(head.template):
        raise AssetError(
            f"avatar: expected a head of {len(head.template)} vertices, "
            f"got {len(neutral)}: it was made on another rig"
        )


def rig_with_own_lids(neutral: Tensor, head: FlameHead) -> FlameHead:
    """The rig with eyelids fitted to this person, where it knows its lids: [V, 3]."""
    return fit_eyelids(head, neutral) if head.rings else head


def without_head_pose(codes: FlameCodes) -> FlameCodes:
    """The same face on a head at rest: no neck, no turn, no shift."""
    zero = torch.zeros_like(codes.transl)
    return FlameCodes(**{**vars(codes), "global_orient": zero, "neck_pose": zero, "transl": zero})
