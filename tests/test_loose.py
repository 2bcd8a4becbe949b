"""Splats off the mesh: round from the camera, closed from the side."""

from __future__ import annotations

import numpy as np
import torch

from flexavatar.create.off_mesh import DISC, STEEPEST, lay_along_depth
from flexavatar.head.binding import quat_to_matrix
from flexavatar.types import Camera

SPACING = 3.0
FOCAL = 600.0
PIXELS = np.array([[50, 50]])


def covariance(slope: float) -> torch.Tensor:
    """Of a splat on a plane that recedes to the right, per squared spacing: [3, 3]."""
    columns = np.arange(100, dtype=np.float32)
    depth = np.tile(1 + slope * (columns - 50) / FOCAL, (100, 1)).astype(np.float32)
    K = torch.tensor([[FOCAL, 0, 50], [0, FOCAL, 50], [0, 0, 1]])
    camera = Camera(torch.eye(4), K, 100, 100)
    quats, scales = lay_along_depth(depth, camera, PIXELS, SPACING)
    axes = quat_to_matrix(quats)[0] * scales[0] / (SPACING / FOCAL)
    return axes @ axes.T


def test_a_tilted_splat_looks_like_a_disc_from_the_camera() -> None:
    for slope in (0.0, 0.5, -2.0):
        seen = covariance(slope)[:2, :2]
        torch.testing.assert_close(seen, DISC**2 * torch.eye(2), rtol=0, atol=1e-3)  # float32


def test_neighbours_meet_along_the_surface() -> None:
    """The next splat is as many standard deviations away along a slope as on the flat."""
    for slope in (0.0, 0.5, -2.0):
        step = torch.tensor([1.0, 0.0, slope])  # to the neighbour, in spacings
        apart = (step @ torch.linalg.solve(covariance(slope), step)).sqrt()
        assert abs(float(apart) - 1 / DISC) < 0.02  # float32, and whole pixels


def test_a_cliff_makes_no_needles() -> None:
    longest = torch.linalg.eigvalsh(covariance(50.0))[-1].sqrt()
    assert float(longest) < DISC * (STEEPEST + 1)
