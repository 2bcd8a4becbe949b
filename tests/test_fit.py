"""Fitting: gradients reach what they should, and only that; targets are met."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from flexavatar.create import surface_inpaint
from flexavatar.create.adam import Adam, Parameter
from flexavatar.create.fit import FitConfig, fit
from flexavatar.create.image_metrics import ssim_map
from flexavatar.create.photo_splats import quats_facing
from flexavatar.create.target import Target
from flexavatar.create.view_loss import view_loss
from flexavatar.head.binding import quat_to_matrix
from flexavatar.render import native
from flexavatar.types import SH_C0, Camera, Gaussians

SIDE = 48


def _camera() -> Camera:
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 1.0
    K = torch.tensor([[60.0, 0, SIDE / 2], [0, 60, SIDE / 2], [0, 0, 1]])
    return Camera(viewmat, K, SIDE, SIDE)


def _wall(colors: Tensor) -> Gaussians:
    """A 20 x 20 wall of discs that fills the picture."""
    side = torch.linspace(-0.4, 0.4, 20)
    y, x = torch.meshgrid(side, side, indexing="ij")
    means = torch.stack((x.flatten(), y.flatten(), torch.zeros(400)), -1)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(400, 4)
    scales = torch.tensor([0.025, 0.025, 0.005]).expand(400, 3)
    sh = ((colors - 0.5) / SH_C0)[:, None]
    return Gaussians(means, quats, scales, torch.full((400,), 0.97), sh)


def _target() -> Target:
    row = torch.linspace(0.1, 0.9, SIDE)
    picture = torch.stack((row[None].expand(SIDE, -1), row[:, None].expand(-1, SIDE)), -1)
    colors = torch.cat((picture, torch.full((SIDE, SIDE, 1), 0.3)), -1)
    return Target(_camera(), colors, torch.ones(SIDE, SIDE), torch.ones(SIDE, SIDE))


def _decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
    return _wall(values["colors"])


def test_fit_meets_its_target() -> None:
    start = {"colors": Parameter(torch.full((400, 3), 0.5), 0.02)}
    found = fit(_decode, start, [_target()], FitConfig(steps=60))["colors"]
    middle = found.view(20, 20, 3)[4:16, 4:16]
    wanted = torch.linspace(0.1, 0.9, SIDE)[torch.linspace(8, 39, 12).long()]
    # 0.06: Gaussians blur a gradient, and Adam has not quite settled after 60 steps
    assert float((middle[..., 0].mean(0) - wanted).abs().max()) < 0.06
    assert float((middle[..., 2] - 0.3).abs().mean()) < 0.03


def test_masked_values_stay() -> None:
    mask = torch.zeros(400, 1)
    mask[:200] = 1
    start = {"colors": Parameter(torch.full((400, 3), 0.5), 0.02, mask)}
    found = fit(_decode, start, [_target()], FitConfig(steps=5))["colors"]
    assert torch.equal(found[200:], torch.full((200, 3), 0.5))
    assert not torch.allclose(found[:200], torch.full((200, 3), 0.5))


def test_fit_is_deterministic_and_reports_progress() -> None:
    start = {"colors": Parameter(torch.full((400, 3), 0.5), 0.02)}
    shares: list[float] = []
    config = FitConfig(steps=6, seed=3)
    first = fit(_decode, start, [_target()], config, progress=shares.append)
    second = fit(_decode, start, [_target()], config)
    assert torch.equal(first["colors"], second["colors"])
    assert shares == [(i + 1) / 6 for i in range(6)]


def test_ssim_of_equal_pictures_is_one_and_falls_with_noise() -> None:
    a = torch.rand(32, 32, 3)
    assert torch.allclose(ssim_map(a, a), torch.ones_like(a), atol=1e-4)  # c1, c2 in float32
    noisy = (a + 0.2 * torch.randn_like(a)).clamp(0, 1)
    assert float(ssim_map(a, noisy).mean()) < 0.9


def test_ssim_gradient() -> None:
    a = torch.rand(9, 9, 1, dtype=torch.float64, requires_grad=True)
    b = torch.rand(9, 9, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: ssim_map(x, b, 2, 3), a)


def test_harmonic_fill_is_linear_between_known_ends() -> None:
    """On a strip known at both ends the smoothest field is a straight line."""
    points = torch.stack((torch.linspace(0, 1, 200), torch.zeros(200), torch.zeros(200)), -1)
    normals = torch.tensor([0.0, 0, 1]).expand(200, 3)
    groups = torch.zeros(200, dtype=torch.long)
    known = torch.zeros(200)
    known[[0, -1]] = 1
    values = torch.zeros(200, 1)
    values[-1] = 1
    graph = surface_inpaint.surface_graph(points, normals, groups)
    anchor, pull = points[:, :1].flip(0), torch.full((200,), 1e-9)
    found = surface_inpaint.harmonic(graph, values, known, anchor, pull)
    # 0.05: the solver stops at a relative residual of 1e-4, the ends are held softly
    assert np.abs(found[:, 0].numpy() - points[:, 0].numpy()).max() < 0.05


def test_discs_face_their_normals() -> None:
    normals = torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
    axes = quat_to_matrix(quats_facing(normals))[..., 2]
    torch.testing.assert_close(axes, normals, rtol=0, atol=1e-5)  # float32


def _random_view(height: int, width: int) -> tuple[Tensor, Target, Tensor]:
    """A picture [H, W, 4], its target and a background, in float64."""
    torch.manual_seed(height * width)
    rgba, colors = torch.rand(height, width, 4).double(), torch.rand(height, width, 3).double()
    rgba[2:6, 3:9, 0] = 0.25  # flat places, where variances are nothing
    colors[2:6, 3:9] = 0.25
    matte, weight = torch.rand(height, width).double(), torch.rand(height, width).double()
    return rgba, Target(_camera(), colors, matte, weight), torch.rand(3).double()


def _loss_and_gradient(
    rgba: Tensor, target: Target, background: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    drawn = rgba.to(dtype).requires_grad_()
    fields = (x.to(dtype) for x in (target.colors, target.matte, target.weight))
    loss = 3 * view_loss(drawn, Target(target.camera, *fields), background.to(dtype))
    return loss.detach(), torch.autograd.grad(loss, drawn)[0]


@pytest.mark.parametrize("size", [(48, 48), (33, 40), (17, 21), (3, 5), (1, 1)])
def test_the_compiled_loss_agrees_with_torch(size: tuple[int, int]) -> None:
    """In float64 the loss is torch's; in float32 it is compiled and makes its own gradient."""
    view = _random_view(*size)
    loss, gradient = _loss_and_gradient(*view, torch.float64)
    found, own = _loss_and_gradient(*view, torch.float32)
    assert native.library() is not None
    torch.testing.assert_close(found.double(), loss, rtol=1e-5, atol=1e-6)
    # float32: variances are differences of near numbers, c2 is 9e-4
    torch.testing.assert_close(own.double(), gradient, rtol=2e-3, atol=2e-3 / gradient.numel())


