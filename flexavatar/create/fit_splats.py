"""Fits an avatar's Gaussians to its photos: which of their numbers move, and how far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.avatar.maps import NeutralSplats, apply_change
from flexavatar.create.evidence import View
from flexavatar.create.first_guess import Splats
from flexavatar.create.fit import FitConfig, Parameter, Target, fit
from flexavatar.head.binding import (
    STRETCH_LIMITS,
    LocalSplats,
    blend_quats,
    quat_multiply,
    quat_to_matrix,
)
from flexavatar.head.eyelids import eyelid_visibility
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.rasterize import rasterize
from flexavatar.types import SH_C0, Camera, Gaussians

RATES = {"colors": 0.01, "opacities": 0.04, "scales": 0.015, "offsets": 1e-4, "quats": 0.01}
"""Adam's learning rates; offsets in metres."""
SHOWN_PIXELS = 0.25
"""A Gaussian is shown, and fitted, if it makes up at least this much of one photo."""
GROW, SHRINK = 0.6, 1.6
"""How far the logarithm of a size may move: a splat that grows more is a blur from the side."""
DRIFT = 3e-3
"""Metres a splat may move along each axis: further, it floats."""


@dataclass(frozen=True)
class Carried:
    """How one photo's expression moves each Gaussian; constant while fitting."""

    points: Tensor  # [G, 3]
    gradients: Tensor  # [G, 3, 3]
    quats: Tensor  # [G, 4]
    stretch: Tensor  # [G, 3]
    present: Tensor  # [G] share of the opacity that is left, with the lids as in this photo
    change: Tensor | None  # [G, 14] what a learned model adds with this expression


def refine(
    splats: Splats,
    views: Sequence[View],
    config: FitConfig,
    progress: StageProgress = no_stage_progress,
    changes: Sequence[Tensor] | None = None,
) -> Splats:
    """The same Gaussians after fitting colour, opacity, size, place and turn to all photos.

    `changes` [G, 14] are what a learned model adds to them in each photo; they stay as they are.
    """
    added = changes or [None] * len(views)
    carried = [
        carry(splats, view, views[0].openings, change)
        for view, change in zip(views, added, strict=True)
    ]
    values = values_of(splats.local, splats.opacities, splats.colors)
    shown = _shown(values, views, carried)
    free, paint = (splats.free * shown)[:, None], (splats.paint * shown)[:, None]
    masks = (paint, splats.fade * shown, free, free, free)
    parameters = {
        name: Parameter(values[name], RATES[name], mask)
        for name, mask in zip(values, masks, strict=True)
    }

    start = dict(values)

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        return posed(_bounded(values, start), carried[view])

    def regularise(now: Mapping[str, Tensor]) -> Tensor:
        moved = (now["offsets"] - values["offsets"]) / 2e-3
        grown = now["scales"] - values["scales"]
        faded = now["colors"] - values["colors"]
        held = (moved * moved).mean() + (grown * grown).mean()
        return 1e-3 * held + 1e-1 * (faded * faded).mean()

    targets = [target_of(view, view.sits_with(views[0])) for view in views]
    fitted = fit(decode, parameters, targets, config, regularise, progress)
    fitted = _bounded(fitted, start)
    local = LocalSplats(fitted["offsets"], fitted["quats"], fitted["scales"].exp())
    return replace(
        splats,
        local=local,
        colors=fitted["colors"],
        opacities=torch.sigmoid(fitted["opacities"]),
    )


def values_of(local: LocalSplats, opacities: Tensor, colors: Tensor) -> dict[str, Tensor]:
    """What is fitted, as it is fitted: logits of opacities and logarithms of sizes."""
    return {
        "colors": colors,
        "opacities": torch.logit(opacities.clamp(0.01, 0.99)),
        "scales": local.scales.log(),
        "offsets": local.offsets,
        "quats": local.quats,
    }


