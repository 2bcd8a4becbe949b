"""Bakes where MediaPipe's landmarks lie on the open head: python -m flexavatar.rigs.bake_landmarks.

People are drawn at random: shape, expression and view. Each landmark is traced back to the surface
point under it; the median over all people, made symmetric and snapped to the surface of the right
part, goes into an asset of the package. To be run after the head changes.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.landmark_rig import LANDMARKS_PATH
from flexavatar.capture.landmarks import detect_faces
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import Binding
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.render.camera import look_from, orbit
from flexavatar.render.mesh import render_mesh
from flexavatar.rigs.rig_landmarks import (
    IRIS,
    SIDE,
    WHITE,
    Color,
    brow_arc,
    detect_landmarks,
    paint,
    shade,
    trace,
)

PEOPLE = 60
MILD = ("mouthSmileLeft", "mouthSmileRight", "jawOpen", "mouthFunnel", "browInnerUp")
JAW_OPEN = 0.5
"""Of the head on which medians are taken: there upper and lower lip cannot be confused."""
BROW_HALF_HEIGHT = 0.004
SURFACE_STEPS = 6
"""Along each side of a triangle, of the grid of points that landmarks snap to."""

LIP, HAIR, BROW, DARK = (
    (0.70, 0.36, 0.34), (0.22, 0.15, 0.11), (0.30, 0.21, 0.16), (0.20, 0.07, 0.07),
)  # fmt: skip
FRONT = look_from(0, 0, SIDE, np.zeros(3), framed=0.35, distance=0.7)
FACE = list(range(topology.FACE_COUNT))
IRISES = list(range(topology.FACE_COUNT, topology.COUNT))


def find_landmarks(head: FlameHead, people: int = PEOPLE) -> Binding:
    """Surface point of each landmark: Binding of 478."""
    generator = torch.Generator().manual_seed(0)
    colors = paint(len(head.template), _layers(head))
    opened = arkit_to_flame({"jawOpen": JAW_OPEN}, load_arkit_basis(head))
    reference = head.pose(head.template, opened).vertices
    traces = [_trace_person(head, reference, colors, generator) for _ in range(people)]
    middle = np.median(np.stack([found for found in traces if found is not None]), 0)  # [478, 3]
    return _snap(head, reference, _symmetrize(middle, _partners(head, colors)))


def _layers(head: FlameHead) -> list[tuple[Color, Tensor]]:
    """The paint of the open head, by its masks."""
    masks = head.masks
    layers: list[tuple[Color, Tensor]] = [
        (LIP, masks["lips"]),
        (HAIR, masks["scalp"]),
        (DARK, masks["cavity"]),
        (WHITE, masks["teeth"]),
        (LIP, masks["tongue"]),
        (BROW, _brow_mask(head)),
    ]
    for name, joint in (("leye", 3), ("reye", 4)):
        arm = head.template - head.joints(head.template)[joint]
        iris = (arm[:, :2].norm(dim=-1) < topology.IRIS_RADIUS) & (arm[:, 2] > 0)
        eyeball = masks[name] > 0.5
        layers += [(WHITE, eyeball), (IRIS, eyeball & iris)]
    return layers


def _brow_mask(head: FlameHead) -> Tensor:
    """An arc above each eye, on skin: [V] 0..1."""
    mask = torch.zeros(len(head.template))
    off_skin = torch.stack([head.masks["eyes"], head.masks["lids"]]).amax(0)
    for joint in (3, 4):
        above, along = brow_arc(head.template - head.joints(head.template)[joint], joint)
        band = 1 - ((above / BROW_HALF_HEIGHT) ** 4).clamp(max=1)
        mask = torch.maximum(mask, band * (along & (off_skin < 0.5)))
    return mask


def _trace_person(
    head: FlameHead, reference: Tensor, colors: Tensor, generator: torch.Generator
) -> NDArray[np.float64] | None:
    """A random person's landmarks, where they lie on the reference: [478, 3]; None: no face."""
    betas = 0.7 * torch.randn(head.identity.shape[2], generator=generator)
    weights = {n: float(torch.rand(1, generator=generator)) * 0.5 for n in MILD}
    codes = arkit_to_flame(weights, load_arkit_basis(head))
    vertices = head.pose(head.neutral(betas), codes).vertices
    yaw, pitch = ((torch.rand(2, generator=generator) - 0.5) * 30).tolist()
    view = render_mesh(vertices, head.faces, orbit(FRONT, yaw, pitch / 2))
    pixels = detect_landmarks(shade(vertices, head.faces, colors, view))
    if pixels is None:
        return None
    traced = np.empty((topology.COUNT, 3))
    for indices, allowed in zip((FACE, IRISES), _skin_and_eyes(head), strict=True):
        traced[indices], _ = trace(reference, head.faces, view, allowed, pixels[indices])
    return traced


