"""Fitted values to the Gaussians of one view: in torch, and the same with its gradient compiled."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from flexavatar.avatar.uv_maps import MAX_LOG_SCALE, MAX_LOGIT, MAX_MOVE, REACH
from flexavatar.create.splat_motion import SplatMotion, pose_splats
from flexavatar.models.channels import CHANNELS
from flexavatar.render import native
from flexavatar.render.cpu import contiguous_float32, gaussian_arrays
from flexavatar.types import Gaussians

GROW, SHRINK = 0.6, 1.6
"""How far the logarithm of a size may move: a splat that grows more is a blur from the side."""
DRIFT = 3e-3
"""Metres a splat may move along each axis: further, it floats."""
FIELDS = ("offsets", "quats", "scales", "opacities", "colors")
"""The values, in the order of the Gaussians' fields that they become."""


class SplatDecoder:
    """The Gaussians of each view, from values that stay near their start."""

    def __init__(
        self, start: Mapping[str, Tensor], smallest: Tensor, motions: Iterable[SplatMotion]
    ) -> None:
        """`start` as `raw_values` gives it, `smallest` [G, 1] metres, a motion for each view."""
        self._start, self._smallest = start, smallest
        values = start["scales"]
        library = None if values.is_cuda or values.dtype != torch.float32 else native.library()
        bounds = _planes(torch.cat((start["offsets"], values, smallest * smallest), -1))
        self._motions = [m if library is None else _Plan(library, bounds, m) for m in motions]

    def decode(self, values: Mapping[str, Tensor], view: int) -> Gaussians:
        """What is drawn in a view; differentiable in the values."""
        motion = self._motions[view]
        if isinstance(motion, SplatMotion):
            return pose_splats(self.bounded(values), motion)
        return Gaussians(*_PoseSplats.apply(motion, *(values[name] for name in FIELDS)))  # type: ignore[misc]

    def bounded(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Colours in 0..1, sizes and places near where they started, the filter in the sizes."""
        grown = (values["scales"] - self._start["scales"]).clamp(-SHRINK, GROW)
        moved = (values["offsets"] - self._start["offsets"]).clamp(-DRIFT, DRIFT)
        squares = torch.exp(2 * (self._start["scales"] + grown)) + self._smallest**2
        return {
            **values,
            "colors": values["colors"].clamp(0, 1),
            "scales": 0.5 * squares.log(),
            "offsets": self._start["offsets"] + moved,
        }


class _Plan:
    """One view's constants as the library reads them: planes of a multiple of eight splats."""

    def __init__(self, library: ctypes.CDLL, start: Tensor, motion: SplatMotion) -> None:
        self.library = library
        self._motion, self._start = _planes(_motion_fields(motion)), start
        self.arguments = native.PosePlan(
            len(motion.points),
            self._motion.shape[1],
            self._motion.data_ptr(),
            self._start.data_ptr(),
            SHRINK,
            GROW,
            DRIFT,
        )


def _planes(fields: Tensor) -> Tensor:
    """[G, F] -> [F, G and up to seven zeros]."""
    return contiguous_float32(torch.nn.functional.pad(fields.T, (0, -len(fields) % 8)))


def _motion_fields(motion: SplatMotion) -> Tensor:
    """As native/pose_splats.h has them, what a network adds included: [G, 28]."""
    count = len(motion.points)
    change = motion.change
    if change is None:
        change = motion.points.new_zeros(count, sum(CHANNELS.values()))
    position, opacity, scale, color, rotation = change.split(list(CHANNELS.values()), -1)
    shift = REACH * position.clamp(-MAX_MOVE, MAX_MOVE)
    turn = rotation + rotation.new_tensor([1.0, 0, 0, 0])
    fields = (
        motion.points + (motion.gradients @ shift[..., None]).squeeze(-1),
        motion.gradients.flatten(1),
        motion.quats,
        torch.nn.functional.normalize(turn, dim=-1),
        motion.stretch * torch.exp(scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)),
        motion.present[:, None],
        torch.exp(torch.cat((opacity, color), -1).clamp(-MAX_LOGIT, MAX_LOGIT)),
    )
    return torch.cat(fields, -1)


class _PoseSplats(torch.autograd.Function):
    """The compiled pass; the way back works everything out again rather than keep it."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *inputs: Tensor) -> tuple[Tensor, ...]:
        values = [contiguous_float32(x) for x in inputs]
        posed = [torch.empty_like(x) for x in values]
        plan.library.flex_pose_splats(
            ctypes.byref(plan.arguments),
            ctypes.byref(gaussian_arrays(values)),
            ctypes.byref(gaussian_arrays(posed)),
        )
        ctx.plan = plan
        ctx.save_for_backward(*inputs)
        *shape, colors = posed
        return *shape, colors[:, None]

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]: the decorator's doing
        ctx: Any, *grad_outputs: Tensor
    ) -> Any:
        values = [contiguous_float32(x) for x in ctx.saved_tensors]
        grads = [contiguous_float32(x) for x in grad_outputs]
        found = [torch.empty_like(x) for x in values]
        ctx.plan.library.flex_pose_splats_backward(
            ctypes.byref(ctx.plan.arguments),
            *(ctypes.byref(gaussian_arrays(x)) for x in (values, grads, found)),
        )
        return None, *found
