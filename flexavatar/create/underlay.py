"""A coarse layer below the face's skin, in the skin's own colours.

Splats of skin part where an expression stretches it, and a fit that may look through gaps at the
dark back of the head paints brows and shadows with them. What is behind a gap is skin here.
"""

from __future__ import annotations

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.create.photo_splats import BoundSplats, quats_facing
from flexavatar.create.skin import Skin
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.head.texels import Texels, Zone, texel_points_and_normals

DEPTH, WIDTH = 2e-3, 2.2e-3
"""Metres below the skin, and standard deviation: a nose curves away no faster."""
THICKNESS, OPACITY = 0.25, 0.97
STRIDE = 3
"""Texels from one to the next."""
RIM = 6e-3
"""Metres to lids and lips, whose opening it must not show in."""
EDGES = ("lids", "lips", "eyes", "teeth", "tongue", "cavity")
MEAN_OF = 24
"""Texels whose mean colour one has."""


def underlay_splats(skin: Skin) -> BoundSplats:
    """Opaque discs below the face, but for its openings."""
    posed, texels = skin.observations.posed, skin.observations.texels
    points, normals = texel_points_and_normals(posed.neutral, texels, posed.head.faces)
    chosen = (_covered(texels, points) & _every_third(texels)).nonzero().squeeze(1)
    face = (texels.zones == int(Zone.SKIN)).nonzero().squeeze(1)
    _, near = cKDTree(points[face].numpy()).query(points[chosen].numpy(), k=MEAN_OF, workers=-1)
    colors = skin.splats.colors[face][torch.from_numpy(near)].mean(1)
    down = normals[chosen]
    offsets = skin.splats.local.offsets[chosen] - DEPTH * down
    scales = WIDTH * torch.tensor([1.0, 1.0, THICKNESS]).expand(len(chosen), 3)
    binding = Binding(texels.binding.vertex_ids[chosen], texels.binding.bary[chosen])
    local = LocalSplats(offsets, quats_facing(down), scales)
    return BoundSplats(binding, local, colors, torch.full((len(chosen),), OPACITY))


def _covered(texels: Texels, points: Tensor) -> Tensor:
    """Skin of the face, away from what opens: [T] bool."""
    edges = torch.stack([texels.masks[name] for name in EDGES]).amax(0) > 0.5
    away, _ = cKDTree(points[edges].numpy()).query(points.numpy(), workers=-1)
    skin = (texels.zones == int(Zone.SKIN)) & (texels.masks["face"] > 0.5)
    return skin & (torch.from_numpy(away) > RIM)


def _every_third(texels: Texels) -> Tensor:
    """A coarser grid: [T] bool."""
    return (texels.chart.rows % STRIDE == 0) & (texels.chart.cols % STRIDE == 0)
