"""How a photo's expression moves the Gaussians that are fitted to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.uv_maps import NeutralSplats, apply_change
from flexavatar.create.first_guess import AvatarDraft, DraftSplats
from flexavatar.create.posed_views import PosedView
from flexavatar.head.binding import (
    STRETCH_LIMITS,
    LocalSplats,
    blend_quats,
    quat_multiply,
    quat_to_matrix,
)
from flexavatar.head.eyelids import eyelid_visibility
from flexavatar.types import SH_C0, Gaussians


@dataclass(frozen=True)
class SplatMotion:
    """How one photo's expression moves each Gaussian; constant while fitting."""

    points: Tensor  # [G, 3]
    gradients: Tensor  # [G, 3, 3]
    quats: Tensor  # [G, 4]
    stretch: Tensor  # [G, 3]
    present: Tensor  # [G] share of the opacity that is left, with the lids as in this photo
    change: Tensor | None  # [G, 14] what a network adds with this expression


def raw_values(local: LocalSplats, opacities: Tensor, colors: Tensor) -> dict[str, Tensor]:
    """What is fitted, as it is fitted: logits of opacities and logarithms of sizes."""
    return {
        "colors": colors,
        "opacities": torch.logit(opacities.clamp(0.01, 0.99)),
        "scales": local.scales.log(),
        "offsets": local.offsets,
        "quats": local.quats,
    }


def splat_motions(draft: AvatarDraft) -> Iterator[SplatMotion]:
    """Of each view; lids are worn as open as in the first."""
    usual = draft.posed.views[0].openings
    for view, change in zip(draft.posed.views, draft.changes, strict=True):
        yield splat_motion(draft.splats, view, usual, change)


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
