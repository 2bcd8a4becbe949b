"""The surface of a person's hair all around: how far out it lies, where it ends, how it flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_dilation, gaussian_filter
from torch import Tensor

from flexavatar.create.evidence import SurfaceObservations
from flexavatar.create.hair import Hair
from flexavatar.create.hair_pattern import HairPattern
from flexavatar.create.hair_volume import CENTRE
from flexavatar.create.off_mesh import extend_depth
from flexavatar.create.pixels import sample_bilinear
from flexavatar.create.skin import Skin
from flexavatar.create.sphere_grid import (
    COLUMNS,
    Field,
    Points,
    cell_angles,
    deposit,
    directions,
    fill,
    interpolate,
    spherical,
)
from flexavatar.head.texels import Zone, texel_points_and_normals
from flexavatar.render.camera import camera_position, project, unproject
from flexavatar.render.mesh import render_mesh

SEEN, FOREIGN = 0.25, 2.6
"""Weight of evidence that says what grows there, and spreads beyond which it is not hair."""
WHORL = (np.radians(165.0), np.radians(62.0))
"""Azimuth and elevation of the crown that unseen hair grows away from."""
WHORL_REACH = 0.045
"""Metres around it in which hair turns."""
FALL, PART, TURN = 0.9, 0.8, 0.9
"""Shares of falling, of growing away from the crown, and of turning about it."""
BEHIND = np.radians(110.0)
"""Azimuth from which hair is behind the ears."""
LONG = 0.03
"""Metres below the nape from which hair is long."""
LONGEST = -0.2
"""Metres below the eyes' middle that hair is followed down to: the bust ends there."""


@dataclass(frozen=True)
class HairShell:
    """Fields over the directions around the skull."""

    radius: Field  # metres to the surface of hair, or of skin where none grows
    grows: Field  # 0..1
    seen: Field  # 0..1 how well photos show what is there
    flow: Field  # [ROWS, COLUMNS, 3] unit, along the surface, from root to tip
    lowest: NDArray[np.float64]  # [COLUMNS] metres: height in the head frame where it ends

    def lowest_at(self, points: Points) -> NDArray[np.float64]:
        """Where hair ends in the azimuths of points: [N] metres."""
        azimuth = spherical(points)[0]
        middles = cell_angles()[0][0]
        return np.interp(azimuth, middles, self.lowest, period=2 * np.pi)


def hair_shell(skin: Skin, pattern: HairPattern) -> HairShell:
    """The hair of a person as photos show it, completed over the head."""
    observations, hair = skin.observations, skin.hair
    posed, texels = observations.posed, observations.texels
    points, normals = texel_points_and_normals(posed.neutral, texels, posed.head.faces)
    points = points + skin.splats.local.offsets
    outer = (texels.zones == int(Zone.SKIN)).numpy()
    place = points.double().numpy()
    found, weight = deposit(place[outer], spherical(place[outer])[2], np.ones(int(outer.sum())))
    radius = fill(found, 20 * np.minimum(weight, 5.0), 0.1, 1e-4)
    grows = _where_it_grows(observations, hair, place)
    seen, known = deposit(
        place[outer], skin.seen.double().numpy()[outer], np.ones(len(place[outer]))
    )
    seen = fill(seen, np.minimum(known, 1.0), 0.0, 1e-3).clip(0, 1)
    flow = _flow(observations, hair, pattern, points, normals, radius)
    lowest = _lowest(observations, pattern, place, hair)
    return HairShell(radius, grows, seen, flow, lowest)


def _where_it_grows(observations: SurfaceObservations, hair: Hair, place: Points) -> Field:
    """Scalp, without what photos show to be skin there, and without ears that are free: 0..1."""
    evidence = observations.evidence
    shown = (evidence.weight > SEEN).numpy()
    foreign = ~hair.resembles(evidence.colors, FOREIGN).numpy()
    scalp, ears = hair.grows.numpy(), ((hair.ears > 0.5) & (hair.scalp < 0.5)).numpy()
    _, grown = deposit(place[scalp], np.ones(int(scalp.sum())), np.ones(int(scalp.sum())))
    grows = binary_closing(grown > 0, np.ones((3, 3)))
    bare = scalp & shown
    share, count = deposit(place[bare], foreign[bare] * 1.0, np.ones(int(bare.sum())))
    grows &= ~((share > 0.5) & (count > 1))
    if ears.any():
        _, covered = deposit(place[ears], np.ones(int(ears.sum())), np.ones(int(ears.sum())))
        grows &= ~binary_dilation(covered > 0, np.ones((3, 3)))
    return gaussian_filter(grows * 1.0, 0.6, mode=("nearest", "wrap"))


