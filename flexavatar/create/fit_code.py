"""K applied to tracked photos: a code for the person, then that code fitted to them.

Kirschstein et al.: the decoder is frozen and A alone is optimised over all observations, each with
its own expression and camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from flexavatar.avatar.bias_sink_avatar import BiasSinkAvatar
from flexavatar.avatar.maps import map_at_texels, uv_layout
from flexavatar.avatar.sink_maps import activate, base_splats, drive_base, query_positions
from flexavatar.capture.portrait import Portrait
from flexavatar.create.chart_evidence import chart_evidence
from flexavatar.create.evidence import gather
from flexavatar.create.fit import FitConfig, Parameter, fit
from flexavatar.create.fit_splats import shown, target_of
from flexavatar.create.network_images import network_images
from flexavatar.create.posed_views import Placed
from flexavatar.head.open_head import load_open_head
from flexavatar.models.bias_sink import plucker_rays
from flexavatar.models.channels import COLOR
from flexavatar.models.config import BIAS_SINK_PRESETS
from flexavatar.models.signals import flame_signal
from flexavatar.models.weights import load_bias_sink, load_matching_bias_sink
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.camera import resize_camera
from flexavatar.types import FlameCodes, Gaussians

RATE = 1e-2
"""Adam's, as the released model has it."""
HOLD = 0.05
"""Weight of staying near the network's own code."""
HIDDEN = 0.03
"""Weight of the colours of what no photo shows, which stay as the network has them (ours): their
gradients are near zero, and Adam would turn their noise into rainbows. Hidden places stay free: the
hair's outline needs them."""


@torch.no_grad()
def encoded(portraits: Sequence[Portrait], placed: Placed, preset: str) -> BiasSinkAvatar:
    """The network's own idea of a person. Raises AssetError without its weights."""
    model, weights = load_bias_sink(preset)
    config, head = BIAS_SINK_PRESETS[preset], load_open_head()
    layout, side = uv_layout(head, config), config.image_side
    cameras = [resize_camera(view.camera, side, side) for view in placed.views]
    viewmats, intrinsics = (torch.stack([getattr(c, n) for c in cameras]) for n in ("viewmat", "K"))
    seen = gather(placed.views, layout.texels, head.faces) if config.evidence else None
    code = model.encode(
        network_images(portraits, side),
        plucker_rays(viewmats, intrinsics, side),
        query_positions(config, head, placed.neutral),
        chart_evidence(seen, placed.neutral, layout) if seen else None,
    )
    first = (placed.views[0].camera, placed.codes[0])
    return BiasSinkAvatar(placed.neutral, code, *first, preset, weights)


def fit_code(
    avatar: BiasSinkAvatar,
    placed: Placed,
    config: FitConfig,
    progress: StageProgress = no_stage_progress,
) -> BiasSinkAvatar:
    """The same person with a code that makes the photos: 200 steps suit one of them."""
    model, head = load_matching_bias_sink(avatar.preset, avatar.weights), load_open_head()
    texels = avatar.layout.texels
    still = base_splats(avatar.config, head, avatar.neutral, texels)
    starts = [drive_base(avatar.config, still, v.motion, texels) for v in placed.views]
    signals = [flame_signal(codes)[None] for codes in placed.codes]

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        maps = model.decode(values["code"], signals[view])
        return activate(map_at_texels(maps[0], texels.chart), starts[view])

    views = placed.views
    targets = [target_of(view, view.sits_with(views[0])) for view in views]
    parameters = {"code": Parameter(avatar.code, RATE)}

    def colors(code: Tensor) -> Tensor:
        return map_at_texels(model.decode(code, at_rest)[0, COLOR], texels.chart)

    @torch.no_grad()
    def at_first(view: int) -> Gaussians:
        return decode({"code": avatar.code}, view)

    hidden = ~shown(map(at_first, range(len(views))), [view.camera for view in views])
    at_rest = flame_signal(FlameCodes.zeros(len(avatar.codes.correctives)))[None]
    with torch.no_grad():
        own = colors(avatar.code)

    def regularise(now: Mapping[str, Tensor]) -> Tensor:
        moved = (colors(now["code"]) - own).square().sum(-1)
        held = HOLD * (now["code"] - avatar.code).square().mean()
        return held + HIDDEN * (hidden * moved).mean()

    fitted = fit(decode, parameters, targets, config, regularise, progress)
    return replace(avatar, code=fitted["code"])
