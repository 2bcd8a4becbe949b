"""Two avatars driven as one, which a share makes the one, the other, or somebody between."""

from __future__ import annotations

import torch
from torch import Tensor

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.avatar.avatar_pair import AvatarPair, check_same_rig, pair_avatars
from flexavatar.avatar.bias_sink_avatar import BiasSinkAvatar, BiasSinkMorpher
from flexavatar.avatar.expression_network import Dynamics, ExpressionNetwork
from flexavatar.avatar.interpolate import interpolation_of
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import open_head_on
from flexavatar.render.blend import blend_gaussians, lerp
from flexavatar.types import FlameCodes, Gaussians, to_device

NODES = 9
"""Shares, 0 and 1 among them, at which it is known what the network says of a face at rest."""


class Morpher:
    """Turns codes and a share into Gaussians, always as many: those of both.

    Each head is posed and carries all splats, and what lies between them is blended, so that
    a new share costs no more than an old one. It looks as `interpolate` does, driven. What it
    returns are the calling thread's buffers, for one thread at a time: the next call overwrites
    them.
    """

    def __init__(self, both: AvatarPair, head: FlameHead) -> None:
        self._a, self._b = Animator(both.a, head), Animator(both.b, head)
        self._between = None
        if both.a.dynamic and both.b.dynamic:
            self._between = MorphNetwork(both.a.dynamic, both.b.dynamic)
        still = self._a.animate(both.a.codes)
        self._room = Gaussians(*(torch.empty_like(x) for x in vars(still).values()))

    def __len__(self) -> int:
        return len(self._room)

    def animate(self, codes: FlameCodes, share: float) -> Gaussians:
        """One instant: unbatched codes and 0..1 -> Gaussians in the head frame."""
        if share in (0, 1):
            return (self._b if share else self._a).animate(codes)
        return blend_gaussians(*self._instants(codes, share), share, self._room)

    def _instants(self, codes: FlameCodes, share: float) -> tuple[Gaussians, Gaussians]:
        """Of both heads. With two networks at work, each would change its own."""
        if self._between is None:
            return self._a.animate(codes), self._b.animate(codes)
        moves = torch.lerp(self._a.expression_moves(codes), self._b.expression_moves(codes), share)
        change = self._between.change(moves, share)
        a, b = (x.carry_with_change(x.vertices(codes), change) for x in (self._a, self._b))
        return a, b


class MorphNetwork:
    """An ExpressionNetwork of two people of the same weights and of all between. For one thread."""

    def __init__(self, a: Dynamics, b: Dynamics) -> None:
        """Raises AssetError where the weights are missing or are not those of the two."""
        self._own = ExpressionNetwork(a)  # whose person is written over
        self._a, self._b = self._own.person.clone(), ExpressionNetwork(b).person
        self._rest_offsets = [self._rest_offset(i / (NODES - 1)) for i in range(NODES)]
        self._share = -1.0

    @torch.inference_mode()
    def _rest_offset(self, share: float) -> Tensor:
        """`ExpressionNetwork.rest_offset` of who is `share` of the second: bordered [.., .., C]."""
        lerp(self._a, self._b, share, self._own.person)
        self._own.rest_offset.zero_()
        return -self._own.change(None).view_as(self._own.rest_offset)

    @torch.inference_mode()
    def change(self, moves: Tensor | None, share: float) -> Tensor:
        """`ExpressionNetwork.change` of who is `share` of the second: [V, 3] -> [R, 14]."""
        if share != self._share:
            lerp(self._a, self._b, share, self._own.person)
            at = share * (NODES - 1)
            low = min(int(at), NODES - 2)
            lerp(
                self._rest_offsets[low],
                self._rest_offsets[low + 1],
                at - low,
                self._own.rest_offset,
            )
            self._share = share
        return self._own.change(moves)


def make_morpher(
    a: AnyAvatar, b: AnyAvatar, device: torch.device | str = "cpu"
) -> Morpher | BiasSinkMorpher:
    """Of two avatars, on a device. Raises InputError or AssetError if nothing is between them."""
    interpolation_of(a, b)
    head = open_head_on(device)
    if isinstance(a, BiasSinkAvatar) and isinstance(b, BiasSinkAvatar):
        check_same_rig(a, b)
        return BiasSinkMorpher(to_device(a, device), to_device(b, device), head)
    assert isinstance(a, Avatar)
    assert isinstance(b, Avatar)
    return Morpher(to_device(pair_avatars(a, b), device), head)
