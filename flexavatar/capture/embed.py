"""Where MediaPipe's landmarks lie on the open head: measured, and baked into a small asset.

The rig is painted, posed and lit at random, drawn, and shown to MediaPipe; each landmark is traced
back to the surface point under it. The median over many such people, snapped to the surface of the
right part, is the embedding. Run `python -m flexavatar.capture.embed` after the head changes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from flexavatar.capture import topology
from flexavatar.capture.landmarks import detect_faces
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import Binding, vertex_normals
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.render.camera import orbit
from flexavatar.render.mesh import MeshView, render_mesh
from flexavatar.types import Camera

ASSET = Path(__file__).parents[1] / "assets/head/landmarks.npz"
SIDE = 512
PEOPLE = 60
MILD = ("mouthSmileLeft", "mouthSmileRight", "jawOpen", "mouthFunnel", "browInnerUp")

SKIN, LIP, HAIR, BROW, WHITE, IRIS, DARK = (
    (0.80, 0.60, 0.51), (0.70, 0.36, 0.34), (0.22, 0.15, 0.11), (0.30, 0.21, 0.16),
    (0.93, 0.92, 0.90), (0.25, 0.17, 0.12), (0.20, 0.07, 0.07),
)  # fmt: skip


@dataclass(frozen=True)
class _Sighting:
    """One painted person that MediaPipe found."""

    points: NDArray[np.float32]  # [478, 2] pixels
    view: MeshView


def paint(head: FlameHead) -> Tensor:
    """A plain face in vertex colours: [V, 3]."""
    colors = torch.tensor(SKIN).expand(len(head.template), 3).clone()
    for name, color in (("lips", LIP), ("scalp", HAIR), ("cavity", DARK), ("teeth", WHITE)):
        colors = torch.lerp(colors, torch.tensor(color), head.masks[name][:, None])
    colors = torch.lerp(colors, torch.tensor(LIP), head.masks["tongue"][:, None])
    joints = head.joints(head.template)
    colors = torch.lerp(colors, torch.tensor(BROW), _brow_mask(head, joints)[:, None])
    for name, joint in (("leye", 3), ("reye", 4)):
        arm = head.template - joints[joint]
        front = (arm[:, :2].norm(dim=-1) < topology.IRIS_RADIUS) & (arm[:, 2] > 0)
        eye = torch.where(front[:, None], torch.tensor(IRIS), torch.tensor(WHITE))
        colors = torch.where(head.masks[name][:, None] > 0.5, eye, colors)
    return colors


def _brow_mask(head: FlameHead, joints: Tensor) -> Tensor:
    """An arc above each eye, on skin: [V] 0..1."""
    mask = torch.zeros(len(head.template))
    skin = 1 - torch.stack([head.masks["eyes"], head.masks["lids"]]).amax(0)
    for joint, side in ((3, 1.0), (4, -1.0)):
        arm = head.template - joints[joint]
        outward = side * arm[:, 0]
        height = 0.0205 - 9.0 * (outward - 0.004) ** 2
        band = 1 - (((arm[:, 1] - height) / 0.004) ** 4).clamp(max=1)
        along = (outward > -0.017) & (outward < 0.027) & (arm[:, 2] > 0) & (skin > 0.5)
        mask = torch.maximum(mask, band * along)
    return mask


def shade(head: FlameHead, vertices: Tensor, colors: Tensor, view: MeshView) -> NDArray[np.uint8]:
    """A lit picture of vertex colours: [H, W, 3] on grey."""
    normals = vertex_normals(vertices, head.faces)
    light = torch.nn.functional.normalize(torch.tensor([0.3, 0.5, 0.8]), dim=0)
    lit = colors * (0.55 + 0.5 * (normals @ light).clamp_min(0))[:, None]
    ids = view.face_ids.clamp_min(0)
    picture = (lit[head.faces[ids]] * view.bary[..., None]).sum(-2)
    picture = torch.where(view.face_ids[..., None] >= 0, picture, torch.full((3,), 0.6))
    return (picture.clamp(0, 1) * 255).byte().numpy()


def apart(head: FlameHead) -> Tensor:
    """The head with parted lips, [V, 3]: there upper and lower lip cannot be confused."""
    return head.pose(
        head.template, arkit_to_flame({"jawOpen": 0.5}, load_arkit_basis(head))
    ).vertices


def default_camera(side: int = SIDE) -> Camera:
    """Looks at the face from the front, 70 cm away."""
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 0.7
    focal = 2.0 * side
    half = side / 2
    K = torch.tensor([[focal, 0, half], [0, focal, half], [0, 0, 1.0]])
    return Camera(viewmat, K, side, side)


def _sight(head: FlameHead, colors: Tensor, generator: torch.Generator) -> _Sighting | None:
    """Draw one random person and detect."""
    betas = 0.7 * torch.randn(head.identity.shape[2], generator=generator)
    weights = {n: float(torch.rand(1, generator=generator)) * 0.5 for n in MILD}
    codes = arkit_to_flame(weights, load_arkit_basis(head))
    vertices = head.pose(head.neutral(betas), codes).vertices
    yaw, pitch = ((torch.rand(2, generator=generator) - 0.5) * 30).tolist()
    camera = orbit(default_camera(), yaw, pitch / 2)
    view = render_mesh(vertices, head.faces, camera)
    picture = cv2.GaussianBlur(shade(head, vertices, colors, view), (0, 0), 0.7)
    found = detect_faces(np.asarray(picture, np.uint8))
    return _Sighting(found[0].points[:, :2], view) if found else None


def embed(head: FlameHead, people: int = PEOPLE) -> Binding:
    """Surface point of each landmark: Binding of 478."""
    generator = torch.Generator().manual_seed(0)
    colors = paint(head)
    reference = apart(head)
    traces = [
        _trace(head, reference, sighting)
        for _ in range(people)
        if (sighting := _sight(head, colors, generator)) is not None
    ]
    middle = np.median(np.stack(traces), 0)  # [478, 3]
    return _snap(head, reference, _symmetric(middle))


def part_masks(head: FlameHead) -> tuple[Tensor, Tensor]:
    """Faces that may carry skin landmarks and those that may carry iris landmarks: [F] each."""
    inner = (
        torch.stack([head.masks[n] for n in ("eyes", "teeth", "tongue", "cavity")]).amax(0) > 0.5
    )
    eyes = head.masks["eyes"] > 0.5
    return ~inner[head.faces].any(1), eyes[head.faces].all(1)


def _trace(head: FlameHead, reference: Tensor, sighting: _Sighting) -> NDArray[np.float64]:
    """Place on the reference of the nearest visible point of the fitting part: [478, 3]."""
    skin, eyes = part_masks(head)
    ids, bary = sighting.view.face_ids, sighting.view.bary
    traced = np.empty((topology.COUNT, 3))
    for indices, allowed in ((range(468), skin), (range(468, topology.COUNT), eyes)):
        ys, xs = torch.nonzero(allowed[ids.clamp_min(0)] & (ids >= 0), as_tuple=True)
        centres = torch.stack((xs, ys), 1).numpy() + 0.5
        _, near = cKDTree(centres).query(sighting.points[list(indices)])
        y, x = ys[near], xs[near]
        corners = reference[head.faces[ids[y, x]]]
        traced[list(indices)] = (corners * bary[y, x][..., None]).sum(1).numpy()
    return traced


def mirrored_landmarks() -> NDArray[np.int64]:
    """Index of each landmark's partner on the other side, from the painted face's own symmetry."""
    head = load_open_head()
    view = render_mesh(head.template, head.faces, default_camera())
    found = detect_faces(shade(head, head.template, paint(head), view))[0].points[:, :2]
    middle = found[list(topology.LEFT_BROW + topology.RIGHT_BROW), 0].mean()
    flipped = found * np.array([-1, 1]) + np.array([2 * middle, 0])
    index = cKDTree(found[:468]).query(flipped[:468])[1]
    iris = np.array([473, 476, 475, 474, 477, 468, 471, 470, 469, 472])
    return np.concatenate((index, iris)).astype(np.int64)


def _symmetric(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average with the mirror image wherever landmark partners are mutual."""
    partner = mirrored_landmarks()
    mutual = partner[partner] == np.arange(len(partner))
    other = points[partner] * np.array([-1, 1, 1])
    averaged = 0.5 * (points + other)
    return np.where(mutual[:, None], averaged, points)


