"""Model P: what may not change its answer, its sizes, its gradients, what it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flexavatar.avatar.uv_maps import (
    apply_change,
    drive_map,
    expression_coefficients,
    upsample_change,
    uv_layout,
)
from flexavatar.errors import ShapeError
from flexavatar.head.open_head import load_open_head
from flexavatar.models.channels import MAP_CHANNELS, ChartEvidence
from flexavatar.models.config import QUERY_LRM_PAPER, QUERY_LRM_TINY, BiasSinkConfig, QueryLrmConfig
from flexavatar.models.query_lrm import (
    COEFFICIENTS,
    AvatarCode,
    QueryLrm,
)
from flexavatar.types import FlameCodes

SMALL = replace(
    QUERY_LRM_TINY,
    image_side=64,
    width=32,
    heads=2,
    query_side=8,
    decoder=(16, 8),
    unet=(8, 8),
    identity=4,
)
"""The tiny preset's modules, smaller still: maps of 64, driving maps of 32."""


@pytest.fixture(scope="module")
def model() -> QueryLrm:
    torch.manual_seed(0)
    made = QueryLrm(SMALL)
    for layer in (made.decoder.static, made.unet.out):  # zero before training: nothing to see
        torch.nn.init.normal_(layer.weight, std=0.05)
    return made.eval()


def parameters_of(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def told(config: QueryLrmConfig, seed: int = 0) -> ChartEvidence:
    generator = torch.Generator().manual_seed(seed)
    side = config.chart
    return ChartEvidence(
        *(torch.rand(1, n, side, side, generator=generator) for n in (3, 1, 1, 3, 3))
    )


def pictures(config: QueryLrmConfig | BiasSinkConfig, count: int) -> Tensor:
    """Colours that differ from picture to picture."""
    generator = torch.Generator().manual_seed(1)
    small = torch.rand(count, 3, 2, 2, generator=generator)
    return torch.nn.functional.interpolate(small, config.image_side)


@torch.no_grad()
def encoded(model: QueryLrm, images: Tensor) -> AvatarCode:
    return model.encode(images, told(model.config))


def test_the_order_of_photos_does_not_matter(model: QueryLrm) -> None:
    images = pictures(SMALL, 4)
    one, other = encoded(model, images), encoded(model, images[[2, 0, 3, 1]])
    # float32 sums in another order
    torch.testing.assert_close(one.static, other.static, rtol=0, atol=2e-5)
    torch.testing.assert_close(one.identity, other.identity, rtol=0, atol=2e-5)
    third = encoded(model, pictures(SMALL, 5)[1:])
    assert (third.static - one.static).abs().max() > 2e-4, "photos must matter"


@pytest.mark.parametrize("picked", [(0, 0), (0, 0, 0)])
def test_the_same_photo_twice_is_one_photo(model: QueryLrm, picked: tuple[int, ...]) -> None:
    images = pictures(SMALL, 1)
    again = encoded(model, images[list(picked)])
    torch.testing.assert_close(encoded(model, images).static, again.static, rtol=0, atol=2e-5)


def test_a_photo_that_comes_twice_is_not_heard_twice(model: QueryLrm) -> None:
    images = pictures(SMALL, 2)
    again = encoded(model, images[[0, 1, 1, 1]])
    torch.testing.assert_close(encoded(model, images).static, again.static, rtol=0, atol=2e-5)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16])
def test_any_number_of_photos(model: QueryLrm, count: int) -> None:
    code = encoded(model, pictures(SMALL, count))
    assert code.static.shape == (1, MAP_CHANNELS, SMALL.chart, SMALL.chart)
    assert torch.isfinite(code.static).all()


def test_pictures_of_another_size_are_refused(model: QueryLrm) -> None:
    with pytest.raises(ShapeError, match="images: expected"):
        model.encode(torch.zeros(1, 3, 32, 32), told(SMALL))


def test_sizes_of_tiny() -> None:
    made = QueryLrm(QUERY_LRM_TINY).eval()
    assert (QUERY_LRM_TINY.chart, QUERY_LRM_TINY.drive_side) == (256, 128)
    with torch.no_grad():
        code = made.encode(pictures(QUERY_LRM_TINY, 1), told(QUERY_LRM_TINY))
        change = made.change(code, torch.zeros(2, 3, 128, 128))
    assert code.static.shape == (1, 14, 256, 256)
    assert code.identity.shape == (1, 32, 128, 128)
    assert change.shape == (2, 14, 128, 128)
    assert parameters_of(made) == 1_681_280
    assert parameters_of(made.unet) == 223_384


def test_sizes_of_paper() -> None:
    with torch.device("meta"):
        made = QueryLrm(QUERY_LRM_PAPER)
        code = made.encode(torch.zeros(2, 3, 512, 512))
        change = made.change(code, torch.zeros(1, 3, 400, 400))
    assert code.static.shape == (1, 14, 400, 400)
    assert code.identity.shape == (1, 32, 400, 400)
    assert change.shape == (1, 14, 400, 400)
    assert parameters_of(made) == 87_278_652  # beside DINOv3, which is frozen
    assert sum(p.numel() for p in made.encoder.parameters()) == 303_129_600


