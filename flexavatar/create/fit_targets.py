"""What photos ask of a fit: colours, how much each pixel counts, which Gaussians they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.create.pixels import drawn_pixels
from flexavatar.create.posed_views import PosedView
from flexavatar.create.target import Target
from flexavatar.render.rasterize import rasterize
from flexavatar.types import SH_C0, Gaussians

SHOWN_PIXELS = 0.25
"""A Gaussian is visible, and fitted, if it makes up at least this much of one photo."""


def photo_targets(views: Sequence[PosedView]) -> list[Target]:
    """Of the first photo and those taken with it everything; of the others the face."""
    return [photo_target(view, view.sits_with(views[0])) for view in views]


def closeup_targets(views: Sequence[PosedView]) -> list[Target]:
    """The same, with landmarks to look at more closely."""
    return [
        replace(target, landmarks=torch.from_numpy(view.portrait.face.points[:, :2]))
        for target, view in zip(photo_targets(views), views, strict=True)
    ]


def photo_target(view: PosedView, whole: bool) -> Target:
    """What one photo asks for: everywhere, or on the face alone."""
    weight = torch.from_numpy(
        (view.portrait.inside & ~drawn_pixels(view.portrait)).astype(np.float32)
    )
    if not whole:
        weight = weight * _face_weight(view)
    return Target(
        view.camera,
        torch.from_numpy(view.portrait.colors),
        torch.from_numpy(view.portrait.matte),
        weight,
    )


def _face_weight(view: PosedView) -> Tensor:
    """1 around the face, falling to 0.1: hair and clothes differ from photo to photo."""
    mask = view.portrait.face_hull.astype(np.float32)
    side = len(mask)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), side / 24), np.float32)
    return torch.from_numpy(soft) * 0.9 + 0.1


def visible_gaussians(posed: Iterable[Gaussians], views: Sequence[PosedView]) -> Tensor:
    """Which of the same Gaussians, posed anew for each view, a photo really shows: [G] bool.

    The gradient of the summed picture with respect to a colour is how much of it is seen. What is
    hidden gets gradients near zero, and Adam would turn their noise into rainbows.
    """
    shares: list[Tensor] = []
    for gaussians, view in zip(posed, views, strict=True):
        sh = gaussians.sh.detach().clone().requires_grad_()
        picture = rasterize(replace(gaussians, sh=sh), view.camera).rgba
        (share,) = torch.autograd.grad(picture[..., 0].sum(), sh)
        shares.append(share[:, 0, 0] / SH_C0)
    return torch.stack(shares).amax(0) > SHOWN_PIXELS
