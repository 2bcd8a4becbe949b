"""The fit of K's code to one person's photos; the decoder stays as it is.

Kirschstein et al.: A alone is optimised over all observations, each with its own expression and
camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from flexavatar.avatar.bias_sink_avatar import BiasSinkAvatar
from flexavatar.avatar.bias_sink_maps import activate_gaussians, base_splats, drive_base
from flexavatar.avatar.uv_maps import map_at_texels
from flexavatar.create.adam import Parameter
from flexavatar.create.fit import FitConfig, fit
from flexavatar.create.fit_targets import photo_targets, visible_gaussians
from flexavatar.create.posed_views import PosedViews
from flexavatar.models.channels import COLOR
from flexavatar.models.signal_vectors import flame_signal
from flexavatar.models.weights import load_matching_bias_sink
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.types import FlameCodes, Gaussians

RATE = 1e-2
"""Adam's, as the released model has it."""
HOLD = 0.05
"""Weight of staying near the network's own code."""
HIDDEN = 0.03
"""Weight of the colours of what no photo shows, which stay as the network has them (ours): their
gradients are near zero, and Adam would turn their noise into rainbows. Hidden places stay free: the
hair's outline needs them."""


def fit_code(
    avatar: BiasSinkAvatar,
    posed: PosedViews,
    config: FitConfig,
    progress: StageProgress = no_stage_progress,
) -> BiasSinkAvatar:
    """The same person with a code that makes the photos: 200 steps suit one of them."""
    model, texels = load_matching_bias_sink(avatar.preset, avatar.weights), avatar.layout.texels
    still = base_splats(avatar.config, posed.head, avatar.neutral, texels)
    bases = [drive_base(avatar.config, still, view.motion, texels) for view in posed.views]
    signals = [flame_signal(codes)[None] for codes in posed.codes]
    at_rest = flame_signal(FlameCodes.zeros(len(avatar.codes.correctives)))[None]

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        maps = model.decode(values["code"], signals[view])
        return activate_gaussians(map_at_texels(maps[0], texels.chart), bases[view])

    def colors(code: Tensor) -> Tensor:
        return map_at_texels(model.decode(code, at_rest)[0, COLOR], texels.chart)

    with torch.no_grad():
        start = [decode({"code": avatar.code}, view) for view in range(len(posed.views))]
        own = colors(avatar.code)
    hidden = ~visible_gaussians(start, posed.views)

    def regularise(now: Mapping[str, Tensor]) -> Tensor:
        moved = (colors(now["code"]) - own).square().sum(-1)
        held = HOLD * (now["code"] - avatar.code).square().mean()
        return held + HIDDEN * (hidden * moved).mean()

    parameters = {"code": Parameter(avatar.code, RATE)}
    fitted = fit(decode, parameters, photo_targets(posed.views), config, regularise, progress)
    return replace(avatar, code=fitted["code"])
