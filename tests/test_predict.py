"""Model P on a real photo: what it is told, what it says, how it is refined and driven."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexavatar.avatar.avatar import Animator, Avatar
from flexavatar.avatar.maps import UvLayout, changeable_texels, uv_layout
from flexavatar.capture.portrait import Portrait
from flexavatar.create.create import CreateConfig, Learned, Start, avatar_of, begin
from flexavatar.create.evidence import gather
from flexavatar.create.fit import FitConfig
from flexavatar.create.fit_network import refine_encoder
from flexavatar.create.fit_splats import carry, posed, values_of
from flexavatar.create.posed_views import Placed
from flexavatar.create.predict import changes_of, entrusted, tell
from flexavatar.errors import InputError
from flexavatar.head.open_head import load_open_head
from flexavatar.models.config import QUERY_LRM_TINY
from flexavatar.models.weights import FOLDER, load_query_lrm, query_lrm_path
from flexavatar.render.rasterize import rasterize
from tests.dynamic import install_network

HEAD = load_open_head()


@pytest.fixture(scope="module")
def start(portrait: Portrait, placed: Placed) -> Start:
    return begin([portrait], placed, HEAD, CreateConfig())


@pytest.fixture(scope="module")
def learned(start: Start) -> Learned:
    assert start.learned is not None
    return start.learned


@pytest.fixture(scope="module")
def layout() -> UvLayout:
    return uv_layout(HEAD, QUERY_LRM_TINY)


@pytest.fixture
def lively(tmp_path: Path) -> Iterator[None]:
    """An untrained network whose expressions change everything a little."""
    with pytest.MonkeyPatch.context() as patch:
        install_network(patch, tmp_path, noise=0.02)
        yield


def test_the_weights_that_ship_are_small_and_whole() -> None:
    assert query_lrm_path("tiny").parent == FOLDER
    assert query_lrm_path("tiny").stat().st_size < 16e6
    model, fingerprint = load_query_lrm("tiny")
    assert model.config == QUERY_LRM_TINY
    assert len(fingerprint) == 64
    assert model.unet.out.weight.abs().max() > 0, "untrained"


def test_evidence_is_what_the_photo_shows(
    portrait: Portrait, placed: Placed, learned: Learned, layout: UvLayout
) -> None:
    told, texels = learned.told, layout.texels
    assert told.evidence is not None
    assert told.images.shape == (1, 3, QUERY_LRM_TINY.image_side, QUERY_LRM_TINY.image_side)
    cheek = (texels.masks["face"] > 0.9) & (told.weight > 0.8)
    assert int(cheek.sum()) > 5_000
    back = texels.masks["scalp"] > 0.9
    assert told.weight[back].mean() < 0.2
    red, green, blue = told.colors[cheek].median(0).values
    assert red > green > blue, "skin"
    base = told.evidence.base[0].flatten(1)[:, texels.cells].T
    assert (base - told.colors)[cheek].abs().mean() < 0.02, "what is seen stays"
    double = _twice(placed)
    seen = gather(double.views, texels, HEAD.faces)
    twice = tell([portrait, portrait], double, seen, HEAD, learned.model)
    assert twice.evidence is not None
    # the mean of twice the same, weighted: rounding
    torch.testing.assert_close(twice.evidence.base, told.evidence.base, rtol=0, atol=1e-4)


def _twice(placed: Placed) -> Placed:
    return Placed(placed.neutral, placed.views * 2, placed.codes * 2)


def test_what_is_fitted_is_what_is_driven(
    lively: None, portrait: Portrait, placed: Placed, layout: UvLayout
) -> None:
    """The fit's own posing, and the frame path with the saved F_id, agree on the photo's face."""
    start = begin([portrait], placed, HEAD, CreateConfig())
    assert start.learned is not None
    splats, view = start.splats, placed.views[0]
    carried = carry(splats, view, view.openings, start.learned.changes[0])
    fitted = posed(values_of(splats.local, splats.opacities, splats.colors), carried)
    avatar = avatar_of([portrait], CreateConfig(steps=0))
    assert isinstance(avatar, Avatar)
    assert avatar.dynamic is not None
    assert len(avatar.dynamic.splats) == int((changeable_texels(layout) & entrusted(layout)).sum())
    driven = Animator(avatar).animate(avatar.codes)
    # clamped logits at both ends, and F_id does not pass through a file here
    torch.testing.assert_close(driven.means, fitted.means, rtol=0, atol=2e-5)
    torch.testing.assert_close(driven.sh, fitted.sh, rtol=0, atol=2e-3)
    a, b = (rasterize(g, avatar.camera).rgba for g in (driven, fitted))
    assert (a - b).abs().mean() < 3e-3


def test_expressions_change_the_skin(
    placed: Placed, start: Start, learned: Learned, layout: UvLayout
) -> None:
    view = placed.views[0]
    codes = replace(placed.codes[0], jaw_pose=torch.tensor([0.3, 0, 0]))
    opened = HEAD.pose(placed.neutral, codes).vertices
    views = [view, replace(view, motion=replace(view.motion, vertices=opened))]
    with torch.no_grad():
        as_it_was, changed = changes_of(learned.code, views, placed.neutral, layout, learned.model)
    torch.testing.assert_close(start.splats.of_texels(as_it_was, layout.texels), learned.changes[0])
    cheeks = entrusted(layout) & (layout.texels.masks["face"] > 0.9)
    assert (changed - as_it_was)[cheeks].abs().mean() > 1e-3
    assert changed[~entrusted(layout)].abs().max() == 0


def test_refining_the_encoder_comes_closer_and_keeps_the_rest(
    placed: Placed, start: Start, learned: Learned, layout: UvLayout
) -> None:
    view = placed.views[0]
    few = FitConfig(steps=4)
    arguments = (learned.told, learned.code, placed.views, learned.changes, layout, learned.model)
    before = {n: p.clone() for n, p in learned.model.named_parameters()}
    splats, code = refine_encoder(start.splats, *arguments, few)
    for name, p in learned.model.named_parameters():
        assert torch.equal(p, before[name]), "the package's network must stay as it is"
    assert torch.equal(code.identity, learned.code.identity)
    assert not torch.equal(code.static, learned.code.static)
    loose = start.splats.cells < 0
    assert torch.equal(splats.colors[loose], start.splats.colors[loose])
    assert torch.equal(splats.opacities, start.splats.opacities)
    wanted = torch.from_numpy(view.portrait.colors)
    inside = torch.from_numpy(view.portrait.matte > 0.9)
    errors = []
    for each in (start.splats, splats):
        values = values_of(each.local, each.opacities, each.colors)
        with torch.no_grad():
            drawn = posed(values, carry(each, view, view.openings, learned.changes[0]))
            shown = rasterize(drawn, view.camera).rgba[..., :3]
        errors.append(float((shown - wanted).abs()[inside].mean()))
    assert errors[1] < errors[0]


def test_without_a_model_its_parameters_cannot_be_fitted(portrait: Portrait) -> None:
    config = CreateConfig(model="fit", fitted="network", steps=1)
    with pytest.raises(InputError, match="expected a learned model"):
        avatar_of([portrait], config)


def test_without_the_model_nothing_changes_with_the_expression(portrait: Portrait) -> None:
    avatar = avatar_of([portrait], CreateConfig(model="fit", steps=0))
    assert isinstance(avatar, Avatar)
    assert avatar.model == "fit"
    assert avatar.dynamic is None
