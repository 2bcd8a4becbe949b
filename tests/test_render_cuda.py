"""gsplat against the reference: its kernels where there is a GPU, its formulas everywhere.

Without a GPU it is not tested that the kernels compute what the formulas say.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flexavatar.bench.gaussians import ellipsoid_gaussians, front_camera
from flexavatar.render import cuda
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.render.reference import rasterize_reference, to_rgba8
from flexavatar.types import Camera, Frame, Gaussians, to_device
from tests.pretended_gpu import pretend_gsplat
from tests.scenes import cloud, to_dtype
from tests.test_render import SCENES, assert_same_picture, gradients


@pytest.mark.parametrize("scene", SCENES)
def test_gsplats_formulas_agree_with_reference(scene: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means, quats, near plane, blur, alphas, depth: all is given to gsplat as it wants it."""
    pretend_gsplat(monkeypatch)
    camera = front_camera(49, 35)
    expected = rasterize_reference(to_dtype(SCENES[scene](), torch.float64), camera)
    assert_same_picture(cuda.rasterize(SCENES[scene](), camera), expected)


def test_gsplats_pictures_and_depths_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent is what both are together."""
    pretend_gsplat(monkeypatch)
    camera, gaussians = front_camera(40, 30), cloud(60, 0.2, 0.01)
    expected = cuda.rasterize(gaussians, camera)
    depth, picture = np.empty((30, 40), np.float32), np.empty((30, 40, 4), np.uint8)
    cuda.rasterize_depth(gaussians, camera, depth)
    assert np.array_equal(depth, expected.depth.numpy())
    cuda.rasterize_rgba8(gaussians, camera, picture, None)
    assert np.array_equal(picture, to_rgba8(expected.rgba, None).numpy())


def test_gsplats_formulas_leave_out_what_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not finite, or without a rotation: gsplat itself would spread them over the picture."""
    pretend_gsplat(monkeypatch)
    camera, bad = front_camera(40, 30), cloud(60, 0.2, 0.01)
    bad.means[3], bad.scales[8, 1], bad.quats[11], bad.opacities[20] = torch.nan, torch.inf, 0, -1
    expected = rasterize_reference(to_dtype(bad, torch.float64), camera)
    assert_same_picture(cuda.rasterize(bad, camera), expected)


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
