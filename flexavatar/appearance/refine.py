"""Fits an avatar's Gaussians to its photos: which of their numbers move, and how far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.appearance.assemble import Splats
from flexavatar.appearance.evidence import View
from flexavatar.fit import FitConfig, Parameter, Target, fit
from flexavatar.head.binding import (
    STRETCH_LIMITS,
    LocalSplats,
    blend_quats,
    quat_multiply,
    quat_to_matrix,
)
from flexavatar.head.eyelids import lids_shown
from flexavatar.render.rasterize import rasterize
from flexavatar.types import SH_C0, Gaussians

RATES = {"colors": 0.01, "opacities": 0.04, "scales": 0.015, "offsets": 1e-4, "quats": 0.01}
"""Adam's learning rates; offsets in metres."""
SHOWN_PIXELS = 0.25
"""A Gaussian is fitted if it makes up at least this much of one photo."""
GROW, SHRINK = 0.6, 1.6
"""How far the logarithm of a size may move: a splat that grows more is a blur from the side."""
DRIFT = 3e-3
"""Metres a splat may move along each axis: further, it floats."""


@dataclass(frozen=True)
class _Carried:
    """How one photo's expression moves each Gaussian; constant while fitting."""

    points: Tensor  # [G, 3]
    gradients: Tensor  # [G, 3, 3]
    quats: Tensor  # [G, 4]
    stretch: Tensor  # [G, 3]
    present: Tensor  # [G] share of the opacity that is left, with the lids as in this photo


def refine(
    splats: Splats,
    views: Sequence[View],
    config: FitConfig,
    progress: Callable[[float], None] = lambda share: None,
) -> Splats:
    """The same Gaussians after fitting colour, opacity, size, place and turn to all photos."""
    carried = [_carry(splats, view, views[0].openings) for view in views]
    logits = torch.logit(splats.opacities.clamp(0.01, 0.99))
    values = {
        "colors": splats.colors,
        "opacities": logits,
        "scales": splats.local.scales.log(),
        "offsets": splats.local.offsets,
        "quats": splats.local.quats,
    }
    shown = _shown(values, views, carried)
    free, paint = (splats.free * shown)[:, None], (splats.paint * shown)[:, None]
    masks = (paint, splats.fade * shown, free, free, free)
    parameters = {
        name: Parameter(values[name], RATES[name], mask)
        for name, mask in zip(values, masks, strict=True)
    }

    start = dict(values)

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        return _posed(_bounded(values, start), carried[view])

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


def _shown(
    values: Mapping[str, Tensor], views: Sequence[View], carried: Sequence[_Carried]
) -> Tensor:
    """1 for Gaussians that a photo really shows: [G].

    The gradient of the summed picture with respect to a colour is how much of it is seen. What is
    hidden gets gradients near zero, and Adam would turn their noise into rainbows.
    """
    seen = torch.zeros(len(values["colors"]))
    for view, carry in zip(views, carried, strict=True):
        colors = values["colors"].clone().requires_grad_()
        picture = rasterize(_posed({**values, "colors": colors}, carry), view.camera).rgba
        (share,) = torch.autograd.grad(picture[..., 0].sum(), colors)
        seen = torch.maximum(seen, share[:, 0])
    return (seen > SHOWN_PIXELS).float()


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


def _carry(splats: Splats, view: View, usual: Tensor) -> _Carried:
    motion, ids, bary = view.motion, splats.binding.vertex_ids, splats.binding.bary
    gradients = (motion.gradients[ids] * bary[..., None, None]).sum(1)
    local = torch.nn.functional.normalize(splats.local.quats, dim=-1)
    return _Carried(
        (motion.vertices[ids] * bary[..., None]).sum(1),
        gradients,
        blend_quats(motion.quats[ids], bary),
        (gradients @ quat_to_matrix(local)).norm(dim=-2).clamp(*STRETCH_LIMITS),
        1 - splats.lids @ (1 - lids_shown(view.openings, usual)),
    )


def _posed(values: Mapping[str, Tensor], carried: _Carried) -> Gaussians:
    moved = (carried.gradients @ values["offsets"][..., None]).squeeze(-1)
    return Gaussians(
        carried.points + moved,
        quat_multiply(carried.quats, torch.nn.functional.normalize(values["quats"], dim=-1)),
        values["scales"].exp() * carried.stretch,
        torch.sigmoid(values["opacities"]) * carried.present,
        ((values["colors"] - 0.5) / SH_C0)[:, None],
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
