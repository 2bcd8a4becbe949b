"""Hair as volume: the scalp is pushed out (or in) until its outline meets the matte.

Landmarks say nothing of the skull or of the hair on it; the matte shows both, but only along the
outline of each photo. There the distance is measured; over the rest of the scalp it is the
smoothest field that agrees, 0 at the face.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import spsolve
from torch import Tensor

from flexavatar.capture.portrait import Portrait
from flexavatar.create.pixels import sample_bilinear
from flexavatar.head.binding import vertex_normals
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import hair_mask
from flexavatar.render.camera import camera_position, project
from flexavatar.types import Camera

REACH = (-0.02, 0.06)
"""Metres the scalp may move in and out; longer hair is off the mesh."""
NOT_CHEEK = ("neck", "shoulders", "eyes", "teeth", "tongue", "cavity")
CHEEK_REACH = (-0.0195, 0.006)
"""Metres within which the matte's edge may be the cheek's; beyond, it is hair or a hand."""
STEPS = 41
EDGE = 0.8
"""Matte at which hair ends: the soft rim beyond is left to splats off the mesh."""
OUTLINE = 0.35
"""Cosine between normal and line of sight below which a vertex is on the outline."""
TYPICAL = 0.006
"""Metres where no photo says anything: hair lifts a scalp a little."""
BEHIND, REAR_PULL = 0.06, 4e-3
"""Metres behind the skull's middle over which hair lies ever flatter, and how strongly."""
CENTRE = (0.0, 0.02, -0.01)
"""Middle of the skull in the open head's frame, metres: hair grows away from it."""


def hair_volume(
    portraits: Sequence[Portrait],
    cameras: Sequence[Camera],
    posed: Sequence[Tensor],  # [V, 3] the bald head in each portrait, metres
    head: FlameHead,
    neutral: Tensor,  # [V, 3] the bald head at rest, metres
) -> Tensor:
    """The neutral head with its scalp at the hair's surface: [V, 3] metres."""
    mask = hair_mask(head)
    away = torch.nn.functional.normalize(neutral - torch.tensor(CENTRE), dim=-1)
    measured = [
        _outline_heights(*view, head, mask, away)
        for view in zip(portraits, cameras, posed, strict=True)
    ]
    weight = torch.stack([w for _, w in measured]).sum(0)
    height = torch.stack([h * w for h, w in measured]).sum(0) / weight.clamp_min(1e-9)
    return neutral + away * _smooth_heights(head, mask, height, weight)[:, None]


def _cheeks(head: FlameHead) -> Tensor:
    """Sides of the face, whose outline the matte corrects a little: [V] 0..1."""
    side = ((head.template[:, 0].abs() - 0.04) / 0.015).clamp(0, 1)
    return side * (1 - torch.stack([head.masks[n] for n in NOT_CHEEK]).amax(0)).clamp(0, 1)


def _outline_heights(
    portrait: Portrait,
    camera: Camera,
    vertices: Tensor,
    head: FlameHead,
    mask: Tensor,
    away: Tensor,
) -> tuple[Tensor, Tensor]:
    """How far each outline vertex is from the matte's edge: [V] metres and weights."""
    toward = torch.nn.functional.normalize(camera_position(camera) - vertices, dim=-1)
    facing = (vertex_normals(vertices, head.faces) * toward).sum(-1)
    heights = torch.linspace(*REACH, STEPS)
    points = vertices[:, None] + away[:, None] * heights[:, None]  # [V, S, 3]
    pixels = project(camera, points.flatten(0, 1))[:, :2]
    outside = sample_bilinear(torch.from_numpy(portrait.matte), pixels).view(-1, STEPS) < EDGE
    first = torch.where(outside.any(1), outside.float().argmax(1), STEPS - 1)
    shown = sample_bilinear(torch.from_numpy(portrait.inside.astype(np.float32)), pixels)
    side = camera.width
    shown *= ((pixels > 2) & (pixels < side - 2)).all(1)
    reached = shown.view(-1, STEPS).gather(1, first[:, None]).squeeze(1) > 0.99
    height = heights[first]
    cheek = (_cheeks(head) > 0.5) & ((height - CHEEK_REACH[0]) * (height - CHEEK_REACH[1]) < 0)
    outline = (1 - facing.abs() / OUTLINE).clamp_min(0) * reached
    return height, outline * ((mask > 0.5) | cheek)


def _smooth_heights(head: FlameHead, mask: Tensor, height: Tensor, weight: Tensor) -> Tensor:
    """Smoothest heights over the scalp that honour the measured ones, 0 off it: [V]."""
    graph = mesh_graph(head.faces, len(height))
    laplacian = diags(np.asarray(graph.sum(1)).ravel()) - graph
    off = 30 * (1 - mask.double().numpy()) ** 2 * (1 - 0.98 * _cheeks(head).double().numpy())
    hold = weight.double().numpy() * 0.5
    behind = ((CENTRE[2] - head.template[:, 2]) / BEHIND).clamp(0, 1).double().numpy()
    faint = 3e-4 + REAR_PULL * behind
    system = laplacian + diags(off + hold + faint)
    right = hold * height.double().numpy() + faint * TYPICAL
    return torch.from_numpy(spsolve(system.tocsc(), right)).float()


def mesh_graph(faces: Tensor, count: int) -> csr_matrix:
    """1/6 between vertices that share an edge: [V, V] sparse."""
    triangles = faces.numpy()
    ends = np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)])
    graph = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return ((graph + graph.T) > 0).astype(np.float64) / 6.0