def test_the_losss_gradient() -> None:
    rgba, target, background = _random_view(8, 9)
    drawn = rgba.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: view_loss(x, target, background), drawn)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_adam_steps_as_torchs(kind: torch.dtype) -> None:
    """Compiled in float32, in torch otherwise; parts of steps, and what holds a value."""
    torch.manual_seed(5)
    start, share = torch.randn(50, 3, dtype=kind), torch.rand(50, 1, dtype=kind)
    parameters = {
        "free": Parameter(start, 0.02),
        "part": Parameter(start, 0.02, share),
        "held": Parameter(start, 0.02, hold=30.0),
    }
    values = {name: start.clone().requires_grad_() for name in parameters}
    theirs = {name: start.clone().requires_grad_() for name in ("free", "held")}
    pull = 30.0 * 2 / start.numel()
    own, reference = Adam(values, parameters), torch.optim.Adam(theirs.values(), 0.02, eps=1e-15)
    for _ in range(5):
        gradient = torch.randn(50, 3, dtype=kind)
        for value in (*values.values(), theirs["free"]):
            value.grad = gradient.clone()
        theirs["held"].grad = gradient + pull * (theirs["held"].detach() - start)
        own.step()
        reference.step()
    for name, value in theirs.items():
        torch.testing.assert_close(values[name], value, rtol=1e-5, atol=1e-6)
    part = start + share * (theirs["free"] - start)  # of the same steps
    torch.testing.assert_close(values["part"], part, rtol=1e-5, atol=1e-6)


def test_adam_takes_what_is_not_a_number_for_no_gradient() -> None:
    start = torch.zeros(4)
    value = start.clone().requires_grad_()
    optimiser = Adam({"x": value}, {"x": Parameter(start, 0.1)})
    value.grad = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0])
    optimiser.step()
    torch.testing.assert_close(value.detach(), torch.tensor([0.0, 0.0, 0.0, -0.1]))
