"""The rasterisers: they agree with the reference and its gradients, and nothing breaks them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from flexavatar.bench.gaussians import ellipsoid_gaussians, front_camera, require_gradients
from flexavatar.errors import InputError, ShapeError
from flexavatar.render import native
from flexavatar.render.rasterize import (
    depth_strips,
    rasterize,
    rasterize_rgba8,
    rgba8_strips,
)
from flexavatar.render.reference import composite, project, rasterize_reference, rasterize_tiled
from flexavatar.types import Camera, Frame, Gaussians
from tests.scenes import cloud, to_dtype

needs_library = pytest.mark.skipif(
    native.library() is None, reason="needs the compiled renderer, and there is no C++ compiler"
)

MEAN_ERROR = 1e-5
"""float32 against float64: rounding is some 1e-7, and a rare pixel gains or loses one splat at the
edge of ALPHA_MIN."""
WORST_ERROR = 0.05
"""One such splat changes a pixel by up to ALPHA_MIN times its colour; colours here reach 2, and
what is behind it shifts too. Two at one pixel must still pass."""


@pytest.fixture
def threads():
    """Sets the thread count, and puts it back."""
    before = native.get_threads()
    yield native.set_threads
    native.set_threads(before)


def assert_same_picture(frame: Frame, expected: Frame) -> None:
    error = (frame.rgba - expected.rgba).abs()
    assert error.mean() < MEAN_ERROR
    assert error.max() < WORST_ERROR
    # Depth is a mean over metres, and jumps where the only splat of a pixel appears or goes.
    assert (frame.depth - expected.depth).abs().quantile(0.99) < 1e-4


SIZES = [(1, 1), (17, 33), (32, 32), (97, 70), (300, 3), (3, 300)]
SCENES = {
    "shell": lambda: ellipsoid_gaussians(1500),
    "needles": lambda: cloud(400, 0.3, 2e-5),
    "large": lambda: cloud(200, 1.0, 0.05),
    "tiny": lambda: cloud(800, 1e-4, 1e-6),
    "one": lambda: ellipsoid_gaussians(1),
    "none": lambda: ellipsoid_gaussians(0),
}


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("scene", SCENES)
def test_fast_agrees_with_reference(scene: str, width: int, height: int) -> None:
    gaussians, camera = SCENES[scene](), front_camera(width, height)
    expected = rasterize_reference(to_dtype(gaussians, torch.float64), camera)
    assert_same_picture(rasterize(gaussians, camera), expected)


@pytest.mark.parametrize("scene", SCENES)
def test_tiles_are_the_reference(scene: str) -> None:
    gaussians, camera = to_dtype(SCENES[scene](), torch.float64), front_camera(41, 35)
    tiled, expected = rasterize_tiled(gaussians, camera), rasterize_reference(gaussians, camera)
    # The same sums in another order, in float64.
    torch.testing.assert_close(tiled.rgba, expected.rgba, rtol=0, atol=1e-12)
    torch.testing.assert_close(tiled.depth, expected.depth, rtol=0, atol=1e-12)


def test_full_size_agrees_with_tiles() -> None:
    """An avatar's number of Gaussians at the usual size; the tiled path equals the reference."""
    gaussians, camera = ellipsoid_gaussians(65_000), front_camera(512, 512)
    assert_same_picture(rasterize(gaussians, camera), rasterize_tiled(gaussians, camera))


def test_turned_camera_agrees_with_reference() -> None:
    camera = front_camera(64, 48)
    angle = torch.tensor(0.7)
    turn = torch.eye(4)
    turn[0, 0] = turn[2, 2] = angle.cos()
    turn[0, 2], turn[2, 0] = angle.sin(), -angle.sin()
    camera = replace(camera, viewmat=camera.viewmat @ turn)
    expected = rasterize_reference(to_dtype(ellipsoid_gaussians(1500), torch.float64), camera)
    assert_same_picture(rasterize(ellipsoid_gaussians(1500), camera), expected)


