"""gsplat on a GPU against the reference; skipped where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flexavatar.bench.gaussians import ellipsoid_gaussians, front_camera
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.render.reference import rasterize_reference
from flexavatar.types import Camera, Frame, Gaussians, to_device
from tests.scenes import to_dtype
from tests.test_render import SCENES, assert_same_picture, gradients


@pytest.mark.cuda
@pytest.mark.parametrize("scene", SCENES)
def test_gpu_agrees_with_reference(scene: str) -> None:
    gaussians, camera = to_device(SCENES[scene](), "cuda"), front_camera(97, 70)
    expected = rasterize_reference(to_dtype(SCENES[scene](), torch.float64), camera)
    assert_same_picture(to_device(rasterize(gaussians, camera), "cpu"), expected)
    drawn = rasterize_rgba8(gaussians, camera)
    assert np.abs(drawn - (expected.rgba * 255).clamp(0, 255).numpy()).mean() < 0.5


@pytest.mark.cuda
def test_gpu_gradients_agree_with_reference() -> None:
    gaussians, camera = ellipsoid_gaussians(1500), front_camera(64, 64)
    expected = gradients(rasterize_reference, to_dtype(gaussians, torch.float64), camera)

    def draw(inputs: Gaussians, camera: Camera) -> Frame:
        return to_device(rasterize(to_device(inputs, "cuda"), camera), "cpu")

    for ours, theirs in zip(gradients(draw, gaussians, camera), expected, strict=True):
        assert (ours - theirs).norm() < 1e-2 * theirs.norm()  # as on the CPU, with fast exp
