"""What an expression changes on somebody between two people: one pass of the network, not two."""

from __future__ import annotations

import torch
from torch import Tensor

from flexavatar.avatar.dynamic import Dynamics, ExpressionNetwork
from flexavatar.render.blend import lerp

NODES = 9
"""Shares, 0 and 1 among them, at which it is known what the network says of a face at rest."""


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