def test_one_gaussian_is_what_the_formula_says() -> None:
    """Seen head on at a pixel's centre: alpha is its opacity, colour and depth its own."""
    camera = front_camera(33, 33)
    sh = torch.tensor([[[0.4, -0.2, 0.1]]])
    one = Gaussians(
        torch.zeros(1, 3), torch.eye(4)[:1], torch.full((1, 3), 0.01), torch.tensor([0.6]), sh
    )
    frame = rasterize(one, camera)
    color = 0.5 + 0.28209479 * sh[0, 0]
    # float32 rounding.
    expected = torch.cat((0.6 * color, torch.tensor([0.6])))
    torch.testing.assert_close(frame.rgba[16, 16], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(frame.depth[16, 16], torch.tensor(0.836), rtol=0, atol=1e-6)
    assert frame.depth[0, 0] == 0
    assert not frame.rgba[0, 0].any()


def test_order_in_memory_does_not_matter() -> None:
    gaussians, camera = ellipsoid_gaussians(200), front_camera(64, 64)
    depths = camera.viewmat[2, 3] - gaussians.means[:, 2]
    assert len(depths.unique()) == 200  # equal depths are drawn as they lie
    order = torch.randperm(200)
    shuffled = Gaussians(**{name: x[order] for name, x in vars(gaussians).items()})
    assert torch.equal(rasterize(shuffled, camera).rgba, rasterize(gaussians, camera).rgba)


def spoilt() -> Gaussians:
    """Gaussians that cannot be drawn, each for another reason."""
    bad = cloud(12, 0.01, 0.001)
    values = {name: x.clone() for name, x in vars(bad).items()}
    values["opacities"].fill_(0.9)
    nan, inf = float("nan"), float("inf")
    values["means"][0, 0], values["means"][1, 2], values["means"][2, 1] = nan, inf, 1e38
    values["means"][3] = torch.tensor([0, 0, 5.0])  # behind the camera
    values["quats"][4], values["quats"][5, 0] = 0.0, nan
    values["scales"][6, 0], values["scales"][7, 1] = inf, nan
    values["opacities"][8], values["opacities"][9], values["opacities"][10] = nan, -1.0, 0.003
    values["sh"][11, 0, 1] = inf
    return Gaussians(**values)


def test_unusable_gaussians_are_left_out() -> None:
    good, bad, camera = ellipsoid_gaussians(500), spoilt(), front_camera(40, 40)
    both = Gaussians(**{name: torch.cat((x, getattr(bad, name))) for name, x in vars(good).items()})
    assert torch.equal(rasterize(both, camera).rgba, rasterize(good, camera).rgba)
    assert not rasterize(bad, camera).rgba.any()
    assert torch.equal(rasterize_tiled(both, camera).rgba, rasterize_tiled(good, camera).rgba)


def test_unusable_gaussians_get_no_gradient() -> None:
    fields = require_gradients(spoilt())[1]
    grads = torch.autograd.grad(
        rasterize(Gaussians(*fields), front_camera(40, 40)).rgba.sum(), fields, allow_unused=True
    )
    assert all(grad is None or not grad.any() for grad in grads)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e3, 1e8, 1e18])
def test_extreme_scales_stay_finite(scale: float) -> None:
    gaussians, fields = require_gradients(
        replace(ellipsoid_gaussians(50), scales=torch.full((50, 3), scale))
    )
    frame = rasterize(gaussians, front_camera(33, 20))
    frame.rgba.sum().backward()
    assert frame.rgba.isfinite().all()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in fields)


def test_bytes_are_the_rounded_picture() -> None:
    gaussians, camera = ellipsoid_gaussians(3000), front_camera(75, 50)
    rgba = rasterize(gaussians, camera).rgba
    drawn = rasterize_rgba8(gaussians, camera)
    # Rounding to a byte, and a byte at a tie.
    assert np.abs(drawn - (rgba * 255).clamp(0, 255).numpy()).max() <= 0.501
    over = rasterize_rgba8(gaussians, camera, background=(1.0, 0.5, 0.0))
    behind = (1 - rgba[..., 3:]) * torch.tensor([1.0, 0.5, 0.0])
    assert (
        np.abs(over[..., :3] - (255 * (rgba[..., :3] + behind)).clamp(0, 255).numpy()).max() < 0.51
    )
    assert (over[..., 3] == 255).all()


def test_bytes_go_where_they_should() -> None:
    out = np.full((20, 30, 4), 7, np.uint8)
    assert rasterize_rgba8(ellipsoid_gaussians(0), front_camera(30, 20), out) is out
    assert not out.any()
    for wrong in (np.zeros((20, 31, 4), np.uint8), np.zeros((20, 30, 4)), out[:, ::-1]):
        with pytest.raises(InputError, match="out: expected"):
            rasterize_rgba8(ellipsoid_gaussians(0), front_camera(30, 20), wrong)