def _snap(head: FlameHead, reference: Tensor, points: NDArray[np.float64]) -> Binding:
    """Nearest point of the fitting part of the surface."""
    skin, eyes = part_masks(head)
    iris = list(topology.LEFT_IRIS + topology.RIGHT_IRIS)
    vertex_ids = torch.zeros(topology.COUNT, 3, dtype=torch.long)
    bary = torch.zeros(topology.COUNT, 3)
    groups = [(list(range(468)), skin), (iris, eyes)]
    for indices, allowed in groups:
        faces = head.faces[allowed]
        samples, weights = _dense_samples(reference[faces])
        _, nearest = cKDTree(samples).query(points[indices])
        vertex_ids[indices] = faces[torch.from_numpy(nearest // len(weights))]
        bary[indices] = weights[torch.from_numpy(nearest % len(weights))]
    return Binding(vertex_ids, bary)


def _dense_samples(corners: Tensor, steps: int = 6) -> tuple[NDArray[np.float32], Tensor]:
    """A grid of points on each triangle [F, 3, 3]: [F * S, 3] and its barycentrics [S, 3]."""
    grid = [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]
    weights = torch.tensor(grid, dtype=torch.float32) / steps
    return (weights @ corners).reshape(-1, 3).numpy(), weights


def load_embedding(path: Path = ASSET) -> Binding:
    """The baked embedding."""
    with np.load(path, allow_pickle=False) as data:
        return Binding(torch.from_numpy(data["vertex_ids"]).long(), torch.from_numpy(data["bary"]))


if __name__ == "__main__":
    binding = embed(load_open_head())
    ids = binding.vertex_ids.numpy().astype(np.int32)
    np.savez_compressed(ASSET, vertex_ids=ids, bary=binding.bary.numpy())
    sys.stdout.write(f"{ASSET}: {len(binding)} landmarks\n")
