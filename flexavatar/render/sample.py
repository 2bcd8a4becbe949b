"""A field over a mesh, read at points of its surface in every frame, compiled."""

from __future__ import annotations

import ctypes
import threading

import torch
from torch import Tensor

from flexavatar.head.binding import Binding
from flexavatar.render import native
from flexavatar.render.deform import LANES, blocks, posed_input
from flexavatar.types import check_ids, check_shape


class SurfaceSampler:
    """Reads [V, 3] at bound points and writes each to a row of its own of a table [R, 3]."""

    def __init__(
        self,
        vertices: int,
        binding: Binding,  # T points
        rows: Tensor,  # [T] int64, each once
        count: int,
        gain: float,
    ) -> None:
        """The table has `count` rows, zero but for `rows`; what is read is multiplied by `gain`.

        It works where the binding is. Raises InputError if shapes or indices do not fit.
        """
        points = len(binding)
        check_shape("rows", rows, points)
        check_ids("binding", binding.vertex_ids, vertices)
        check_ids("rows", rows, count)
        self._vertices, self._count = vertices, count
        self._ids, self._shares, self._rows = binding.vertex_ids, gain * binding.bary.float(), rows
        self._rest = self._shares.new_zeros(count, 3)
        self._local = threading.local()
        self._library = None if rows.is_cuda else native.library()
        if self._library is not None:
            self._kept = (
                blocks(self._ids.int(), LANES),
                blocks(self._shares, LANES),
                rows.int().contiguous(),
            )
            self._plan = native.SamplePlan(points, *(x.data_ptr() for x in self._kept))

    def sample(self, field: Tensor | None) -> Tensor:
        """The table [R, 3] of a field [V, 3]; None is zero everywhere.

        No gradients. The result may be this thread's buffer: its next call overwrites it.
        """
        if field is None:
            return self._rest
        if self._library is None:
            check_shape("field", field, self._vertices, 3)
            points = torch.einsum("tkc,tk->tc", field[self._ids].float(), self._shares)
            return self._rest.index_copy(0, self._rows, points)
        values = posed_input("field", field, self._vertices, 3)
        if not hasattr(self._local, "table"):
            self._local.table = self._rest.clone()
        table: Tensor = self._local.table
        if self._library.flex_sample(ctypes.byref(self._plan), values.data_ptr(), table.data_ptr()):
            raise MemoryError("no memory to sample the surface")
        return table
