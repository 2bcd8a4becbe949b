"""Colours of Gaussians, moved at once to where what they draw comes nearer to the photos.

Each takes the mean of what the photos still lack in the pixels that it is seen in, weighted by how
much of them it makes up: a step of simultaneous iterative reconstruction, for the price of one
gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from flexavatar.create.first_guess import AvatarDraft
from flexavatar.create.fit_targets import photo_targets
from flexavatar.create.splat_motion import pose_splats, raw_values, splat_motions
from flexavatar.create.target import Target
from flexavatar.render.rasterize import rasterize
from flexavatar.types import SH_C0, Gaussians

HARDLY = 0.05
"""Pixels of a photo that a Gaussian makes up: of less than so many it takes hardly anything."""


def back_project(draft: AvatarDraft) -> AvatarDraft:
    """The same Gaussians in colours nearer to all photos, as freely as each may be fitted."""
    splats = draft.splats
    values = raw_values(splats.local, splats.opacities, splats.colors)
    posed = (pose_splats(values, motion) for motion in splat_motions(draft))
    lack = mean_lack(posed, photo_targets(draft.posed.views))
    colors = (splats.colors + splats.color_freedom[:, None] * lack).clamp(0, 1)
    return replace(draft, splats=replace(splats, colors=colors))


def mean_lack(posed: Iterable[Gaussians], targets: Iterable[Target]) -> Tensor:
    """What the targets have more than the same Gaussians in each view draw: [G, 3] of colour."""
    lack, share = torch.zeros(()), torch.zeros(())
    for gaussians, target in zip(posed, targets, strict=True):
        sh = gaussians.sh.detach().clone().requires_grad_()
        drawn = rasterize(replace(gaussians, sh=sh), target.camera).rgba[..., :3]
        missing = target.colors * target.matte[..., None] - drawn.detach()
        weight = target.weight[..., None]
        (own,) = torch.autograd.grad((drawn * missing * weight).sum(), sh, retain_graph=True)
        (seen,) = torch.autograd.grad((drawn[..., :1] * weight).sum(), sh)
        lack, share = lack + own[:, 0] / SH_C0, share + seen[:, 0, :1] / SH_C0
    return lack / (share + HARDLY)
