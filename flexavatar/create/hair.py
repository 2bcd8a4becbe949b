"""Hair as volume: the scalp is pushed out (or in) until its outline meets the matte.

Landmarks say nothing of the skull or of the hair on it; the matte shows both, but only along the
outline of each photo. There the distance is measured; over the rest of the scalp it is the
smoothest field that agrees, 0 at the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import spsolve
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.create.evidence import View, sample
from flexavatar.head.binding import vertex_normals
from flexavatar.head.flame import FlameHead
from flexavatar.head.masks import hair_mask
from flexavatar.render.camera import camera_position, project

REACH = (-0.02, 0.06)
"""Metres the scalp may move in and out; longer hair is loose."""
NOT_CHEEK = ("neck", "shoulders", "eyes", "teeth", "tongue", "cavity")
CHEEK_REACH = (-0.0195, 0.006)
"""Metres within which the matte's edge may be the cheek's; beyond, it is hair or a hand."""
STEPS = 41
EDGE = 0.8
"""Matte at which hair ends: the soft rim beyond is left to loose splats."""
OUTLINE = 0.35
"""Cosine between normal and line of sight below which a vertex is on the outline."""
RECEDING, LEAST_HAIR = 0.6, 0.12
"""Ratio of distances from the skin's colour that tells hair from forehead; hair's least share."""
LEAST_SPREAD = 0.03
"""Even black hair in flat light has this contrast."""
TYPICAL = 0.006
"""Metres where no photo says anything: hair lifts a scalp a little."""
BEHIND, REAR_PULL = 0.06, 4e-3
"""Metres behind the skull's middle over which hair lies ever flatter, and how strongly."""
CENTRE = (0.0, 0.02, -0.01)
"""Middle of the skull in the open head's frame, metres: hair grows away from it."""


def hair_volume(views: Sequence[View], head: FlameHead, neutral: Tensor) -> Tensor:
    """The neutral head with its scalp at the hair's surface: [V, 3] -> [V, 3]."""
    mask = hair_mask(head)
    away = torch.nn.functional.normalize(neutral - torch.tensor(CENTRE), dim=-1)
    measured = [_outline_heights(view, head, mask, away) for view in views]
    weight = torch.stack([w for _, w in measured]).sum(0)
    height = torch.stack([h * w for h, w in measured]).sum(0) / weight.clamp_min(1e-9)
    return neutral + away * _spread(head, mask, height, weight)[:, None]


def _cheeks(head: FlameHead) -> Tensor:
    """Sides of the face, whose outline the matte corrects a little: [V] 0..1."""
    side = ((head.template[:, 0].abs() - 0.04) / 0.015).clamp(0, 1)
    return side * (1 - torch.stack([head.masks[n] for n in NOT_CHEEK]).amax(0)).clamp(0, 1)


def _outline_heights(
    view: View, head: FlameHead, mask: Tensor, away: Tensor
) -> tuple[Tensor, Tensor]:
    """How far each outline vertex is from the matte's edge: [V] metres and weights."""
    vertices = view.motion.vertices
    toward = torch.nn.functional.normalize(camera_position(view.camera) - vertices, dim=-1)
    facing = (vertex_normals(vertices, head.faces) * toward).sum(-1)
    heights = torch.linspace(*REACH, STEPS)
    points = vertices[:, None] + away[:, None] * heights[:, None]  # [V, S, 3]
    pixels = project(view.camera, points.flatten(0, 1))[:, :2]
    outside = sample(torch.from_numpy(view.portrait.matte), pixels).view(-1, STEPS) < EDGE
    first = torch.where(outside.any(1), outside.float().argmax(1), STEPS - 1)
    shown = sample(torch.from_numpy(view.portrait.inside.astype(np.float32)), pixels)
    side = view.camera.width
    shown *= ((pixels > 2) & (pixels < side - 2)).all(1)
    reached = shown.view(-1, STEPS).gather(1, first[:, None]).squeeze(1) > 0.99
    height = heights[first]
    cheek = (_cheeks(head) > 0.5) & ((height - CHEEK_REACH[0]) * (height - CHEEK_REACH[1]) < 0)
    outline = (1 - facing.abs() / OUTLINE).clamp_min(0) * reached
    return height, outline * ((mask > 0.5) | cheek)