@needs_library
def test_strips_are_the_picture() -> None:
    """Bit by bit: sessions that share a thread are drawn some rows at a time."""
    gaussians, camera = ellipsoid_gaussians(3000), front_camera(75, 150)
    pixels, depth = np.full((150, 75, 4), 7, np.uint8), np.full((150, 75), 7, np.float32)
    strips = sum(1 for _ in rgba8_strips(gaussians, camera, pixels, pixels=75 * 64))
    assert strips == 3
    assert (pixels == rasterize_rgba8(gaussians, camera)).all()
    assert sum(1 for _ in depth_strips(gaussians, camera, depth, 1)) == 5  # rows of tiles of 32
    assert (depth == rasterize(gaussians, camera).depth.numpy()).all()


def gradients(
    draw: Callable[[Gaussians, Camera], Frame], gaussians: Gaussians, camera: Camera, seed: int = 3
) -> list[Tensor]:
    """Gradients of random weights on every number of the picture."""
    random = torch.Generator().manual_seed(seed)
    inputs, fields = require_gradients(gaussians)
    frame = draw(inputs, camera)
    loss = (frame.rgba * torch.randn(frame.rgba.shape, generator=random)).sum()
    loss = loss + (frame.depth * torch.randn(frame.depth.shape, generator=random)).sum()
    return list(torch.autograd.grad(loss, fields))


@pytest.mark.parametrize("scene", ["shell", "needles", "large"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (97, 33)])
def test_gradients_agree_with_reference(scene: str, width: int, height: int) -> None:
    gaussians, camera = SCENES[scene](), front_camera(width, height)
    expected = gradients(rasterize_reference, to_dtype(gaussians, torch.float64), camera)
    for ours, theirs in zip(gradients(rasterize, gaussians, camera), expected, strict=True):
        # A splat that appears at a pixel in one precision only (see MEAN_ERROR) changes its
        # gradient by some thousandths; the rest is within 1e-4.
        assert (ours - theirs).norm() < 5e-3 * theirs.norm()
        off = (ours - theirs).abs() > 1e-4 * theirs.abs().max()
        assert off.float().mean() < 0.03


def test_reference_gradcheck() -> None:
    gaussians, camera = to_dtype(cloud(5, 0.05, 0.02, seed=2), torch.float64), front_camera(5, 4)
    _, fields = require_gradients(replace(gaussians, opacities=gaussians.opacities.clamp(0.3, 0.8)))

    def picture(*fields: Tensor) -> tuple[Tensor, Tensor]:
        frame = rasterize_reference(Gaussians(*fields), camera)
        return frame.rgba, frame.depth

    assert torch.autograd.gradcheck(picture, fields)


@pytest.mark.parametrize("field", ["means", "quats", "scales", "opacities", "sh"])
def test_gradients_agree_with_differences(field: str) -> None:
    """The compiled gradient against the compiled picture, along a random direction."""
    # So large that no splat ends within the picture: gradients ignore what comes and goes there.
    gaussians, camera = cloud(12, 0.3, 0.15), front_camera(64, 64)
    gaussians = replace(gaussians, opacities=0.2 + 0.5 * gaussians.opacities)
    weights = torch.randn(64, 64, 4, dtype=torch.float64)
    inputs, _ = require_gradients(gaussians)
    value = getattr(inputs, field)
    (grad,) = torch.autograd.grad((rasterize(inputs, camera).rgba * weights).sum(), value)
    direction = torch.nn.functional.normalize(grad, dim=0)
    step = 1e-2 * value.detach().abs().mean() / direction.abs().mean()

    def loss(sign: int) -> float:
        moved = replace(gaussians, **{field: value.detach() + sign * step * direction})
        return float((rasterize(moved, camera).rgba * weights).sum())

    difference = (loss(1) - loss(-1)) / (2 * float(step))
    # Rounding of float32 pictures, and the curvature over a step of 1%.
    assert difference == pytest.approx(float((grad * direction).sum()), rel=0.01)