def test_untrained_expressions_change_nothing() -> None:
    made = QueryLrm(SMALL)
    code = AvatarCode(torch.zeros(1, 14, 64, 64), torch.randn(1, SMALL.identity, 32, 32))
    assert made.change(code, torch.randn(2, 3, 32, 32)).abs().max() == 0


def test_what_is_computed_once_a_person_is_the_whole_first_layer(model: QueryLrm) -> None:
    """Split by linearity: the same as one convolution over F_id and driving map together."""
    unet = model.unet
    identity, drive = torch.randn(1, SMALL.identity, 32, 32), torch.randn(1, 3, 32, 32)
    fold = torch.nn.functional.pixel_unshuffle
    both = torch.cat((fold(identity, 2), fold(drive, 2)), 1)
    kernel = torch.cat((unet.person.weight, unet.drive.weight), 1)
    whole = torch.nn.functional.conv2d(both, kernel, unet.person.bias, padding=1)
    split = unet.person_features(identity) + unet.drive(fold(drive, 2))
    torch.testing.assert_close(split, whole, rtol=0, atol=1e-5)  # float32 sums in another order


def test_raw_numbers_can_drive() -> None:
    torch.manual_seed(0)
    made = QueryLrm(replace(SMALL, drive="coefficients"))
    torch.nn.init.normal_(made.unet.out.weight, std=0.05)
    identity = torch.randn(1, SMALL.identity, 32, 32)
    code = AvatarCode(torch.zeros(1, 14, 64, 64), identity)
    numbers = torch.stack((torch.zeros(COEFFICIENTS), torch.ones(COEFFICIENTS)))
    still, moved = made.change(code, numbers)
    assert still.shape == (14, 32, 32)
    assert still.abs().max() < 1e-6, "a face at rest is changed"  # float32: sums in another order
    assert (still - moved).abs().max() > 1e-3


def test_gradients_of_model_and_maps() -> None:
    """In float64, from dG to what is drawn, and from images to the static maps."""
    torch.manual_seed(0)
    made = QueryLrm(replace(SMALL, image_side=32, width=8, query_side=2, decoder=(8, 8))).double()
    for layer in (made.decoder.static, made.unet.out):
        torch.nn.init.normal_(layer.weight, std=0.05)
    evidence = ChartEvidence(*(x[..., :16, :16].double() for x in vars(told(SMALL)).values()))
    image = pictures(SMALL, 1)[..., :32, :32].double()

    def statics(x: Tensor) -> Tensor:
        return made.encode(image * x, evidence).static.square().mean()

    assert torch.autograd.gradcheck(statics, torch.ones((), dtype=torch.float64).requires_grad_())
    person = torch.randn(1, 8, 4, 4, dtype=torch.float64)
    drive = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: made.unet.change(person, d).square().mean(), drive)


def test_no_change_is_no_change_at_all() -> None:
    from flexavatar.avatar.uv_maps import NeutralSplats
    from flexavatar.head.binding import LocalSplats

    generator = torch.Generator().manual_seed(2)
    quats = torch.nn.functional.normalize(torch.randn(9, 4, generator=generator), dim=-1)
    local = LocalSplats(torch.randn(9, 3), quats, torch.rand(9, 3))
    ends = torch.tensor([0.0, 1.0, 0.5] * 3)
    splats = NeutralSplats(local, ends, ends[:, None].expand(9, 3))
    same = apply_change(splats, torch.zeros(9, MAP_CHANNELS))
    torch.testing.assert_close(same.local.offsets, local.offsets, rtol=0, atol=0)
    torch.testing.assert_close(same.local.scales, local.scales, rtol=0, atol=0)
    torch.testing.assert_close(same.local.quats, quats, rtol=0, atol=1e-7)  # one product
    torch.testing.assert_close(same.opacities, ends, rtol=0, atol=0)
    torch.testing.assert_close(same.colors, splats.colors, rtol=0, atol=0)
    bright = apply_change(splats, torch.full((9, MAP_CHANNELS), 2.0))
    assert (bright.colors >= splats.colors).all()
    assert bright.opacities.max() <= 1


def test_only_what_moves_changes() -> None:
    head = load_open_head()
    layout = uv_layout(head, QUERY_LRM_TINY)
    large = upsample_change(torch.ones(1, MAP_CHANNELS, 128, 128), layout)[0, 0]
    scalp = layout.texels.masks["scalp"] > 0.99
    lids = layout.texels.masks["lids"] > 0.5
    at = large.flatten()[layout.texels.cells]
    assert at[scalp].max() < 0.2
    assert at[lids].min() > 0.5


def test_the_driving_map_shows_the_jaw() -> None:
    head = load_open_head()
    layout = uv_layout(head, QUERY_LRM_TINY)
    codes = FlameCodes.zeros(len(head.corrective_factors))
    codes.jaw_pose[0] = 0.2
    moves = head.pose(head.template, codes).vertices - head.template
    drive = drive_map(moves, layout)
    assert drive.shape == (3, 128, 128)
    assert drive[1].min() < -0.5  # centimetres down
    assert expression_coefficients(codes).shape == (COEFFICIENTS,)
    still = drive_map(torch.zeros_like(moves), layout)
    assert still.abs().max() == 0
