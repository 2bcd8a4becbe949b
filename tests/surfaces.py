"""Synthetic meshes with splats on them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from flexavatar.head.binding import Binding, LocalSplats


def sphere(around: int, rings: int, radius: float = 0.1) -> tuple[Tensor, Tensor]:
    """A sphere without its poles: vertices [around * rings, 3], faces [F, 3]."""
    u = torch.arange(around) * (2 * math.pi / around)
    v = torch.linspace(0.05, math.pi - 0.05, rings)[:, None]
    height = v.cos().expand(rings, around)
    vertices = radius * torch.stack((v.sin() * u.cos(), height, v.sin() * u.sin()), -1).flatten(
        0, 1
    )
    a = torch.arange((rings - 1) * around)
    b = a - a % around + (a + 1) % around
    c, d = a + around, b + around
    return vertices, torch.stack((a, b, c, b, d, c), -1).reshape(-1, 3)


def random_binding(faces: Tensor, count: int, seed: int = 0) -> Binding:
    """Places on the mesh, anywhere."""
    random = torch.Generator().manual_seed(seed)
    bary = torch.rand(count, 3, generator=random) + 0.01
    face = torch.randint(len(faces), (count,), generator=random)
    return Binding(faces[face], bary / bary.sum(-1, keepdim=True))


def random_splats(count: int, seed: int = 0) -> LocalSplats:
    """Splats of some millimetres, turned anyhow; their quaternions are not unit ones."""
    random = torch.Generator().manual_seed(seed)
    return LocalSplats(
        offsets=0.003 * torch.randn(count, 3, generator=random),
        quats=torch.randn(count, 4, generator=random),
        scales=0.003 * torch.rand(count, 3, generator=random) + 1e-4,
    )
