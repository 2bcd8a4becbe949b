"""All Gaussians of a new avatar in one list: skin, eyes, mouth, and what is loose around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.create.evidence import View, sample
from flexavatar.create.lashes_and_teeth import fold_splats, lash_lines, lash_splats, teeth_splats
from flexavatar.create.off_mesh import Loose, detail_splats, loose_splats
from flexavatar.create.posed_views import Placed
from flexavatar.create.skin import Surface
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import hair_and_clothes_mask
from flexavatar.head.texels import Texels, Zone, texel_points_and_normals
from flexavatar.render.camera import project
from flexavatar.render.mesh import render_mesh

FEATHER_PX = 25
BARELY = 0.05
"""Freedom of colours at the body's outline, which is seen edge-on."""
CULLED = 0.02
"""Opacity under which a Gaussian is not kept."""


@dataclass(frozen=True)
class Splats:
    """An avatar in the making, with what may be fitted of each Gaussian."""

    binding: Binding
    local: LocalSplats
    colors: Tensor  # [G, 3]
    opacities: Tensor  # [G]
    free: Tensor  # [G] 1 if place, size and turn may be fitted
    fade: Tensor  # [G] 1 if the opacity may be fitted
    paint: Tensor  # [G] 0..1 how freely the colour may be fitted
    lids: Tensor  # [G, 2] share that folds away as the left, the right eye closes
    cells: Tensor  # [G] int64 row * U + col of its texel in the chart, -1 if it is none's

    def __len__(self) -> int:
        return len(self.binding)

    def of_texels(self, values: Tensor, texels: Texels) -> Tensor:
        """Values of a chart's texels [T, C] for all Gaussians, 0 for those of none: [G, C]."""
        own = self.cells >= 0
        found = values.new_zeros(len(self), values.shape[1])
        return found.index_put((own,), values[texels.texels_at(self.cells[own])])


def first_guess(
    placed: Placed, texels: Texels, head: FlameHead, spacing_px: float, surface: Surface
) -> Splats:
    """Everything the photos show, placed and coloured; fitting starts from here."""
    views = placed.views
    skin = _surface_splats(surface, texels, _presence(views[0], texels, head))
    seen = render_mesh(views[0].motion.vertices, head.faces, views[0].camera)
    around = _loose_list(loose_splats(views[0], seen, head, spacing_px))
    detail = _loose_list(detail_splats(views[0], seen, head, spacing_px))
    rims = (lash_splats(views[0], head), *teeth_splats(views[0], head))
    folds = (_fold_list(fold, eye) for eye, fold in enumerate(fold_splats(views[0], seen, head)))
    line = _line_list(lash_lines(views[0], head))
    whole = join((skin, around, detail, *folds, *(_still_list(rim) for rim in rims), line))
    return select(whole, whole.opacities > CULLED)


def _presence(view: View, texels: Texels, head: FlameHead) -> Tensor:
    """0 for texels of the body that the first photo shows to be background, or cuts off: [T].

    A bust invented below the photo's edge would look like one; it fades out there instead.
    """
    body = hair_and_clothes_mask(texels.masks)
    bust = torch.maximum(texels.masks["neck"], texels.masks["shoulders"]) > 0.5
    points, _ = texel_points_and_normals(view.motion.vertices, texels, head.faces)
    pixels = project(view.camera, points)[:, :2]
    side = view.camera.width
    in_crop = ((pixels > 1) & (pixels < side - 1)).all(1)
    inside = view.portrait.inside.astype(np.float32)
    feathered = torch.from_numpy(cv2.blur(inside, (FEATHER_PX, FEATHER_PX)))
    shown = sample(feathered, pixels)
    matte = sample(torch.from_numpy(view.portrait.matte), pixels)
    present = torch.where(in_crop & body & (shown > 0.99), matte, 1.0)
    return torch.where(bust, present * (2 * shown - 1).clamp(0, 1), present)


def _surface_splats(surface: Surface, texels: Texels, present: Tensor) -> Splats:
    """Lids, lips and all inside them keep their shape: they must look right when they move."""
    folds = torch.maximum(texels.masks["lids"], texels.masks["lips"])
    body = hair_and_clothes_mask(texels.masks)
    skin = texels.zones == int(Zone.SKIN)
    seen = (surface.seen * 3).clamp(0, 1)
    inner = torch.where(texels.masks["eyes"] > 0.5, 0.8, 0.0)
    paint = seen * torch.where(skin, torch.where(folds > 0.3, 0.3, 1.0), inner)
    return Splats(
        texels.binding,
        surface.splats,
        surface.colors,
        surface.opacities * present,
        free=1.0 * ((seen > 0.3) & skin & (folds < 0.3)),
        fade=1.0 * (body & skin),
        paint=torch.where(body & skin, paint.clamp_min(BARELY), paint),
        lids=torch.zeros(len(texels), 2),
        cells=texels.cells,
    )


def _loose_list(loose: Loose) -> Splats:
    count = len(loose.binding)
    ones, never = torch.ones(count), torch.zeros(count, 2)
    own = (loose.binding, loose.splats, loose.colors, loose.opacities)
    return Splats(*own, ones, ones, ones, never, torch.full((count,), -1))


def _fold_list(loose: Loose, eye: int) -> Splats:
    """Splats that are there while the eye is open: 0 for the left, 1 for the right."""
    lids = torch.zeros(len(loose.binding), 2)
    lids[:, eye] = 1.0
    return replace(_loose_list(loose), lids=lids)


def _still_list(loose: Loose) -> Splats:
    """Splats that only change colour: they must fit where they go, not where they are."""
    fixed = torch.zeros(len(loose.binding))
    return replace(_loose_list(loose), free=fixed, fade=fixed)


def _line_list(loose: Loose) -> Splats:
    """Splats that stay as they are: open eyes would bleach the line that closed ones need."""
    return replace(_still_list(loose), paint=torch.zeros(len(loose.binding)))


COLUMNS = ("colors", "opacities", "free", "fade", "paint", "lids", "cells")


def join(parts: Sequence[Splats]) -> Splats:
    """Concatenate."""

    def column(name: str, of: str) -> Tensor:
        return torch.cat([getattr(getattr(p, of), name) if of else getattr(p, name) for p in parts])

    return Splats(
        Binding(column("vertex_ids", "binding"), column("bary", "binding")),
        LocalSplats(*(column(f.name, "local") for f in fields(LocalSplats))),
        *(column(name, "") for name in COLUMNS),
    )


def select(splats: Splats, keep: Tensor) -> Splats:
    """Those where `keep` [G] is true."""
    rest = {n: getattr(splats, n)[keep] for n in COLUMNS}
    binding = Binding(splats.binding.vertex_ids[keep], splats.binding.bary[keep])
    local = LocalSplats(*(getattr(splats.local, f.name)[keep] for f in fields(LocalSplats)))
    return replace(splats, binding=binding, local=local, **rest)
