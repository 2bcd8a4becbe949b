"""Hair as volume: the scalp is pushed out (or in) until its outline meets the matte.

Landmarks say nothing of the skull or of the hair on it; the matte shows both, but only along the
outline of each photo. There the distance is measured; over the rest of the scalp it is the
smoothest field that agrees, 0 at the face.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from torch import Tensor

from flexavatar.appearance.evidence import View, sample
from flexavatar.head.flame import FlameHead
from flexavatar.render.camera import position, project

REACH = (-0.02, 0.07)
"""Metres the scalp may move in and out along its normal; longer hair is loose."""
STEPS = 46
OUTLINE = 0.35
"""Cosine between normal and line of sight below which a vertex is on the outline."""
TYPICAL = 0.004
"""Metres where no photo says anything: hair lifts a scalp a little."""


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Area-weighted unit normals: [V, 3], [F, 3] -> [V, 3]."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    face_normals = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for corner in range(3):
        normals.index_add_(0, faces[:, corner], face_normals)
    return torch.nn.functional.normalize(normals, dim=-1)


def hair_volume(views: Sequence[View], head: FlameHead, neutral: Tensor) -> Tensor:
    """The neutral head with its scalp at the hair's surface: [V, 3] -> [V, 3]."""
    scalp = head.masks["scalp"]
    measured = [_outline_heights(view, head, scalp) for view in views]
    weight = torch.stack([w for _, w in measured]).sum(0)
    height = torch.stack([h * w for h, w in measured]).sum(0) / weight.clamp_min(1e-9)
    smooth = _spread(head, scalp, height, weight)
    return neutral + vertex_normals(neutral, head.faces) * (smooth * _ramp(scalp))[:, None]


def _ramp(scalp: Tensor) -> Tensor:
    """0 where the scalp's mask begins, 1 well inside."""
    return (scalp * 1.5).clamp(0, 1)


def _outline_heights(view: View, head: FlameHead, scalp: Tensor) -> tuple[Tensor, Tensor]:
    """How far each outline vertex is from the matte's edge along its normal: [V] metres, weight."""
    vertices = view.motion.vertices
    normals = vertex_normals(vertices, head.faces)
    toward = torch.nn.functional.normalize(position(view.camera) - vertices, dim=-1)
    facing = (normals * toward).sum(-1)
    heights = torch.linspace(*REACH, STEPS)
    points = vertices[:, None] + normals[:, None] * heights[:, None]  # [V, S, 3]
    pixels = project(view.camera, points.flatten(0, 1))[:, :2]
    matte = torch.from_numpy(view.portrait.matte)
    inside = sample(matte, pixels).view(-1, STEPS) > 0.5
    outside = ~inside
    first_out = torch.where(outside.any(1), outside.float().argmax(1), STEPS - 1)
    height = heights[first_out]
    side = view.camera.width
    in_picture = ((pixels > 2) & (pixels < side - 2)).all(1).view(-1, STEPS)
    reached = in_picture[torch.arange(len(vertices)), first_out]
    shown = sample(torch.from_numpy(view.portrait.inside.astype(np.float32)), pixels)
    reached &= shown.view(-1, STEPS)[torch.arange(len(vertices)), first_out] > 0.99
    weight = (1 - facing.abs() / OUTLINE).clamp_min(0) * (scalp > 0.02) * reached
    return height, weight


def _spread(head: FlameHead, scalp: Tensor, height: Tensor, weight: Tensor) -> Tensor:
    """Smoothest heights over the scalp that honour the measured ones: [V]."""
    graph = mesh_graph(head.faces, len(height))
    degree = np.asarray(graph.sum(1)).ravel()
    laplacian = diags(degree) - graph
    off = (scalp < 0.02).double().numpy() * 1e3
    hold = weight.double().numpy() * 0.5
    faint = 1e-4
    system = laplacian.T @ laplacian + diags(off + hold + faint)
    right = hold * height.double().numpy() + faint * TYPICAL
    return torch.from_numpy(spsolve(system.tocsc(), right)).float()


def mesh_graph(faces: Tensor, count: int) -> coo_matrix:
    """1 between vertices that share an edge, scaled by the mean degree: [V, V] sparse."""
    triangles = faces.numpy()
    ends = np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)])
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count)).tocsr()
    graph = ((graph + graph.T) > 0).astype(np.float64)
    return graph / 6.0
