"""Model K: what may not change its answer, its sizes, its gradients, what drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from flexavatar.avatar.bias_sink_maps import activate_gaussians, base_splats, query_positions
from flexavatar.avatar.uv_maps import map_at_texels, uv_layout
from flexavatar.errors import AssetError, InputError, ShapeError
from flexavatar.head.arkit import arkit_vector_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.open_head import load_open_head
from flexavatar.models import weights
from flexavatar.models.bias_sink import RAYS, BiasSink, plucker_rays, positional_encoding
from flexavatar.models.blocks import Upsampler
from flexavatar.models.channels import COLOR, MAP_CHANNELS, ChartEvidence
from flexavatar.models.config import BIAS_SINK_PAPER, BIAS_SINK_TINY, BiasSinkConfig, SignalKind
from flexavatar.models.mmdit import MmditBlock
from flexavatar.models.signal_vectors import (
    CORRECTIVES,
    SIGNAL_SIZES,
    flame_signal,
    rotation_6d,
    signal_vector,
)
from flexavatar.render.camera import project, unproject
from flexavatar.types import SH_C0, Camera, FlameCodes
from tests.test_query_lrm import parameters_of, pictures

SMALL = replace(
    BIAS_SINK_TINY, image_side=64, image_width=32, width=64, query_side=8, inner=16, heads=2,
    expression_width=16, expression_hidden=16, decoder_width=32, map_channels=8, upsampler=(8,),
)  # fmt: skip
"""The tiny preset's modules, smaller still: maps of 16, a chart of 32."""
HEAD = load_open_head()


def awake(model: BiasSink) -> BiasSink:
    """With noise in the layers that are silent before training."""
    for parameter in model.parameters():
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> BiasSink:
    torch.manual_seed(0)
    return awake(BiasSink(SMALL))


def told(config: BiasSinkConfig) -> ChartEvidence:
    generator = torch.Generator().manual_seed(0)
    side = config.sides[0]
    return ChartEvidence(
        *(torch.rand(1, n, side, side, generator=generator) for n in (3, 1, 1, 3, 3))
    )


def looks(config: BiasSinkConfig, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    side = config.image_side
    return torch.randn(count, RAYS, 1, 1, generator=generator).expand(-1, -1, side, side)


def places(config: BiasSinkConfig) -> Tensor:
    return query_positions(config, HEAD, HEAD.template)


@torch.no_grad()
def encoded(model: BiasSink, count: int, picked: Sequence[int]) -> Tensor:
    """A of some of `count` photos."""
    images, seen = pictures(model.config, count), looks(model.config, count)
    rows = list(picked)
    return model.encode(images[rows], seen[rows], places(model.config), told(model.config))


def signals(count: int = 1, kind: SignalKind = "flame") -> Tensor:
    return torch.randn(count, SIGNAL_SIZES[kind], generator=torch.Generator().manual_seed(4))


def test_the_order_of_photos_does_not_matter(model: BiasSink) -> None:
    one, other = encoded(model, 4, (0, 1, 2, 3)), encoded(model, 4, (2, 0, 3, 1))
    torch.testing.assert_close(one, other, rtol=0, atol=2e-5)  # float32 sums in another order
    assert (encoded(model, 4, (0, 1, 2)) - one).abs().max() > 2e-4, "photos must matter"


def test_a_photo_that_comes_twice_is_heard_once(model: BiasSink) -> None:
    one, other = encoded(model, 2, (0, 1)), encoded(model, 2, (0, 1, 1, 1))
    torch.testing.assert_close(one, other, rtol=0, atol=2e-5)


def test_where_a_photo_was_taken_from_matters(model: BiasSink) -> None:
    seen = looks(SMALL, 2)
    one, other = (
        model.encode(pictures(SMALL, 1), look[None], places(SMALL), told(SMALL)) for look in seen
    )
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["images", "rays", "places"])
def test_other_sizes_are_refused(model: BiasSink, name: str) -> None:
    inputs = {"images": pictures(SMALL, 2), "rays": looks(SMALL, 2), "places": places(SMALL)}
    inputs[name] = inputs[name][:-1, ..., :-1] if name != "places" else inputs[name][:-1]
    with pytest.raises(ShapeError, match=f"{name}: expected"):
        model.encode(**inputs, evidence=told(SMALL))


def test_sizes_of_tiny() -> None:
    made, config = BiasSink(BIAS_SINK_TINY).eval(), BIAS_SINK_TINY
    with torch.no_grad():
        code = encoded(made, 1, (0,))
        maps = made.decode(code, signals(2))
    assert code.shape == (1024, 256)
    assert maps.shape == (2, MAP_CHANNELS, 256, 256)
    assert config.sides == canvas_sides(config)
    assert parameters_of(made) == 1_934_030
    assert parameters_of(made.decoder) == 534_846


