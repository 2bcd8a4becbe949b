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
    SurfaceMotion,
    blend_quats,
    quat_multiply,
    quat_to_matrix,
)
from flexavatar.types import SH_C0, Gaussians

OFFSET_STEP = 1e-4
"""Metres per step of Adam."""


@dataclass(frozen=True)
class _Carried:
    """How one photo's expression moves each Gaussian; constant while fitting."""

    points: Tensor  # [G, 3]
    gradients: Tensor  # [G, 3, 3]
    quats: Tensor  # [G, 4]
    stretch: Tensor  # [G, 3]


def refine(
    splats: Splats,
    views: Sequence[View],
    config: FitConfig,
    progress: Callable[[float], None] = lambda share: None,
) -> Splats:
    """The same Gaussians after fitting colour, opacity, size, place and turn to all photos."""
    carried = [_carry(splats, view.motion) for view in views]
    free, paint = splats.free[:, None], splats.paint[:, None]
    parameters = {
        "colors": Parameter(splats.colors, 0.01, paint),
        "opacities": Parameter(torch.logit(splats.opacities.clamp(0.01, 0.99)), 0.04, splats.fade),
        "scales": Parameter(splats.local.scales.log(), 0.015, free),
        "offsets": Parameter(splats.local.offsets, OFFSET_STEP, free),
        "quats": Parameter(splats.local.quats, 0.01, free),
    }
    start = {name: p.value for name, p in parameters.items()}

    def decode(values: Mapping[str, Tensor], view: int) -> Gaussians:
        return _posed(values, carried[view])

    def regularise(values: Mapping[str, Tensor]) -> Tensor:
        moved = (values["offsets"] - start["offsets"]) / 2e-3
        grown = values["scales"] - start["scales"]
        faded = values["colors"] - start["colors"]
        return (
            1e-3 * (moved * moved).mean()
            + 1e-3 * (grown * grown).mean()
            + 1e-3 * (faded * faded * (1 - paint)).mean()
        )

    targets = [target_of(view, index == 0) for index, view in enumerate(views)]
    values = fit(decode, parameters, targets, config, regularise, progress)
    local = LocalSplats(values["offsets"], values["quats"], values["scales"].exp().clamp_max(0.03))
    return replace(
        splats,
        local=local,
        colors=values["colors"].clamp(0, 1),
        opacities=torch.sigmoid(values["opacities"]),
    )


def target_of(view: View, whole: bool) -> Target:
    """What a photo asks for: everywhere for the first, on head and neck for the others."""
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
    points = view.portrait.face.points[:, :2]
    side = view.portrait.matte.shape[0]
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    mask = cv2.fillPoly(np.zeros((side, side), np.float32), [hull], 1.0)
    return (
        torch.from_numpy(np.asarray(cv2.GaussianBlur(mask, (0, 0), side / 24), np.float32)) * 0.9
        + 0.1
    )


def _carry(splats: Splats, motion: SurfaceMotion) -> _Carried:
    ids, bary = splats.binding.vertex_ids, splats.binding.bary
    gradients = (motion.gradients[ids] * bary[..., None, None]).sum(1)
    local = torch.nn.functional.normalize(splats.local.quats, dim=-1)
    return _Carried(
        (motion.vertices[ids] * bary[..., None]).sum(1),
        gradients,
        blend_quats(motion.quats[ids], bary),
        (gradients @ quat_to_matrix(local)).norm(dim=-2).clamp(*STRETCH_LIMITS),
    )


def _posed(values: Mapping[str, Tensor], carried: _Carried) -> Gaussians:
    moved = (carried.gradients @ values["offsets"][..., None]).squeeze(-1)
    return Gaussians(
        carried.points + moved,
        quat_multiply(carried.quats, torch.nn.functional.normalize(values["quats"], dim=-1)),
        values["scales"].exp() * carried.stretch,
        torch.sigmoid(values["opacities"]),
        ((values["colors"] - 0.5) / SH_C0)[:, None],
    )