def _shown(
    values: Mapping[str, Tensor], views: Sequence[View], carried: Sequence[Carried]
) -> Tensor:
    """1 for Gaussians that a photo really shows: [G]."""
    drawn = (posed(values, own) for own in carried)
    return shown(drawn, [view.camera for view in views]).float()


def shown(drawn: Iterable[Gaussians], cameras: Sequence[Camera]) -> Tensor:
    """Which of the same Gaussians a camera really shows, posed anew for each: [G] bool.

    The gradient of the summed picture with respect to a colour is how much of it is seen. What is
    hidden gets gradients near zero, and Adam would turn their noise into rainbows.
    """
    shares: list[Tensor] = []
    for gaussians, camera in zip(drawn, cameras, strict=True):
        sh = gaussians.sh.detach().clone().requires_grad_()
        picture = rasterize(replace(gaussians, sh=sh), camera).rgba
        (share,) = torch.autograd.grad(picture[..., 0].sum(), sh)
        shares.append(share[:, 0, 0] / SH_C0)
    return torch.stack(shares).amax(0) > SHOWN_PIXELS


def target_of(view: View, whole: bool) -> Target:
    """What a photo asks for: everywhere, or on the face alone."""
    weight = torch.from_numpy(view.portrait.inside.astype(np.float32))
    if not whole:
        weight = weight * _head_weight(view)
    return Target(
        view.camera,
        torch.from_numpy(view.portrait.colors),
        torch.from_numpy(view.portrait.matte),
        weight,
    )


def _head_weight(view: View) -> Tensor:
    """1 around the face, falling to 0.1: hair and clothes differ from photo to photo."""
    mask = view.portrait.face_hull.astype(np.float32)
    side = len(mask)
    return (
        torch.from_numpy(np.asarray(cv2.GaussianBlur(mask, (0, 0), side / 24), np.float32)) * 0.9
        + 0.1
    )


def carry(splats: Splats, view: View, usual: Tensor, change: Tensor | None) -> Carried:
    """How a photo's expression moves them; `usual` [2] are the openings that lids are worn at."""
    motion, ids, bary = view.motion, splats.binding.vertex_ids, splats.binding.bary
    gradients = (motion.gradients[ids] * bary[..., None, None]).sum(1)
    local = torch.nn.functional.normalize(splats.local.quats, dim=-1)
    return Carried(
        (motion.vertices[ids] * bary[..., None]).sum(1),
        gradients,
        blend_quats(motion.quats[ids], bary),
        (gradients @ quat_to_matrix(local)).norm(dim=-2).clamp(*STRETCH_LIMITS),
        1 - splats.lids @ (1 - eyelid_visibility(view.openings, usual)),
        change,
    )


def posed(values: Mapping[str, Tensor], carried: Carried) -> Gaussians:
    """Values as `values_of` gives them, in one photo's expression; differentiable."""
    quats = torch.nn.functional.normalize(values["quats"], dim=-1)
    local = LocalSplats(values["offsets"], quats, values["scales"].exp())
    own = NeutralSplats(local, torch.sigmoid(values["opacities"]), values["colors"])
    if carried.change is not None:
        own = apply_change(own, carried.change)
    return Gaussians(
        carried.points + (carried.gradients @ own.local.offsets[..., None]).squeeze(-1),
        quat_multiply(carried.quats, own.local.quats),
        own.local.scales * carried.stretch,
        own.opacities * carried.present,
        ((own.colors - 0.5) / SH_C0)[:, None],
    )


def _bounded(values: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Colours in 0..1, sizes and places near where they started."""
    grown = (values["scales"] - start["scales"]).clamp(-SHRINK, GROW)
    moved = (values["offsets"] - start["offsets"]).clamp(-DRIFT, DRIFT)
    return {
        **values,
        "colors": values["colors"].clamp(0, 1),
        "scales": start["scales"] + grown,
        "offsets": start["offsets"] + moved,
    }
