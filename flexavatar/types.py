"""The nouns that every part of the project shares; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from flexavatar.errors import InputError, ShapeError

T = TypeVar("T")

NS_PER_S = 1_000_000_000
"""Nanoseconds in a second."""
EXPRESSION_SIZE = 100
PARENTS = (-1, 0, 1, 1, 1)
"""Of the joints, in order: global, neck, jaw, left eye, right eye."""

SH_C0 = 0.28209479177387814
"""Value of the degree-0 spherical harmonic: colour = 0.5 + SH_C0 * sh."""


def check_shape(name: str, x: Tensor, *shape: int | None) -> None:
    """Raise ShapeError unless `x` has this shape; None matches any size."""
    same_rank = x.ndim == len(shape)
    if not same_rank or any(s not in (None, n) for s, n in zip(shape, x.shape, strict=True)):
        raise ShapeError(f"{name}: expected {shape}, got {tuple(x.shape)}")


def check_ids(name: str, ids: Tensor, count: int) -> None:
    """Raise InputError if an index points at no vertex."""
    if ids.numel() and not (0 <= int(ids.min()) and int(ids.max()) < count):
        raise InputError(f"{name}: expected indices 0..{count - 1}, got {ids.min()}..{ids.max()}")


def to_device(value: T, device: torch.device | str) -> T:
    """The same value with every tensor in it on `device`: frozen dataclasses and mappings too."""
    if isinstance(value, Tensor):
        return value.to(device)  # type: ignore[return-value]
    if isinstance(value, Mapping):
        return {key: to_device(item, device) for key, item in value.items()}  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        moved = {f.name: to_device(getattr(value, f.name), device) for f in fields(value)}
        return replace(value, **moved)
    return value


@dataclass(frozen=True)
class FlameCodes:
    """One instant of a face, in smplx's names. Poses are axis-angle in radians, lengths metres.

    A leading batch axis is allowed if every field has it.
    """

    expression: Tensor  # [E] E = EXPRESSION_SIZE, coefficients of the rig's expression basis
    jaw_pose: Tensor  # [3]
    leye_pose: Tensor  # [3]
    reye_pose: Tensor  # [3]
    neck_pose: Tensor  # [3]
    global_orient: Tensor  # [3]
    transl: Tensor  # [3] metres
    eyelids: Tensor  # [2] left, right; 0 open, 1 closed
    correctives: Tensor  # [C] weights of the rig's corrective fields; 0 unless driven by ARKit

    @staticmethod
    def zeros(correctives: int, device: torch.device | str = "cpu") -> FlameCodes:
        """The neutral face, looking ahead. `correctives` is the rig's number of them."""
        sizes = (EXPRESSION_SIZE, 3, 3, 3, 3, 3, 3, 2, correctives)
        return FlameCodes(*(torch.zeros(n, device=device) for n in sizes))

    def on(self, device: torch.device | str) -> FlameCodes:
        """The same on another device, by one copy that nobody waits for."""
        if self.transl.device == torch.device(device):
            return self
        own = [*vars(self).values()]
        packed = torch.cat(own, -1)
        if torch.device(device).type == "cuda":
            packed = packed.pin_memory()
        packed = packed.to(device, non_blocking=True)
        return FlameCodes(*packed.split([x.shape[-1] for x in own], -1))


@dataclass(frozen=True)
class Gaussians:
    """One instant of the head, ready to draw. Activated values, gsplat's names."""

    means: Tensor  # [N, 3] head frame: right-handed, y up, face to +z, metres
    quats: Tensor  # [N, 4] wxyz, unit
    scales: Tensor  # [N, 3] metres
    opacities: Tensor  # [N] 0..1
    sh: Tensor  # [N, 1, 3] degree 0

    def __len__(self) -> int:
        return self.means.shape[0]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in OpenCV's convention: x right, y down, z forward."""

    viewmat: Tensor  # [4, 4] world to camera
    K: Tensor  # [3, 3] pixels; pixel centres at +0.5
    width: int
    height: int


@dataclass(frozen=True)
class Frame:
    """One rendered picture."""

    rgba: Tensor  # [H, W, 4] premultiplied, linear in the photo's own encoding, 0..1
    depth: Tensor  # [H, W] metres along the camera's z: sum(w z) / sum(w), 0 where empty