def _skin_and_eyes(head: FlameHead) -> tuple[Tensor, Tensor]:
    """Faces that may carry landmarks of the face, and of the irises: [F] bool each."""
    inner = torch.stack([head.masks[n] for n in ("eyes", "teeth", "tongue", "cavity")]).amax(0)
    eyes = head.masks["eyes"] > 0.5
    return ~(inner > 0.5)[head.faces].any(1), eyes[head.faces].all(1)


def _partners(head: FlameHead, colors: Tensor) -> NDArray[np.int64]:
    """Each landmark's partner on the other side, by the painted template's own symmetry: [478]."""
    view = render_mesh(head.template, head.faces, FRONT)
    found = detect_faces(shade(head.template, head.faces, colors, view))[0].points[:, :2]
    middle = found[list(topology.LEFT_BROW + topology.RIGHT_BROW), 0].mean()
    flipped = found * np.array([-1, 1]) + np.array([2 * middle, 0])
    index = cKDTree(found[FACE]).query(flipped[FACE])[1]
    iris = np.array([473, 476, 475, 474, 477, 468, 471, 470, 469, 472])
    return np.concatenate((index, iris)).astype(np.int64)


def _symmetrize(points: NDArray[np.float64], partner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average with the mirror image wherever landmark partners are mutual."""
    mutual = partner[partner] == np.arange(len(partner))
    other = points[partner] * np.array([-1, 1, 1])
    return np.where(mutual[:, None], 0.5 * (points + other), points)


def _snap(head: FlameHead, reference: Tensor, points: NDArray[np.float64]) -> Binding:
    """Nearest point of the fitting part of the surface."""
    vertex_ids = torch.zeros(topology.COUNT, 3, dtype=torch.long)
    bary = torch.zeros(topology.COUNT, 3)
    for indices, allowed in zip((FACE, IRISES), _skin_and_eyes(head), strict=True):
        faces = head.faces[allowed]
        samples, weights = _dense_samples(reference[faces])
        _, nearest = cKDTree(samples).query(points[indices])
        vertex_ids[indices] = faces[torch.from_numpy(nearest // len(weights))]
        bary[indices] = weights[torch.from_numpy(nearest % len(weights))]
    return Binding(vertex_ids, bary)


def _dense_samples(corners: Tensor) -> tuple[NDArray[np.float32], Tensor]:
    """A grid of points on each triangle [F, 3, 3]: [F * S, 3] and its barycentrics [S, 3]."""
    steps = SURFACE_STEPS
    grid = [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]
    weights = torch.tensor(grid, dtype=torch.float32) / steps
    return (weights @ corners).reshape(-1, 3).numpy(), weights


if __name__ == "__main__":
    binding = find_landmarks(load_open_head())
    ids = binding.vertex_ids.numpy().astype(np.int32)
    np.savez_compressed(LANDMARKS_PATH, vertex_ids=ids, bary=binding.bary.numpy())
    sys.stdout.write(f"{LANDMARKS_PATH}: {len(binding)} landmarks\n")
