"""The compiled decoder of fitted values against torch's, with gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from flexavatar.create.splat_decoder import DRIFT, FIELDS, GROW, SplatDecoder
from flexavatar.create.splat_motion import SplatMotion
from flexavatar.models.channels import CHANNELS
from flexavatar.render import native

SPREAD = {"offsets": 2e-3, "quats": 0.3, "scales": 0.8, "opacities": 1.0, "colors": 0.3}
"""Far enough from the start that every bound is met by some."""


def _start(count: int) -> dict[str, Tensor]:
    return {
        "offsets": 1e-3 * torch.randn(count, 3),
        "quats": torch.randn(count, 4),
        "scales": torch.randn(count, 3) - 6,
        "opacities": 2 * torch.randn(count),
        "colors": torch.rand(count, 3),
    }


def _motion(count: int, changes: bool) -> SplatMotion:
    return SplatMotion(
        torch.randn(count, 3),
        torch.eye(3) + 0.2 * torch.randn(count, 3, 3),
        normalize(torch.randn(count, 4), dim=-1),
        torch.randn(count, 3).exp(),
        torch.rand(count),
        0.3 * torch.randn(count, sum(CHANNELS.values())) if changes else None,
    )


def _decode(
    start: dict[str, Tensor], values: dict[str, Tensor], least: Tensor, motion: SplatMotion
) -> tuple[list[Tensor], list[Tensor]]:
    """The Gaussians' fields, and the gradients of a random function of them."""
    leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
    drawn = list(vars(SplatDecoder(start, least, [motion]).decode(leaves, 0)).values())
    chance = torch.Generator().manual_seed(1)
    weights = (torch.randn(x.shape, generator=chance).to(x) for x in drawn)
    torch.stack([(x * w).sum() for x, w in zip(drawn, weights, strict=True)]).sum().backward()
    grads = [leaves[name].grad for name in FIELDS]
    return [x.detach() for x in drawn], [g for g in grads if g is not None]


@pytest.mark.skipif(native.library() is None, reason="there is no compiler here")
@pytest.mark.parametrize("count", [1, 7, 8, 2051])
@pytest.mark.parametrize("changes", [False, True])
def test_compiled_decoder_agrees_with_torch(count: int, changes: bool) -> None:
    torch.manual_seed(count)
    start, motion, least = _start(count), _motion(count, changes), 3e-3 * torch.rand(count, 1)
    values = {n: x + SPREAD[n] * torch.randn_like(x) for n, x in start.items()}
    single = _decode(start, values, least, motion)
    fields = (None if x is None else x.double() for x in vars(motion).values())
    double = _decode(
        {n: x.double() for n, x in start.items()},
        {n: x.double() for n, x in values.items()},
        least.double(),
        SplatMotion(*fields),  # pyright: ignore[reportArgumentType]: change alone may be None
    )
    for fast, exact in zip(single[0] + single[1], double[0] + double[1], strict=True):
        assert fast.shape == exact.shape
        # 2e-5 of the largest: float32
        assert (fast - exact).abs().max() <= 2e-5 * exact.abs().max()


def test_values_at_a_bound_move_back_and_those_beyond_do_not_move() -> None:
    """Where a bound holds a value, its gradient is none at all; at the bound itself it is free."""
    start, motion = _start(3), _motion(3, changes=False)
    values = {name: value.clone() for name, value in start.items()}
    values["colors"] = torch.tensor([0.0, 1.0, 1.5])[:, None].expand(3, 3)
    values["scales"] = start["scales"] + torch.tensor([0.0, 0.5, 1.5])[:, None] * GROW
    values["offsets"] = start["offsets"] + torch.tensor([0.0, 0.5, 1.5])[:, None] * DRIFT
    _, grads = _decode(start, values, torch.zeros(3, 1), motion)
    for name, grad in zip(FIELDS, grads, strict=True):
        if name in ("colors", "scales", "offsets"):
            assert (grad[:2].abs().sum(-1) > 0).all(), name
            assert (grad[2] == 0).all(), name
