"""The fit of an avatar's Gaussians to its photos: which of their numbers move, and how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from flexavatar.create.adam import Parameter
from flexavatar.create.first_guess import AvatarDraft, DraftSplats
from flexavatar.create.fit import FitConfig, fit
from flexavatar.create.fit_targets import closeup_targets, visible_gaussians
from flexavatar.create.posed_views import PosedView
from flexavatar.create.splat_decoder import SplatDecoder
from flexavatar.create.splat_motion import raw_values, splat_motions
from flexavatar.head.binding import LocalSplats
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.camera import project

RATES = {"colors": 0.01, "opacities": 0.04, "scales": 0.015, "offsets": 1e-4, "quats": 0.01}
"""Adam's learning rates; offsets in metres."""
HOLDS = {"colors": 0.1, "scales": 1e-3, "offsets": 250.0}
"""Weights in the loss of the mean squared distance from the first guess."""
SMOOTHING = 0.9
"""Standard deviation, in the photo's pixels, of the 3D filter that every splat has in it. A photo
says nothing of what is finer than it: a splat that is smaller covers its own pixel alone and leaves
holes to the next one, which show as soon as one comes closer (Yu et al. 2024, Mip-Splatting)."""


def fit_splats(
    draft: AvatarDraft, config: FitConfig, progress: StageProgress = no_stage_progress
) -> AvatarDraft:
    """The same Gaussians after fitting colour, opacity, size, place and turn to all photos."""
    splats, views = draft.splats, draft.posed.views
    start = raw_values(splats.local, splats.opacities, splats.colors)
    decoder = SplatDecoder(start, smallest_scales(views, splats), splat_motions(draft))

    posed = (decoder.decode(start, view) for view in range(len(views)))
    visible = visible_gaussians(posed, views).float()
    parameters = _parameters(start, splats, visible)
    fitted = fit(decoder.decode, parameters, closeup_targets(views), config, None, progress)
    fitted = decoder.bounded(fitted)
    return replace(
        draft,
        splats=replace(
            splats,
            local=LocalSplats(fitted["offsets"], fitted["quats"], fitted["scales"].exp()),
            colors=fitted["colors"],
            opacities=torch.sigmoid(fitted["opacities"]),
        ),
    )


def smallest_scales(views: Sequence[PosedView], splats: DraftSplats) -> Tensor:
    """Width of the filter that each splat has in it: [G, 1] metres.

    By the finest sampling that any photo has of the head.
    """
    pixel = min(
        float(project(view.camera, view.motion.vertices)[:, 2].median() / view.camera.K[0, 0])
        for view in views
    )
    return SMOOTHING * pixel * splats.sampled[:, None]


def _parameters(
    start: Mapping[str, Tensor], splats: DraftSplats, visible: Tensor
) -> dict[str, Parameter]:
    """What is optimised of each Gaussian, as freely as it may be and if a photo shows it [G]."""
    shape = (splats.shape_freedom * visible)[:, None]
    color = (splats.color_freedom * visible)[:, None]
    shares = {"colors": color, "opacities": splats.opacity_freedom * visible}
    return {
        name: Parameter(value, RATES[name], shares.get(name, shape), HOLDS.get(name, 0.0))
        for name, value in start.items()
    }