def canvas_sides(config: BiasSinkConfig) -> tuple[int, int]:
    layout = uv_layout(HEAD, config)
    return layout.size, layout.motion_mask.shape[-1]


def test_sizes_of_paper() -> None:
    with torch.device("meta"):
        made = BiasSink(BIAS_SINK_PAPER)
        photos, looks = torch.zeros(2, 3, 512, 512), torch.zeros(2, RAYS, 512, 512)
        code = made.encode(photos, looks, torch.zeros(1024, 3))
        maps = made.decode(code, torch.zeros(2, SIGNAL_SIZES["flame"]))
    assert code.shape == (32 * 32, 768)
    assert maps.shape == (2, MAP_CHANNELS, 256, 256)
    assert parameters_of(made) == 178_572_574  # beside DINOv2, which is frozen
    assert made.images.dino is not None
    assert sum(p.numel() for p in made.images.dino.parameters()) == 85_725_696


def test_untrained_it_shows_the_evidence_where_the_head_is() -> None:
    torch.manual_seed(0)
    made, config = BiasSink(BIAS_SINK_TINY).eval(), BIAS_SINK_TINY
    with torch.no_grad():
        maps = made.decode(encoded(made, 1, (0,)), signals())
    texels = uv_layout(HEAD, config).texels
    start = base_splats(config, HEAD, HEAD.template, texels)
    shown = activate_gaussians(map_at_texels(maps[0], texels.chart), start)
    torch.testing.assert_close(shown.means, start.positions)
    base = map_at_texels(told(config).base[0], texels.chart)
    # two linear layers there and back in float32
    torch.testing.assert_close(0.5 + SH_C0 * shown.sh[:, 0], base, rtol=0, atol=1e-5)
    torch.testing.assert_close(shown.opacities, torch.full_like(shown.opacities, 0.1))


def test_the_papers_gaussians_start_round_on_the_mean_head() -> None:
    config, neutral = BIAS_SINK_PAPER, HEAD.template * 1.1
    texels = uv_layout(HEAD, config).texels
    start = base_splats(config, HEAD, neutral, texels)
    shown = activate_gaussians(torch.zeros(len(texels), MAP_CHANNELS), start)
    assert shown.means.norm(dim=-1).max() < HEAD.template.norm(dim=-1).max() + 1e-5
    assert bool((shown.quats == torch.tensor([1.0, 0, 0, 0])).all())
    torch.testing.assert_close(shown.scales, torch.full_like(shown.scales, 0.006737947))  # e^-5
    grown = activate_gaussians(torch.full((len(texels), MAP_CHANNELS), 9.0), start)
    assert float(grown.scales.max()) == pytest.approx(0.01)
    assert float((grown.means - start.positions).abs().max()) < 0.1


def test_sinks_change_what_is_shown_and_avatars_are_shown_in_3d(model: BiasSink) -> None:
    code, signal = encoded(model, 1, (0,)), signals()
    flat, full, usual = (
        model.decode(code, signal, "2d"),
        model.decode(code, signal, "3d"),
        model.decode(code, signal),
    )
    assert torch.equal(full, usual)
    assert (flat - full).abs().max() > 1e-3


def test_without_sinks_there_is_no_difference() -> None:
    made = awake(BiasSink(replace(SMALL, sinks=False)))
    code, signal = torch.randn(64, 64), signals()
    assert torch.equal(made.decode(code, signal, "2d"), made.decode(code, signal, "3d"))


def test_what_is_computed_once_a_person_is_the_whole(model: BiasSink) -> None:
    code, several = torch.randn(64, 64), signals(3)
    person = model.person_features(code)
    whole = model.decode(code, several)
    for i in range(3):
        one = model.drive(person, several[i : i + 1])
        torch.testing.assert_close(one[0], whole[i], rtol=0, atol=1e-5)  # other blocks of sums


def test_expressions_move_and_colour(model: BiasSink) -> None:
    maps = model.decode(encoded(model, 1, (0,)), signals(2))
    apart = (maps[0] - maps[1]).abs().amax((1, 2))
    assert bool((apart > 1e-4).all()), "every channel hears the expression"


def test_colours_are_read_out_of_a(model: BiasSink) -> None:
    """At the chart's own size, so that they can be fitted texel by texel."""
    code = torch.zeros(64, 64, requires_grad=True)
    model.decode(code, signals())[0, COLOR, 3, 5].sum().backward()
    assert code.grad is not None
    assert int((code.grad.abs().sum(1) > 0).sum()) < 64, "a texel hears the queries about it"


@pytest.mark.parametrize("kind", ["flame", "arkit", "audio"])
def test_any_signal_drives(kind: SignalKind) -> None:
    made = awake(BiasSink(replace(SMALL, signal=kind)))
    maps = made.decode(torch.randn(64, 64), signals(2, kind))
    assert maps.shape == (2, MAP_CHANNELS, 32, 32)
    assert (maps[0] - maps[1]).abs().max() > 1e-4
    with pytest.raises(ShapeError, match="signals: expected"):
        made.decode(torch.randn(64, 64), torch.zeros(1, SIGNAL_SIZES[kind] + 1))


