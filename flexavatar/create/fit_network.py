"""Test-time refinement of P: the reconstruction parameters, fitted to one person's photos.

Peng et al. (CVPR 2026), section 3.4: the UNet is frozen, gradients of the mouth are cut, and 20
iterations suffice. The other depth, fitting the maps themselves, is `appearance.refine`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call

from flexavatar.avatar.maps import NeutralSplats, UvLayout, activate, map_at_texels
from flexavatar.create.evidence import View
from flexavatar.create.first_guess import Splats
from flexavatar.create.fit import FitConfig, Parameter, fit
from flexavatar.create.fit_splats import carry, posed, target_of, values_of
from flexavatar.create.predict import Told
from flexavatar.head.texels import Zone
from flexavatar.models.query_lrm import AvatarCode, QueryLrm
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.types import Gaussians

RATE = 3e-4
"""Adam's, for a network that starts trained."""


def refine_encoder(
    splats: Splats,
    told: Told,
    code: AvatarCode,
    views: Sequence[View],
    changes: Sequence[Tensor],
    layout: UvLayout,
    model: QueryLrm,
    config: FitConfig,
    progress: StageProgress = no_stage_progress,
) -> tuple[Splats, AvatarCode]:
    """The same Gaussians as a network says them that has seen this person for a few steps.

    Only Gaussians of texels change; `changes` [G, 14] are what expressions add in each photo. They
    belong to the F_id of `code`, which the refined code keeps: the UNet is frozen, and so is what
    it was given.
    """
    own = splats.cells >= 0
    rows = layout.texels.texels_at(splats.cells[own])
    carried = [
        carry(splats, view, views[0].openings, change)
        for view, change in zip(views, changes, strict=True)
    ]
    still = values_of(splats.local, splats.opacities, splats.colors)
    mouth = (layout.texels.zones == int(Zone.MOUTH))[:, None]

    said = activate(map_at_texels(code.static[0], layout.texels.chart), told.discs).colors[rows]
    grain = splats.colors[own] - said  # what was added to what the network says stays added

    def encode(values: Mapping[str, Tensor]) -> tuple[Tensor, NeutralSplats]:
        static = functional_call(model, dict(values), (told.images, told.evidence)).static
        raw = map_at_texels(static[0], layout.texels.chart)
        texels = activate(torch.where(mouth, raw.detach(), raw), told.discs)
        colors = texels.colors.index_add(0, rows, grain).clamp(0, 1)
        return static, replace(texels, colors=colors)

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        texels = encode(values)[1]
        drawn = values_of(texels.local, texels.opacities, texels.colors)
        whole = {n: still[n].index_put((own,), drawn[n][rows]) for n in still}
        whole["opacities"] = still["opacities"]  # where the photo ends is not the network's to say
        return posed(whole, carried[view])

    names = [n for n, _ in model.named_parameters() if not n.startswith("unet.")]
    start = dict(model.named_parameters())
    parameters = {n: Parameter(start[n].detach(), RATE) for n in names}
    targets = [target_of(view, view.sits_with(views[0])) for view in views]
    fitted = fit(decode, parameters, targets, config, None, progress)
    with torch.no_grad():
        static, texels = encode(fitted)
    return _with_texels(splats, texels, own, rows), replace(code, static=static)


def _with_texels(splats: Splats, texels: NeutralSplats, own: Tensor, rows: Tensor) -> Splats:
    def put(old: Tensor, new: Tensor) -> Tensor:
        return old.index_put((own,), new[rows])

    local = replace(
        splats.local,
        offsets=put(splats.local.offsets, texels.local.offsets),
        quats=put(splats.local.quats, texels.local.quats),
        scales=put(splats.local.scales, texels.local.scales),
    )
    return replace(splats, local=local, colors=put(splats.colors, texels.colors))
