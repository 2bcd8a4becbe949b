"""The network, the second step: what a trained model makes of the evidence.

P predicts the skin's texels and how each photo's expression changes them; K makes a code that is an
avatar already, since its decoder makes all of every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.bias_sink_avatar import BiasSinkAvatar
from flexavatar.avatar.bias_sink_maps import query_positions
from flexavatar.avatar.uv_maps import (
    NeutralSplats,
    activate_splats,
    drive_map,
    map_at_texels,
    upsample_change,
    uv_layout,
)
from flexavatar.create.encoder_inputs import EncoderInputs, encoder_inputs
from flexavatar.create.evidence import LID, SurfaceObservations
from flexavatar.create.posed_views import PosedViews
from flexavatar.head.binding import LocalSplats
from flexavatar.head.texels import Texels, Zone, surface_discs
from flexavatar.models.bias_sink import plucker_rays
from flexavatar.models.channels import FITTED_CHANNELS, channel_mask
from flexavatar.models.query_lrm import AvatarCode, QueryLrm
from flexavatar.models.weights import load_bias_sink, load_query_lrm
from flexavatar.render.camera import resize_camera


@dataclass(frozen=True)
class Prediction:
    """What P makes of a person."""

    preset: str
    weights: str  # fingerprint (SHA-256 in hex) of the weights that predicted
    inputs: EncoderInputs
    discs: LocalSplats  # T: how the chart's texels tile the surface before anything is predicted
    code: AvatarCode
    splats: NeutralSplats  # T
    changes: tuple[Tensor, ...]  # [T, 14] a photo each: dG of its expression


def predict(observations: SurfaceObservations, preset: str) -> Prediction:
    """P on the evidence of one person. Raises AssetError without its weights."""
    model, _ = load_query_lrm(preset)
    return predict_from(encoder_inputs(observations, model.config), observations.posed, preset)


@torch.no_grad()
def predict_from(inputs: EncoderInputs, posed: PosedViews, preset: str) -> Prediction:
    """The same from inputs that are made already: encode once, drive with every expression."""
    model, weights = load_query_lrm(preset)
    texels = uv_layout(posed.head, model.config).texels
    discs = surface_discs(texels, posed.head, posed.neutral)
    code = model.encode(inputs.images, inputs.evidence)
    splats = activate_splats(map_at_texels(code.static[0], texels.chart), discs)
    changes = expression_changes(code, posed, model)
    return Prediction(preset, weights, inputs, discs, code, splats, changes)


def network_texels(texels: Texels) -> Tensor:
    """Texels that are P's to say: [T] bool.

    Eyes, lids and mouth are painted better from the photo: the small network blurs irises and
    teeth, and its lips hide them.
    """
    folds = torch.maximum(texels.masks["lids"], texels.masks["lips"])
    return (texels.zones == int(Zone.SKIN)) & (folds < LID)


def expression_changes(code: AvatarCode, posed: PosedViews, model: QueryLrm) -> tuple[Tensor, ...]:
    """dG at the texels for each photo's expression, of FITTED_CHANNELS: [T, 14] each."""
    layout = uv_layout(posed.head, model.config)
    drives = [drive_map(view.motion.vertices - posed.neutral, layout) for view in posed.views]
    large = upsample_change(model.change(code, torch.stack(drives)), layout)
    mine = network_texels(layout.texels)[:, None] * channel_mask(FITTED_CHANNELS)
    return tuple(map_at_texels(change, layout.texels.chart) * mine for change in large)


@torch.no_grad()
def encode_avatar(observations: SurfaceObservations, preset: str) -> BiasSinkAvatar:
    """K's avatar of a person, before it is fitted. Raises AssetError without its weights."""
    model, weights = load_bias_sink(preset)
    posed, config = observations.posed, model.config
    inputs, side = encoder_inputs(observations, config), config.image_side
    cameras = [resize_camera(view.camera, side, side) for view in posed.views]
    viewmats, intrinsics = (torch.stack([getattr(c, n) for c in cameras]) for n in ("viewmat", "K"))
    code = model.encode(
        inputs.images,
        plucker_rays(viewmats, intrinsics, side),
        query_positions(config, posed.head, posed.neutral),
        inputs.evidence,
    )
    first = (posed.views[0].camera, posed.codes[0])
    return BiasSinkAvatar(posed.neutral, code, *first, preset, weights)
