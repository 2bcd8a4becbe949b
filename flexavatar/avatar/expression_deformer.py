"""Splats that change with the expression before they move with the mesh, compiled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.expression_network import Taps
from flexavatar.avatar.uv_maps import NeutralSplats, apply_change
from flexavatar.head.binding import Binding, LocalSplats, deform
from flexavatar.models.channels import MAP_CHANNELS
from flexavatar.render import native
from flexavatar.render.deform import LANES, Deformer, blocks, posed_input
from flexavatar.types import SH_C0, Gaussians, check_ids


@dataclass(frozen=True)
class ExpressionChange:
    """What an expression changes of N splats beside moving them, and how it is read."""

    opacities: Tensor  # [N] 0..1, at rest
    sh: Tensor  # [N, 1, 3] at rest
    ids: Tensor  # [D] int64, rising: the splats that change
    taps: Taps  # D

    def apply(self, splats: LocalSplats, change: Tensor) -> tuple[LocalSplats, Tensor, Tensor]:
        """By an ExpressionNetwork's result [R, 14]: splats, opacities [N] and sh [N, 1, 3].

        Colours outside 0..1 change as if they were at the border. The reference, on any device.
        """
        ids = self.ids
        local = LocalSplats(splats.offsets[ids], splats.quats[ids], splats.scales[ids])
        colors = (0.5 + SH_C0 * self.sh[ids, 0]).clamp(0, 1)
        before = NeutralSplats(local, self.opacities[ids], colors)
        after = apply_change(before, self.taps.interpolate(change))
        moved = (
            old.index_copy(0, ids, new)
            for old, new in zip(vars(splats).values(), vars(after.local).values(), strict=True)
        )
        sh = self.sh.index_add(0, ids, ((after.colors - colors) / SH_C0)[:, None])
        return LocalSplats(*moved), self.opacities.index_copy(0, ids, after.opacities), sh


class ExpressionDeformer(Deformer):
    """`ExpressionChange.apply`, then `head.binding.deform`, in one pass."""

    def __init__(
        self,
        template: Tensor,  # [V, 3] neutral vertices, metres
        faces: Tensor,  # [F, 3]
        binding: Binding,  # N
        splats: LocalSplats,  # N
        changing: ExpressionChange,  # N
    ) -> None:
        """Raises InputError if shapes or indices do not fit."""
        super().__init__(template, faces, binding, splats)
        check_ids("changing splats", changing.ids, len(binding))
        check_ids("taps", changing.taps.rows, changing.taps.count)
        self._changing = changing
        if self._library is None:
            return
        self._planned = _blocked_change(changing)
        self._changes = native.ChangePlan(*(x.data_ptr() for x in self._planned))

    def _buffers(self) -> tuple[native.DeformOutput, list[Tensor]]:
        """This thread's scratch and results, the last two as they are at rest."""
        if not hasattr(self._local, "buffers"):
            output, tensors = super()._buffers()
            own = [
                x.detach().float().clone() for x in (self._changing.opacities, self._changing.sh)
            ]
            output.opacities, output.sh = (x.data_ptr() for x in own)
            self._local.buffers = output, [*tensors, *own]
        return self._local.buffers

    def deform_with_change(self, vertices: Tensor, change: Tensor) -> Gaussians:
        """Posed vertices [V, 3] and an ExpressionNetwork's result [R, 14] to Gaussians.

        No gradients. The results are this thread's buffers: its next call overwrites them.
        """
        if self._library is None:
            splats, *looks = self._changing.apply(self.splats, change)
            return Gaussians(*deform(self.binding, splats, self._motion(vertices)), *looks)
        table = posed_input("change", change, self._changing.taps.count, MAP_CHANNELS)
        return Gaussians(*self._run(vertices, self._changes, table))


def _blocked_change(changing: ExpressionChange) -> tuple[Tensor, ...]:
    """Blocks of which a splat changes, as native/deform.h wants them."""
    looks = torch.cat((changing.opacities[:, None], changing.sh[:, 0]), 1).detach().float()
    count = -(-len(looks) // LANES)  # of blocks
    own = torch.unique(changing.ids // LANES)
    number = torch.full((count,), -1, dtype=torch.int32)
    number[own] = torch.arange(len(own), dtype=torch.int32)
    rows, shares = changing.taps.rows, changing.taps.shares
    texels = rows.new_zeros(len(looks), rows.shape[1]).index_copy(0, changing.ids, rows)
    weights = shares.new_zeros(len(looks), shares.shape[1]).index_copy(0, changing.ids, shares)
    blocked = (blocks(x, LANES)[own].contiguous() for x in (texels.int(), weights.float(), looks))
    return number, *blocked
