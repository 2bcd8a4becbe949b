"""Several avatars moved at once: one on a GPU costs as many kernels as all of them together.

Their meshes lie behind each other as one, and so do their splats, texels and maps: what moves one
avatar (`Animator`) moves all, in torch and on any device. On the CPU the compiled path is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from flexavatar.avatar.avatar import Animator
from flexavatar.avatar.expression_deformer import ExpressionChange
from flexavatar.avatar.expression_network import JoinedNetworks, Taps
from flexavatar.avatar.poser import lid_difference, without_head_pose
from flexavatar.errors import InputError
from flexavatar.head.binding import Binding, LocalSplats, deform
from flexavatar.head.eyelids import eyelid_openings, eyelid_visibility
from flexavatar.head.flame import FlameHead, joint_transforms, skin
from flexavatar.render.deform import SurfaceTracker
from flexavatar.types import EXPRESSION_SIZE, FlameCodes, Gaussians


class Crowd:
    """B animators of one rig, with one network or none."""

    def __init__(self, animators: Sequence[Animator], rig: FlameHead) -> None:
        """On the device of the rig. Raises InputError unless all change by the same network."""
        avatars = [animator.avatar for animator in animators]
        self._rig, self._sizes = rig, [len(avatar) for avatar in avatars]
        self._neutral = torch.stack([avatar.neutral for avatar in avatars])  # [B, V, 3]
        self._joints = torch.stack([animator.joints for animator in animators])
        self._lids = torch.stack([lid_difference(a.head, rig) for a in animators])  # [B, 3 V, 4]
        starts = [0, *accumulate(self._sizes)][:-1]
        ids = [a.binding.vertex_ids + i * len(rig.template) for i, a in enumerate(avatars)]
        self._binding = Binding(torch.cat(ids), torch.cat([a.binding.bary for a in avatars]))
        parts = zip(*(vars(avatar.splats).values() for avatar in avatars), strict=True)
        self._splats = LocalSplats(*map(torch.cat, parts))
        self._opacities = torch.cat([avatar.opacities for avatar in avatars])
        self._sh = torch.cat([avatar.sh for avatar in avatars])
        trackers = [SurfaceTracker(avatar.neutral, rig.faces) for avatar in avatars]
        self._surface = SurfaceTracker.joined(trackers, len(rig.template))
        self._prepare_lids(animators, starts)
        self._prepare_changes(animators, starts)

    def _prepare_lids(self, animators: Sequence[Animator], starts: Sequence[int]) -> None:
        """Which splats fold away with whose lids."""
        own = [animator.avatar.lids.any(1).nonzero().squeeze(1) for animator in animators]
        self._folding = torch.cat([x + start for x, start in zip(own, starts, strict=True)])
        self._owner = torch.cat([torch.full_like(x, i) for i, x in enumerate(own)])
        lids = [animator.avatar.lids[x] for animator, x in zip(animators, own, strict=True)]
        self._fold_shares = torch.cat(lids)
        self._usual = torch.stack([animator.usual_openings for animator in animators])

    def _prepare_changes(self, animators: Sequence[Animator], starts: Sequence[int]) -> None:
        """What the network changes, of all."""
        networks = [a.expressor for a in animators if a.expressor is not None]
        if len(networks) not in (0, len(animators)):
            raise InputError("crowd: expected avatars that all change, or none of them")
        self._networks = JoinedNetworks(networks) if networks else None
        if not networks:
            return
        changes = [animator.avatar.dynamic for animator in animators]
        ids = [c.splats + start for c, start in zip(changes, starts, strict=True) if c is not None]
        count = networks[0].taps.count
        rows = [network.taps.rows + i * count for i, network in enumerate(networks)]
        shares = torch.cat([network.taps.shares for network in networks])
        taps = Taps(torch.cat(rows), shares, count * len(networks))
        self._changing = ExpressionChange(self._opacities, self._sh, torch.cat(ids), taps)

    def __len__(self) -> int:
        return len(self._sizes)

    def animate(self, codes: FlameCodes) -> list[Gaussians]:
        """One instant of each: codes with a leading axis of B, on the device."""
        posed = self._vertices(codes)
        splats, opacities, sh = self._splats, self._opacities, self._sh
        if self._networks is not None:
            moves = self._vertices(without_head_pose(codes)) - self._neutral
            change = self._networks.change(moves)
            splats, opacities, sh = self._changing.apply(splats, change)
        moved = deform(self._binding, splats, self._surface.motion(posed.flatten(0, 1)))
        fields = (*moved, self._fold_with_lids(opacities, posed), sh)
        parts = zip(*(x.split(self._sizes) for x in fields), strict=True)
        return [Gaussians(*own) for own in parts]

    def _vertices(self, codes: FlameCodes) -> Tensor:
        """[B, V, 3] metres."""
        weights, rig = self._rig.blend_weights(codes), self._rig
        lids = weights[:, EXPRESSION_SIZE : EXPRESSION_SIZE + self._lids.shape[-1]]
        moves = weights[:, rig.active_columns] @ rig.active_basis.T
        moves = moves + (self._lids @ lids[..., None]).squeeze(-1)
        shaped = self._neutral + moves.unflatten(1, (-1, 3))
        posed = skin(shaped, rig.lbs_weights, joint_transforms(self._joints, codes))
        return posed + codes.transl[:, None]

    def _fold_with_lids(self, opacities: Tensor, posed: Tensor) -> Tensor:
        """As an Animator's: [G], [B, V, 3] -> [G]."""
        if not self._rig.rings or not len(self._folding):
            return opacities
        hidden = 1 - eyelid_visibility(eyelid_openings(self._rig, posed), self._usual)  # [B, 2]
        left = 1 - (self._fold_shares * hidden[self._owner]).sum(-1)
        return opacities.index_copy(0, self._folding, opacities[self._folding] * left)


def stack_codes(codes: Sequence[FlameCodes]) -> FlameCodes:
    """Unbatched codes with a leading axis."""
    fields = zip(*(vars(own).values() for own in codes), strict=True)
    return FlameCodes(*(torch.stack(own) for own in fields))