def _spread(head: FlameHead, mask: Tensor, height: Tensor, weight: Tensor) -> Tensor:
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


@dataclass(frozen=True)
class Hair:
    """Where hair grows and what colour it has; skin on a bald head, cloth under a hat."""

    scalp: Tensor  # [T] 0..1, ears included: hair hides those that no photo shows
    ears: Tensor  # [T] 0..1
    tone: Tensor  # [3] median colour
    spread: float  # median distance of its colours from the median

    @property
    def grows(self) -> Tensor:
        """Texels of the scalp alone: [T] bool."""
        return (self.scalp > 0.5) & (self.ears < 0.3)

    def like(self, colors: Tensor, most: float) -> Tensor:
        """Colours at most so many spreads from the hair's own: [T, 3] -> [T] bool."""
        return (colors - self.tone).norm(dim=-1) < most * self.spread


def measure_hair(views: Sequence[View], scalp: Tensor, ears: Tensor) -> Hair:
    """From the person's pixels around and above the face; brown where there are hardly any."""
    found = [view.portrait.colors[_hair_pixels(view)] for view in views]
    colors = np.concatenate(found)
    if len(colors) < 30:
        return Hair(scalp, ears, torch.tensor([0.25, 0.2, 0.17]), 0.1)
    skin = [view.portrait.colors[view.portrait.face_hull] for view in views]
    colors = _without_skin(colors, np.median(np.concatenate(skin), 0))
    tone = np.median(colors, 0)
    spread = float(np.median(np.linalg.norm(colors - tone, axis=1)))
    return Hair(scalp, ears, torch.from_numpy(tone.astype(np.float32)), max(spread, LEAST_SPREAD))


def _without_skin(colors: NDArray[np.float32], skin: NDArray[np.float32]) -> NDArray[np.float32]:
    """The half that is hair where hair recedes: [N, 3] -> [M, 3]; all of a bald or full head."""
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_COUNT, 10, 0)
    _, half, means = cv2.kmeans(colors, 2, np.zeros(0), stop, 3, cv2.KMEANS_PP_CENTERS)
    away = np.linalg.norm(means - skin, axis=1)
    far = half.ravel() == int(away.argmax())
    both = away.min() < RECEDING * away.max() and far.mean() > LEAST_HAIR
    return colors[far] if both else colors


def _hair_pixels(view: View) -> NDArray[np.bool_]:
    """Person, well above the eyes, outside the face's oval: [S, S]."""
    points = view.portrait.face.points[:, :2].astype(np.float64)
    up = points[10] - points[152]
    height = float(np.linalg.norm(up))
    up /= max(height, 1e-6)
    middle = points[list(topology.LEFT_IRIS + topology.RIGHT_IRIS)].mean(0)
    ring = points[list(topology.OVAL)]
    grown = ring + 0.06 * (ring - ring.mean(0))
    face = cv2.fillPoly(
        np.zeros(view.portrait.matte.shape, np.uint8), [np.round(grown).astype(np.int32)], 1
    )
    rows, columns = np.indices(face.shape)
    along = (columns - middle[0]) * up[0] + (rows - middle[1]) * up[1]
    across = np.abs((columns - middle[0]) * up[1] - (rows - middle[1]) * up[0])
    person = cv2.erode(view.portrait.matte, np.ones((5, 5))) > 0.95
    above = person & (face == 0) & (along > 0.3 * height) & (across < 0.5 * height)
    top = np.median(along[above]) if above.any() else 0.0  # the lower half may be forehead
    return above & (along >= top)
