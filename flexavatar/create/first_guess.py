"""The first guess, the fourth step: all Gaussians of a new avatar, before they are fitted.

The skin's texels, and what a photo shows beside them: hair and clothes, fine detail, lashes, lid
folds, teeth. Whatever else is built of Gaussians before the fit joins them here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from flexavatar.create.evidence import SurfaceObservations
from flexavatar.create.eyeball import eyeball_front, eyeball_splats, glint, lid_shade
from flexavatar.create.hair_strands import hair_strands
from flexavatar.create.lashes_and_teeth import fold_splats, lash_lines, lash_splats, teeth_splats
from flexavatar.create.network import Prediction
from flexavatar.create.off_mesh import off_mesh_splats
from flexavatar.create.photo_splats import BoundSplats, detail_splats
from flexavatar.create.pixels import disc_kernel, sample_bilinear
from flexavatar.create.posed_views import PosedView, PosedViews
from flexavatar.create.skin import Skin, mouth_shown_by_photos
from flexavatar.create.underlay import underlay_splats
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import hair_and_clothes_mask
from flexavatar.head.texels import Texels, Zone, texel_points_and_normals
from flexavatar.render.camera import project
from flexavatar.render.mesh import render_mesh

FEATHER_PX = 25
RIM_PX = 1
"""Pixels outside the matte within which a texel is the outline's, and no background."""
BARELY = 0.05
"""Freedom of colours at the body's outline, which is seen edge-on."""
UNSEEN, WIDER = 0.02, 1.45
"""Evidence below which every other texel under strands is left out, and how much wider the rest
is: a frame has better uses for them."""
WITHIN_MOUTH = 0.5
"""Freedom of colours between the lips, where a photo shows them."""
DRAWN = 0.6
"""Of the photo's sampling, in what is drawn rather than fitted: an edge that falls between pixels
is as soft as the photo's own."""
LID_RIM, LID_SHARE = 0.2, 0.1
"""Of the lids' mask over which the sampling's share falls to this: wide lids narrow the opening."""
CULLED = 0.02
"""Opacity under which a Gaussian is not kept."""


@dataclass(frozen=True)
class DraftSplats:
    """Gaussians of an avatar in the making, and how freely each may be fitted."""

    binding: Binding
    local: LocalSplats
    colors: Tensor  # [G, 3]
    opacities: Tensor  # [G]
    shape_freedom: Tensor  # [G] 1 if place, size and turn may be fitted
    opacity_freedom: Tensor  # [G] 1 if the opacity may be fitted
    color_freedom: Tensor  # [G] 0..1 how freely the colour may be fitted
    lids: Tensor  # [G, 2] share that folds away as the left, the right eye closes
    cells: Tensor  # [G] int64 row * U + col of its texel in the chart, -1 if it is none's
    sampled: Tensor  # [G] share of the photos' sampling that is its finest detail; less if drawn

    def __len__(self) -> int:
        return len(self.binding)

    def texel_values(self, values: Tensor, texels: Texels) -> Tensor:
        """Values of a chart's texels [T, C] for all Gaussians, 0 for those of none: [G, C]."""
        own = self.cells >= 0
        found = values.new_zeros(len(self), values.shape[1])
        return found.index_put((own,), values[texels.texels_at(self.cells[own])])


@dataclass(frozen=True)
class AvatarDraft:
    """An avatar in the making, and what it is fitted to."""

    posed: PosedViews
    splats: DraftSplats  # G
    prediction: Prediction | None
    changes: tuple[Tensor | None, ...]  # [G, 14] a view each: what a network adds, stays as it is


def first_guess(skin: Skin, spacing_px: float) -> AvatarDraft:
    """The skin and everything else that the first photo shows, placed and coloured."""
    posed, texels, prediction = skin.observations.posed, skin.observations.texels, skin.prediction
    view, head = posed.views[0], posed.head
    mesh = render_mesh(view.motion.vertices, head.faces, view.camera)
    folds = enumerate(fold_splats(view, mesh, head))
    rims = (lash_splats(view, head), *teeth_splats(view, head))
    parts = (
        _skin_part(skin, texels, _presence(view, texels, head) * ~_drawn(posed, texels)),
        _part(underlay_splats(skin), shape=0.0, opacity=0.0, color=0.0, sampled=0.0),
        _part(off_mesh_splats(view, mesh, head, spacing_px)),
        _part(detail_splats(view, mesh, head, spacing_px)),
        *(_part(fold, eye=eye) for eye, fold in folds),
        # these must fit where they go, not where they are; and open eyes would bleach lash lines
        *(_part(rim, shape=0.0, opacity=0.0) for rim in rims),
        *_strands(skin),
        _part(lash_lines(view, head), shape=0.0, opacity=0.0, color=0.0, sampled=0.0),
        *_eyes(skin.observations),
    )
    whole = concatenate(parts)
    splats = select(whole, whole.opacities > CULLED)
    changes = prediction.changes if prediction else (None,) * len(posed.views)
    own = (None if change is None else splats.texel_values(change, texels) for change in changes)
    return AvatarDraft(posed, splats, prediction, tuple(own))