def _flow(
    observations: SurfaceObservations,
    hair: Hair,
    pattern: HairPattern,
    points: Tensor,
    normals: Tensor,
    radius: Field,
) -> Field:
    """As the first photo's hair runs, diffused; away from the crown and down where nobody sees."""
    azimuth, elevation = cell_angles()
    outwards = directions(azimuth, elevation)
    surface = np.asarray(CENTRE) + radius[..., None] * outwards
    crown = np.asarray(CENTRE) + 0.11 * directions(np.array(WHORL[0]), np.array(WHORL[1]))
    away = surface - crown
    near = np.exp(-((np.linalg.norm(away, axis=-1, keepdims=True) / WHORL_REACH) ** 2))
    turning = np.cross(crown - np.asarray(CENTRE), away)
    base = PART * _unit(away) + FALL * np.array((0.0, -1.0, 0.0)) + TURN * near * _unit(turning)
    base = _unit(base - (base * outwards).sum(-1, keepdims=True) * outwards)
    view = observations.posed.views[0]
    moved, _ = texel_points_and_normals(
        view.motion.vertices, observations.texels, observations.posed.head.faces
    )
    pixels = project(view.camera, moved)[:, :2]
    inside = sample_bilinear(torch.from_numpy(pattern.mask.astype(np.float32)), pixels) > 0.5
    shown = (hair.grows & inside & (observations.evidence.weight > SEEN)).numpy()
    lines = sample_bilinear(torch.from_numpy(pattern.directions), pixels).numpy()[shown]
    sure = sample_bilinear(torch.from_numpy(pattern.coherence), pixels).numpy()[shown]
    right, down = view.camera.viewmat[:2, :3].double().numpy()
    along = lines[:, :1] * right + lines[:, 1:] * down
    toward = _unit(camera_position(view.camera).double().numpy() - moved.double().numpy()[shown])
    facing = normals.double().numpy()[shown]
    steep = np.maximum((toward * facing).sum(1, keepdims=True), 0.3)
    along = _unit(along - (along * facing).sum(1, keepdims=True) / steep * toward)
    place = points.double().numpy()[shown]
    along *= np.where((along * interpolate(base, place)).sum(1, keepdims=True) < 0, -1, 1)
    found, weight = deposit(place, along, sure.astype(np.float64))
    flow = fill(found, np.clip(weight / 3, 0, 1), base, 0.03)
    return _unit(flow - (flow * outwards).sum(-1, keepdims=True) * outwards)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of length 1: [..., 3]."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-9)


def _lowest(
    observations: SurfaceObservations, pattern: HairPattern, place: Points, hair: Hair
) -> NDArray[np.float64]:
    """Heights down to which hair hangs, by azimuth: the nape's where photos show none longer."""
    scalp = place[hair.grows.numpy()]
    azimuth, _, _ = spherical(scalp)
    nape = float(np.quantile(scalp[np.abs(azimuth) > BEHIND, 1], 0.02))
    view, head = observations.posed.views[0], observations.posed.head
    mesh = render_mesh(view.motion.vertices, head.faces, view.camera)
    y, x = np.nonzero(pattern.mask)
    if len(x) < 50:
        return np.full(COLUMNS, nape)
    depth = torch.from_numpy(extend_depth(mesh, view.camera)[y, x])
    shown = unproject(view.camera, torch.from_numpy(np.stack((x, y), 1)).float() + 0.5, depth)
    middles = cell_angles()[0][0]
    sides = []
    for side in (-1, 1):
        own = shown[shown[:, 0] * side > 0.04]
        low = float(own[:, 1].quantile(0.02)) if len(own) > 50 else nape
        sides.append(max(low, LONGEST))
    behind = float(np.mean(sides)) if np.mean(sides) < nape - LONG else nape
    ends = np.where(middles < 0, *sides)
    back = np.clip((np.abs(middles) - np.pi / 2) / (BEHIND - np.pi / 2), 0, 1)
    return ends + (behind - ends) * back
