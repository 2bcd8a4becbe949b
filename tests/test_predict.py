"""Model P on a real photo: what it is told, what it says, how it is refined and driven."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexavatar.avatar.avatar import Animator, Avatar
from flexavatar.avatar.uv_maps import UvLayout, changeable_texels, uv_layout
from flexavatar.capture.portrait import Portrait
from flexavatar.create.create import CreateConfig, create_avatar_from_portraits
from flexavatar.create.encoder_inputs import encoder_inputs
from flexavatar.create.evidence import (
    SurfaceObservations,
    observe_surface,
    without_doubtful_lids,
)
from flexavatar.create.first_guess import AvatarDraft, first_guess
from flexavatar.create.fit import FitConfig
from flexavatar.create.fit_network import fit_network
from flexavatar.create.fit_splats import fit_splats
from flexavatar.create.network import Prediction, expression_changes, network_texels, predict
from flexavatar.create.posed_views import PosedViews
from flexavatar.create.skin import build_skin
from flexavatar.create.splat_motion import pose_splats, raw_values, splat_motions
from flexavatar.errors import InputError
from flexavatar.head.open_head import load_open_head
from flexavatar.models.config import QUERY_LRM_TINY
from flexavatar.models.weights import FOLDER, load_query_lrm, query_lrm_path
from flexavatar.render.rasterize import rasterize
from flexavatar.types import Gaussians
from tests.dynamic import install_network

HEAD = load_open_head()


@pytest.fixture(scope="module")
def layout() -> UvLayout:
    return uv_layout(HEAD, QUERY_LRM_TINY)


@pytest.fixture(scope="module")
def observations(placed: PosedViews, layout: UvLayout) -> SurfaceObservations:
    return observe_surface(placed, layout.texels)


@pytest.fixture(scope="module")
def prediction(observations: SurfaceObservations) -> Prediction:
    return predict(observations, "tiny")


@pytest.fixture(scope="module")
def draft(observations: SurfaceObservations, prediction: Prediction) -> AvatarDraft:
    return first_guess(build_skin(observations, prediction), CreateConfig().spacing_px)


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
    placed: PosedViews, observations: SurfaceObservations, prediction: Prediction
) -> None:
    inputs, texels = prediction.inputs, observations.texels
    seen = without_doubtful_lids(observations.evidence, texels)
    assert inputs.evidence is not None
    assert inputs.images.shape == (1, 3, QUERY_LRM_TINY.image_side, QUERY_LRM_TINY.image_side)
    cheek = (texels.masks["face"] > 0.9) & (seen.weight > 0.8)
    assert int(cheek.sum()) > 5_000
    back = texels.masks["scalp"] > 0.9
    assert seen.weight[back].mean() < 0.2
    red, green, blue = seen.colors[cheek].median(0).values
    assert red > green > blue, "skin"
    base = inputs.evidence.base[0].flatten(1)[:, texels.cells].T
    assert (base - seen.colors)[cheek].abs().mean() < 0.02, "what is seen stays"
    double = replace(placed, views=placed.views * 2, codes=placed.codes * 2)
    twice = encoder_inputs(observe_surface(double, texels), QUERY_LRM_TINY)
    assert twice.evidence is not None
    # the mean of twice the same, weighted: rounding
    torch.testing.assert_close(twice.evidence.base, inputs.evidence.base, rtol=0, atol=1e-4)


def test_what_is_fitted_is_what_is_driven(
    lively: None, portrait: Portrait, observations: SurfaceObservations
) -> None:
    """The fit's own posing, and the frame path with the saved F_id, agree on the photo's face."""
    skin = build_skin(observations, predict(observations, "tiny"))
    draft = first_guess(skin, CreateConfig().spacing_px)
    fitted = _posed(fit_splats(draft, FitConfig(steps=0)))
    avatar = create_avatar_from_portraits([portrait], CreateConfig(steps=0))
    assert isinstance(avatar, Avatar)
    assert avatar.dynamic is not None
    layout = uv_layout(HEAD, QUERY_LRM_TINY)
    mine = changeable_texels(layout) & network_texels(layout.texels)
    kept = torch.isin(layout.texels.cells[mine], draft.splats.cells)  # others: under strands
    assert len(avatar.dynamic.splats) == int(kept.sum()) > 0.95 * int(mine.sum())
    driven = Animator(avatar).animate(avatar.codes)
    # clamped logits at both ends, and F_id does not pass through a file here
    torch.testing.assert_close(driven.means, fitted.means, rtol=0, atol=2e-5)
    torch.testing.assert_close(driven.sh, fitted.sh, rtol=0, atol=2e-3)
    a, b = (rasterize(g, avatar.camera).rgba for g in (driven, fitted))
    assert (a - b).abs().mean() < 3e-3


def _posed(draft: AvatarDraft) -> Gaussians:
    """As fitting draws it in its first photo."""
    splats = draft.splats
    values = raw_values(splats.local, splats.opacities, splats.colors)
    return pose_splats(values, next(splat_motions(draft)))


def test_expressions_change_the_skin(
    placed: PosedViews, draft: AvatarDraft, prediction: Prediction, layout: UvLayout
) -> None:
    view, texels = placed.views[0], layout.texels
    codes = replace(placed.codes[0], jaw_pose=torch.tensor([0.3, 0, 0]))
    opened = HEAD.pose(placed.neutral, codes).vertices
    views = (view, replace(view, motion=replace(view.motion, vertices=opened)))
    model, _ = load_query_lrm("tiny")
    with torch.no_grad():
        as_it_was, changed = expression_changes(
            prediction.code, replace(placed, views=views), model
        )
    assert draft.changes[0] is not None
    torch.testing.assert_close(draft.splats.texel_values(as_it_was, texels), draft.changes[0])
    cheeks = network_texels(texels) & (texels.masks["face"] > 0.9)
    assert (changed - as_it_was)[cheeks].abs().mean() > 1e-3
    assert changed[~network_texels(texels)].abs().max() == 0


def test_refining_the_encoder_comes_closer_and_keeps_the_rest(
    placed: PosedViews, draft: AvatarDraft
) -> None:
    view, (model, _) = placed.views[0], load_query_lrm("tiny")
    before = {n: p.clone() for n, p in model.named_parameters()}
    fitted = fit_network(draft, FitConfig(steps=4))
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]), "the package's network must stay as it is"
    assert fitted.prediction is not None
    assert draft.prediction is not None
    code, own = fitted.prediction.code, draft.prediction.code
    assert torch.equal(code.identity, own.identity)
    assert not torch.equal(code.static, own.static)
    off_chart = draft.splats.cells < 0
    assert torch.equal(fitted.splats.colors[off_chart], draft.splats.colors[off_chart])
    assert torch.equal(fitted.splats.opacities, draft.splats.opacities)
    wanted = torch.from_numpy(view.portrait.colors)
    inside = torch.from_numpy(view.portrait.matte > 0.9)
    errors = []
    for each in (draft, fitted):
        with torch.no_grad():
            shown = rasterize(_posed(each), view.camera).rgba[..., :3]
        errors.append(float((shown - wanted).abs()[inside].mean()))
    assert errors[1] < errors[0]


def test_without_a_model_its_parameters_cannot_be_fitted(portrait: Portrait) -> None:
    config = CreateConfig(model="fit", fitted="network", steps=1)
    with pytest.raises(InputError, match="expected a learned model"):
        create_avatar_from_portraits([portrait], config)


def test_without_the_model_nothing_changes_with_the_expression(portrait: Portrait) -> None:
    avatar = create_avatar_from_portraits([portrait], CreateConfig(model="fit", steps=0))
    assert isinstance(avatar, Avatar)
    assert avatar.model == "fit"
    assert avatar.dynamic is None