def _part(
    bound: BoundSplats,
    shape: float = 1.0,
    opacity: float = 1.0,
    color: float = 1.0,
    eye: int | None = None,
    sampled: float = 1.0,
) -> DraftSplats:
    """Gaussians of no texel, how freely they may be fitted, and which eye (0 left) folds them."""
    count = len(bound.binding)
    lids = torch.zeros(count, 2)
    if eye is not None:
        lids[:, eye] = 1.0
    return DraftSplats(
        bound.binding,
        bound.local,
        bound.colors,
        bound.opacities,
        shape_freedom=torch.full((count,), shape),
        opacity_freedom=torch.full((count,), opacity),
        color_freedom=torch.full((count,), color),
        lids=lids,
        cells=torch.full((count,), -1),
        sampled=torch.full((count,), sampled),
    )


def _eyes(observations: SurfaceObservations) -> Iterator[DraftSplats]:
    """What turns with the gaze, and what lids and lamps do to it: drawn, never fitted."""
    posed, iris = observations.posed, observations.iris
    view, head = posed.views[0], posed.head
    for number, eye in enumerate(view.eyes(head, posed.neutral)):
        ball = eyeball_splats(head, posed.neutral, iris, eye.side)
        yield _part(ball, shape=0.0, opacity=0.0, color=0.0, sampled=DRAWN)
        lights = lid_shade(eye, view.motion, head, iris), glint(eye, view.motion, head, iris)
        for light in (light for light in lights if light is not None):
            yield _part(light, shape=0.0, opacity=0.0, color=0.0, eye=number, sampled=DRAWN)


def _strands(skin: Skin) -> Iterator[DraftSplats]:
    """Hair that no photo shows, and that none can be fitted to."""
    strands = hair_strands(skin)
    if strands is not None:
        yield _part(strands, shape=0.0, opacity=0.0, color=0.0, sampled=0.0)


def _drawn(posed: PosedViews, texels: Texels) -> Tensor:
    """Texels of the eyeballs' fronts, which are drawn by themselves: [T] bool."""
    points, _ = texel_points_and_normals(posed.neutral, texels, posed.head.faces)
    drawn = torch.zeros(len(texels), dtype=torch.bool)
    for zone, side in ((Zone.LEFT_EYE, "left"), (Zone.RIGHT_EYE, "right")):
        drawn |= (texels.zones == int(zone)) & eyeball_front(
            posed.head, posed.neutral, points, side
        )
    return drawn


def _presence(view: PosedView, texels: Texels, head: FlameHead) -> Tensor:
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
    shown = sample_bilinear(feathered, pixels)
    near = cv2.dilate(view.portrait.matte, disc_kernel(RIM_PX))
    matte = sample_bilinear(torch.from_numpy(near), pixels)
    inside_photo = sample_bilinear(torch.from_numpy(inside), pixels) > 0.99
    present = torch.where(in_crop & body & inside_photo, matte, 1.0)
    return torch.where(bust, present * (2 * shown - 1).clamp(0, 1), present)


def _skin_part(skin: Skin, texels: Texels, present: Tensor) -> DraftSplats:
    """Lids, lips and all inside them keep their shape: they must look right when they move."""
    folds = torch.maximum(texels.masks["lids"], texels.masks["lips"])
    body, eyes = hair_and_clothes_mask(texels.masks), texels.masks["eyes"] > 0.5
    outer = texels.zones == int(Zone.SKIN)
    seen = (skin.seen * 3).clamp(0, 1)
    inner = WITHIN_MOUTH * mouth_shown_by_photos(texels)
    under = skin.hair.has_strands * (skin.hair.grows & (skin.seen < UNSEEN))
    dropped = under * (texels.chart.rows + texels.chart.cols) % 2
    wide = torch.where(under > 0, WIDER, 1.0)[:, None]
    local = skin.splats.local
    color = seen * torch.where(outer, torch.where(folds > 0.3, 0.3, 1.0), inner)
    return DraftSplats(
        texels.binding,
        LocalSplats(local.offsets, local.quats, local.scales * wide),
        skin.splats.colors,
        skin.splats.opacities * present * (1 - dropped),
        shape_freedom=1.0 * ((seen > 0.3) & outer & (folds < 0.3)),
        opacity_freedom=1.0 * (body & outer & ~skin.hair.grows),  # holes, seen from the side
        color_freedom=torch.where(body & outer & ~skin.hair.grows, color.clamp_min(BARELY), color),
        lids=torch.zeros(len(texels), 2),
        cells=texels.cells,
        sampled=torch.where(eyes, 0.0, (1 - texels.masks["lids"] / LID_RIM).clamp_min(LID_SHARE)),
    )


def concatenate(parts: Sequence[DraftSplats]) -> DraftSplats:
    """One after the other."""
    return _each_column(torch.cat, parts)


def select(splats: DraftSplats, keep: Tensor) -> DraftSplats:
    """Those where `keep` [G] is true."""
    return _each_column(lambda columns: columns[0][keep], [splats])


def _each_column(combine: Callable[[list[Tensor]], Tensor], parts: Sequence[Any]) -> Any:
    """The same tensors of all parts combined, in whatever dataclasses they are."""
    if isinstance(parts[0], Tensor):
        return combine(list(parts))
    names = [f.name for f in fields(parts[0])]
    columns = (_each_column(combine, [getattr(p, name) for p in parts]) for name in names)
    return type(parts[0])(*columns)