@needs_library
def test_gradients_are_the_same_on_every_run(threads: Callable[[int], None]) -> None:
    gaussians, camera = ellipsoid_gaussians(5000), front_camera(150, 150)
    runs = []
    for count in (1, 2, 3, 3):
        threads(count)
        runs.append(gradients(rasterize, gaussians, camera))
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_gradient_can_be_taken_twice() -> None:
    gaussians, fields = require_gradients(ellipsoid_gaussians(200))
    rgba = rasterize(gaussians, front_camera(40, 40)).rgba
    first = torch.autograd.grad(rgba.sum(), fields, retain_graph=True)
    rasterize(ellipsoid_gaussians(3000, seed=1), front_camera(90, 90))  # another drawing in between
    again = torch.autograd.grad(rgba.sum(), fields)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_gradient_only_where_asked() -> None:
    gaussians = replace(ellipsoid_gaussians(100), sh=ellipsoid_gaussians(100).sh.requires_grad_())
    frame = rasterize(gaussians, front_camera(30, 30))
    (grad,) = torch.autograd.grad(frame.depth.sum() + 0 * frame.rgba.sum(), [gaussians.sh])
    assert not grad.any()  # colours do not move the depth
    assert not rasterize(ellipsoid_gaussians(100), front_camera(30, 30)).rgba.requires_grad


def test_float64_and_strided_inputs() -> None:
    gaussians, camera = ellipsoid_gaussians(300), front_camera(40, 40)
    wide = Gaussians(**{k: torch.stack((x, x), -1)[..., 0] for k, x in vars(gaussians).items()})
    assert torch.equal(rasterize(wide, camera).rgba, rasterize(gaussians, camera).rgba)
    assert rasterize(to_dtype(gaussians, torch.float64), camera).rgba.dtype == torch.float64


@needs_library
def test_threads_may_draw_at_once(threads: Callable[[int], None]) -> None:
    threads(3)
    jobs = [
        (ellipsoid_gaussians(2000, seed), front_camera(60 + 10 * seed, 50)) for seed in range(4)
    ]
    expected = [rasterize(*job).rgba for job in jobs]
    wrong: list[int] = []

    def draw_often(index: int) -> None:
        for _ in range(30):
            if not torch.equal(rasterize(*jobs[index]).rgba, expected[index]):
                wrong.append(index)

    workers = [threading.Thread(target=draw_often, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@needs_library
def test_pictures_too_large_for_one_piece() -> None:
    """5 million entries in the tile lists: they are made band by band, and so is the gradient."""
    gaussians, camera = cloud(5000, 2.0, 0.5), front_camera(1024, 1024)
    x, y = torch.randint(1024, (2, 300))
    weights = torch.randn(300, 4)
    inputs, fields = require_gradients(gaussians)
    drawn = rasterize(inputs, camera).rgba[y, x]
    grads = torch.autograd.grad((drawn * weights).sum(), fields)

    inputs, fields = require_gradients(to_dtype(gaussians, torch.float64))
    pixels = torch.stack((x, y), -1).double() + 0.5
    expected = composite(project(inputs, camera), pixels)[:, :4]
    assert (drawn - expected).abs().mean() < MEAN_ERROR
    expected_grads = torch.autograd.grad((expected * weights).sum(), fields)
    for ours, theirs in zip(grads, expected_grads, strict=True):
        assert (ours - theirs).norm() < 5e-3 * theirs.norm()  # see the other gradient test


@needs_library
def test_denormals_are_left_alone() -> None:
    rasterize(ellipsoid_gaussians(100), front_camera(30, 30))
    assert np.float32(1e-40) * np.float32(0.5) > 0


def test_wrong_gaussians_are_refused() -> None:
    good, camera = ellipsoid_gaussians(10), front_camera(8, 8)
    with pytest.raises(ShapeError, match="quats"):
        rasterize(replace(good, quats=good.quats[:9]), camera)
    with pytest.raises(ShapeError, match="sh"):
        rasterize(replace(good, sh=good.sh[:, 0]), camera)
    with pytest.raises(InputError, match="one floating type"):
        rasterize(replace(good, scales=good.scales.double()), camera)
    with pytest.raises(InputError, match="one device"):
        rasterize(replace(good, scales=good.scales.to("meta")), camera)


def test_wrong_cameras_are_refused() -> None:
    camera = front_camera(8, 8)
    broken = camera.viewmat.clone()
    broken[1, 3] = float("nan")
    for wrong in (
        replace(camera, viewmat=broken),
        replace(camera, K=camera.K * float("inf")),
        replace(camera, K=-camera.K),
        replace(camera, width=0),
        replace(camera, height=10**6),
        replace(camera, viewmat=camera.viewmat[:3]),
    ):
        with pytest.raises(InputError):
            rasterize(ellipsoid_gaussians(3), wrong)
