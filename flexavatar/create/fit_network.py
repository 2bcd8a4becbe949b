"""The fit of P's own parameters to one person's photos, the paper's quick way.

Peng et al. (CVPR 2026), section 3.4: the UNet is frozen, gradients of the mouth are cut, and 20
iterations suffice. `fit_splats` fits the Gaussians themselves and comes closer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call

from flexavatar.avatar.uv_maps import NeutralSplats, activate_splats, map_at_texels, uv_layout
from flexavatar.create.adam import Parameter
from flexavatar.create.first_guess import AvatarDraft, DraftSplats
from flexavatar.create.fit import FitConfig, fit
from flexavatar.create.fit_targets import photo_targets
from flexavatar.create.splat_motion import pose_splats, raw_values, splat_motions
from flexavatar.errors import InputError
from flexavatar.head.binding import LocalSplats
from flexavatar.head.texels import Zone
from flexavatar.models.weights import load_query_lrm
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.types import Gaussians

RATE = 3e-4
"""Adam's, for a network that starts trained."""


def fit_network(
    draft: AvatarDraft, config: FitConfig, progress: StageProgress = no_stage_progress
) -> AvatarDraft:
    """The same Gaussians as a network predicts them that has seen this person for a few steps.

    Only Gaussians of texels change. What expressions add belongs to the code's F_id, which the
    refined code keeps: the UNet is frozen, and so is what it was given. Raises InputError for a
    draft without a prediction.
    """
    splats, prediction = draft.splats, draft.prediction
    if prediction is None:
        raise InputError("fitted: expected a learned model where its parameters are to be fitted")
    model, _ = load_query_lrm(prediction.preset)
    inputs, texels = prediction.inputs, uv_layout(draft.posed.head, model.config).texels
    own = splats.cells >= 0
    rows = texels.texels_at(splats.cells[own])
    motions = list(splat_motions(draft))
    still = raw_values(splats.local, splats.opacities, splats.colors)
    mouth = (texels.zones == int(Zone.MOUTH))[:, None]
    grain = splats.colors[own] - prediction.splats.colors[rows]  # what the photo added stays added

    def encode(values: Mapping[str, Tensor]) -> tuple[Tensor, NeutralSplats]:
        static = functional_call(model, dict(values), (inputs.images, inputs.evidence)).static
        raw = map_at_texels(static[0], texels.chart)
        predicted = activate_splats(torch.where(mouth, raw.detach(), raw), prediction.discs)
        colors = predicted.colors.index_add(0, rows, grain).clamp(0, 1)
        return static, replace(predicted, colors=colors)

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        predicted = encode(values)[1]
        drawn = raw_values(predicted.local, predicted.opacities, predicted.colors)
        whole = {n: still[n].index_put((own,), drawn[n][rows]) for n in still}
        whole["opacities"] = still["opacities"]  # where the photo ends is not the network's to say
        return pose_splats(whole, motions[view])

    parameters = {
        name: Parameter(value.detach(), RATE)
        for name, value in model.named_parameters()
        if not name.startswith("unet.")
    }
    fitted = fit(decode, parameters, photo_targets(draft.posed.views), config, None, progress)
    with torch.no_grad():
        static, predicted = encode(fitted)
    code = replace(prediction.code, static=static)
    return replace(
        draft,
        splats=_with_texels(splats, predicted, own, rows),
        prediction=replace(prediction, code=code),
    )


def _with_texels(
    splats: DraftSplats, predicted: NeutralSplats, own: Tensor, rows: Tensor
) -> DraftSplats:
    """Those that are `own` [G] a texel's as predicted, but for their opacities."""

    def put(old: Tensor, new: Tensor) -> Tensor:
        return old.index_put((own,), new[rows])

    pairs = zip(vars(splats.local).values(), vars(predicted.local).values(), strict=True)
    local = LocalSplats(*(put(old, new) for old, new in pairs))
    return replace(splats, local=local, colors=put(splats.colors, predicted.colors))
