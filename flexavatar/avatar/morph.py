"""Two avatars driven as one, which a share makes the one, the other, or somebody between."""

from __future__ import annotations

import torch

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.avatar.bias_sink_avatar import CodedAvatar, CodedMorpher
from flexavatar.avatar.dynamic_between import ExpressorBetween
from flexavatar.avatar.interpolate import way_between
from flexavatar.avatar.pairing import Pair, check_one_rig, pair
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.render.blend import blend_gaussians
from flexavatar.types import FlameCodes, Gaussians, to_device


class Morpher:
    """Turns codes and a share into Gaussians, always as many: those of both.

    Each head is posed and carries all splats, and what lies between them is blended, so that
    a new share costs no more than an old one. It looks as `interpolate` does, driven. What it
    returns are the calling thread's buffers, for one thread at a time: the next call overwrites
    them.
    """

    def __init__(self, both: Pair, head: FlameHead) -> None:
        self._a, self._b = Animator(both.a, head), Animator(both.b, head)
        self._between = None
        if both.a.dynamic and both.b.dynamic:
            self._between = ExpressorBetween(both.a.dynamic, both.b.dynamic)
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
        moves = torch.lerp(self._a.moves(codes), self._b.moves(codes), share)
        change = self._between.change(moves, share)
        a, b = (x.carry_changed(x.vertices(codes), change) for x in (self._a, self._b))
        return a, b


def morpher(
    a: AnyAvatar, b: AnyAvatar, device: torch.device | str = "cpu"
) -> Morpher | CodedMorpher:
    """Of two avatars, on a device. Raises InputError or AssetError if nothing is between them."""
    way_between(a, b)
    head = to_device(load_open_head(), device)
    if isinstance(a, CodedAvatar) and isinstance(b, CodedAvatar):
        check_one_rig(a, b)
        return CodedMorpher(to_device(a, device), to_device(b, device), head)
    assert isinstance(a, Avatar)
    assert isinstance(b, Avatar)
    return Morpher(to_device(pair(a, b), device), head)