def test_signals_of_an_expression() -> None:
    arkit = torch.rand(4, 52)
    codes = arkit_vector_to_flame(arkit, load_arkit_basis(HEAD))
    assert signal_vector("flame", arkit, codes).shape == (4, SIGNAL_SIZES["flame"])
    assert torch.equal(signal_vector("arkit", arkit, codes), arkit)
    with pytest.raises(InputError, match="samples with sound"):
        signal_vector("audio", arkit, codes)
    still = flame_signal(FlameCodes.zeros(CORRECTIVES))
    turns = still[102:132].view(5, 6)
    assert bool((turns == torch.tensor([1.0, 0, 0, 0, 1, 0])).all())
    assert still.sum() == 10, "everything else is zero at rest"
    quarter = rotation_6d(torch.tensor([0.0, 0, torch.pi / 2]))
    torch.testing.assert_close(quarter, torch.tensor([0.0, 1, 0, -1, 0, 0]), rtol=0, atol=1e-6)


def test_rays_go_through_what_a_pixel_shows() -> None:
    viewmat = torch.eye(4)
    viewmat[:3, :3] = torch.linalg.qr(torch.randn(3, 3)).Q
    viewmat[:3, 3] = torch.randn(3)
    K = torch.tensor([[90.0, 0, 30], [0, 80, 33], [0, 0, 1]])
    found = plucker_rays(viewmat[None], K[None], 64)[0, :, 20, 41]
    point = unproject(Camera(viewmat, K, 64, 64), torch.tensor([41.5, 20.5]), torch.tensor(0.7))
    back = project(Camera(viewmat, K, 64, 64), point)
    torch.testing.assert_close(back[:2], torch.tensor([41.5, 20.5]), rtol=0, atol=1e-3)  # pixels
    torch.testing.assert_close(found[:3].norm(), torch.tensor(1.0))
    moment = torch.linalg.cross(point, found[:3]) * 10
    torch.testing.assert_close(found[3:], moment, rtol=0, atol=1e-4)  # decimetres, of sums of 1e1


def test_waves_are_different_everywhere() -> None:
    codes = positional_encoding(places(BIAS_SINK_TINY))
    assert codes.shape == (1024, 51)
    there = places(BIAS_SINK_TINY).abs().sum(1) > 0
    apart = torch.cdist(codes[there], codes[there]) + 9 * torch.eye(int(there.sum()))
    assert (apart.amin(0) > 0.5).float().mean() > 0.98, "but for a few where the mesh folds"


@pytest.mark.parametrize(("joint", "last"), [(True, False), (False, False), (False, True)])
def test_gradients_of_a_block(joint: bool, last: bool) -> None:
    torch.manual_seed(0)
    block = MmditBlock(4, 6, 4, 2, 2, joint, last).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    tokens = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    context = torch.randn(1, 2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (tokens, context))
    assert torch.equal(block(tokens, context)[1], context) == last


def test_tokens_that_do_not_see_each_other(model: BiasSink) -> None:
    """Driven alone or together, a token of the chart becomes the same in the small preset."""
    for joint in (False, True):
        block = MmditBlock(8, 8, 8, 2, 2, joint, last=True)
        for parameter in block.parameters():
            torch.nn.init.normal_(parameter)
        tokens, context = torch.randn(1, 5, 8), torch.randn(1, 3, 8)
        whole, part = block(tokens, context)[0][:, :2], block(tokens[:, :2], context)[0]
        assert torch.allclose(whole, part, atol=1e-4) != joint  # other blocks of float32 sums


def test_without_stylegan_pixels_are_only_spread() -> None:
    plain = Upsampler(16, (4, 4), 1, convolves=False)
    assert parameters_of(plain) == 0
    x = torch.randn(1, 16, 2, 2)
    shuffle = torch.nn.functional.pixel_shuffle
    assert torch.equal(plain(x), shuffle(shuffle(x, 2), 2))
    assert plain(x).shape == (1, 1, 8, 8)


def test_weights_round_trip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(AssetError, match=r"expected weights in .*bias_sink_tiny"):
        weights.load_bias_sink("tiny")
    made = BiasSink(BIAS_SINK_TINY)
    weights.save_bias_sink(made, weights.bias_sink_path("tiny"), {"steps": "0"})
    found, fingerprint = weights.load_bias_sink("tiny")
    assert weights.load_matching_bias_sink("tiny", fingerprint) is found
    for name, value in made.state_dict().items():
        assert torch.equal(found.state_dict()[name], value.half().float()), name
    with pytest.raises(AssetError, match="bias_sink: expected tiny weights 000"):
        weights.load_matching_bias_sink("tiny", "0" * 64)
