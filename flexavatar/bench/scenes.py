"""A synthetic scene: something like a head, without a face."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from flexavatar.types import Camera, Gaussians

RADII = (0.085, 0.115, 0.1)
"""Half axes of the head's ellipsoid, metres."""


def front_camera(width: int, height: int) -> Camera:
    """Looks at the origin from the front; the ellipsoid covers 30% of a square picture."""
    focal = 2.6 * min(width, height)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 0.836
    return Camera(viewmat, K, width, height)


def shell(count: int, seed: int = 0) -> Gaussians:
    """Flat Gaussians on an ellipsoid, as close as an avatar's: each covers its share one and a half
    times."""
    random = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=-1)
    normals = torch.nn.functional.normalize(directions / torch.tensor(RADII), dim=-1)
    ahead = torch.tensor([0.0, 0, 1]).expand_as(normals)
    half_way = torch.cat(
        (1 + normals[:, 2:], torch.linalg.cross(ahead, normals)), -1
    )  # turns the z axis onto the normal
    size = 0.75 * math.sqrt(4 * math.pi * 0.01 / max(1, count))
    spread = torch.exp(0.25 * torch.randn(count, 3, generator=random))
    return Gaussians(
        means=directions * torch.tensor(RADII),
        quats=torch.nn.functional.normalize(half_way, dim=-1),
        scales=size * torch.tensor([1, 1, 0.15]) * spread,
        opacities=torch.sigmoid(1.5 + torch.randn(count, generator=random)),
        sh=0.6 * torch.randn(count, 1, 3, generator=random),
    )


def leaves(gaussians: Gaussians) -> tuple[Gaussians, list[Tensor]]:
    """A copy whose fields ask for gradients, and the fields."""
    tensors = {name: x.detach().clone().requires_grad_() for name, x in vars(gaussians).items()}
    return replace(gaussians, **tensors), list(tensors.values())
