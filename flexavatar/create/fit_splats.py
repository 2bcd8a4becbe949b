"""The fit of an avatar's Gaussians to its photos: which of their numbers move, and how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flexavatar.avatar.uv_maps import NeutralSplats, apply_change
from flexavatar.create.adam import Parameter
from flexavatar.create.first_guess import AvatarDraft, DraftSplats
from flexavatar.create.fit import FitConfig, fit
from flexavatar.create.fit_targets import closeup_targets, visible_gaussians
from flexavatar.create.posed_views import PosedView
from flexavatar.head.binding import (
    STRETCH_LIMITS,
    LocalSplats,
    blend_quats,
    quat_multiply,
    quat_to_matrix,
)
from flexavatar.head.eyelids import eyelid_visibility
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.camera import project
from flexavatar.types import SH_C0, Gaussians

RATES = {"colors": 0.01, "opacities": 0.04, "scales": 0.015, "offsets": 1e-4, "quats": 0.01}
"""Adam's learning rates; offsets in metres."""
GROW, SHRINK = 0.6, 1.6
"""How far the logarithm of a size may move: a splat that grows more is a blur from the side."""
SMOOTHING = 0.9
"""Standard deviation, in the photo's pixels, of the 3D filter that every splat has in it. A photo
says nothing of what is finer than it: a splat that is smaller covers its own pixel alone and leaves
holes to the next one, which show as soon as one comes closer (Yu et al. 2024, Mip-Splatting)."""
DRIFT = 3e-3
"""Metres a splat may move along each axis: further, it floats."""


@dataclass(frozen=True)
class SplatMotion:
    """How one photo's expression moves each Gaussian; constant while fitting."""

    points: Tensor  # [G, 3]
    gradients: Tensor  # [G, 3, 3]
    quats: Tensor  # [G, 4]
    stretch: Tensor  # [G, 3]
    present: Tensor  # [G] share of the opacity that is left, with the lids as in this photo
    change: Tensor | None  # [G, 14] what a network adds with this expression


def fit_splats(
    draft: AvatarDraft, config: FitConfig, progress: StageProgress = no_stage_progress
) -> AvatarDraft:
    """The same Gaussians after fitting colour, opacity, size, place and turn to all photos."""
    splats, views, motions = draft.splats, draft.posed.views, splat_motions(draft)
    start = raw_values(splats.local, splats.opacities, splats.colors)
    smallest = smallest_scales(views, splats)

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        return pose_splats(_smoothed(_clamp_near(values, start), smallest), motions[view])

    def regularise(now: Mapping[str, Tensor]) -> Tensor:
        moved = (now["offsets"] - start["offsets"]) / 2e-3
        grown = now["scales"] - start["scales"]
        faded = now["colors"] - start["colors"]
        held = (moved * moved).mean() + (grown * grown).mean()
        return 1e-3 * held + 1e-1 * (faded * faded).mean()

    posed = (pose_splats(start, motion) for motion in motions)
    visible = visible_gaussians(posed, views).float()
    parameters = _parameters(start, splats, visible)
    fitted = fit(decode, parameters, closeup_targets(views), config, regularise, progress)
    fitted = _smoothed(_clamp_near(fitted, start), smallest)
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


def _smoothed(values: Mapping[str, Tensor], smallest: Tensor) -> dict[str, Tensor]:
    """Scales with the filter in them, as logarithms like those without."""
    scales = 0.5 * (torch.exp(2 * values["scales"]) + smallest * smallest).log()
    return {**values, "scales": scales}


def _parameters(
    start: Mapping[str, Tensor], splats: DraftSplats, visible: Tensor
) -> dict[str, Parameter]:
    """What is optimised of each Gaussian, as freely as it may be and if a photo shows it [G]."""
    shape = (splats.shape_freedom * visible)[:, None]
    color = (splats.color_freedom * visible)[:, None]
    shares = {"colors": color, "opacities": splats.opacity_freedom * visible}
    return {
        name: Parameter(value, RATES[name], shares.get(name, shape))
        for name, value in start.items()
    }


def raw_values(local: LocalSplats, opacities: Tensor, colors: Tensor) -> dict[str, Tensor]:
    """What is fitted, as it is fitted: logits of opacities and logarithms of sizes."""
    return {
        "colors": colors,
        "opacities": torch.logit(opacities.clamp(0.01, 0.99)),
        "scales": local.scales.log(),
        "offsets": local.offsets,
        "quats": local.quats,
    }


def splat_motions(draft: AvatarDraft) -> list[SplatMotion]:
    """Of each view; lids are worn as open as in the first."""
    usual = draft.posed.views[0].openings
    return [
        splat_motion(draft.splats, view, usual, change)
        for view, change in zip(draft.posed.views, draft.changes, strict=True)
    ]


def splat_motion(
    splats: DraftSplats, view: PosedView, usual: Tensor, change: Tensor | None
) -> SplatMotion:
    """How a photo's expression moves them; `usual` [2] are the openings that lids are worn at."""
    motion, ids, bary = view.motion, splats.binding.vertex_ids, splats.binding.bary
    gradients = (motion.gradients[ids] * bary[..., None, None]).sum(1)
    local = torch.nn.functional.normalize(splats.local.quats, dim=-1)
    return SplatMotion(
        (motion.vertices[ids] * bary[..., None]).sum(1),
        gradients,
        blend_quats(motion.quats[ids], bary),
        (gradients @ quat_to_matrix(local)).norm(dim=-2).clamp(*STRETCH_LIMITS),
        1 - splats.lids @ (1 - eyelid_visibility(view.openings, usual)),
        change,
    )


def pose_splats(values: Mapping[str, Tensor], motion: SplatMotion) -> Gaussians:
    """Values as `raw_values` gives them, in one photo's expression; differentiable."""
    quats = torch.nn.functional.normalize(values["quats"], dim=-1)
    local = LocalSplats(values["offsets"], quats, values["scales"].exp())
    own = NeutralSplats(local, torch.sigmoid(values["opacities"]), values["colors"])
    if motion.change is not None:
        own = apply_change(own, motion.change)
    return Gaussians(
        motion.points + (motion.gradients @ own.local.offsets[..., None]).squeeze(-1),
        quat_multiply(motion.quats, own.local.quats),
        own.local.scales * motion.stretch,
        own.opacities * motion.present,
        ((own.colors - 0.5) / SH_C0)[:, None],
    )


def _clamp_near(values: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Colours in 0..1, sizes and places near where they started."""
    grown = (values["scales"] - start["scales"]).clamp(-SHRINK, GROW)
    moved = (values["offsets"] - start["offsets"]).clamp(-DRIFT, DRIFT)
    return {
        **values,
        "colors": values["colors"].clamp(0, 1),
        "scales": start["scales"] + grown,
        "offsets": start["offsets"] + moved,
    }
