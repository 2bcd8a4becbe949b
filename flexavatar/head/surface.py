"""Similarity transforms of point sets, and closest points on triangle meshes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from flexavatar.head.mesh_operators import vertex_normals
from flexavatar.types import Camera

CANDIDATES = 12
"""Faces looked at per point: the nearest by centre and features."""


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + shift."""

    scale: float
    rotation: np.ndarray  # [3, 3]
    shift: np.ndarray  # [3]

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points: [..., 3] -> [..., 3]."""
        return self.scale * points @ self.rotation.T + self.shift

    def apply_to_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """Displacements, which do not shift: [..., 3] -> [..., 3]."""
        return self.scale * vectors @ self.rotation.T

    @property
    def inverse(self) -> Similarity:
        """The inverse transform."""
        back = self.rotation.T / self.scale
        return Similarity(1 / self.scale, self.rotation.T, -back @ self.shift)


def fit_similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None, rigid: bool = False
) -> Similarity:
    """Weighted least squares of two point sets, Umeyama (PAMI 1991): [N, 3], [N, 3], [N]."""
    share = np.full(len(source), 1.0) if weights is None else weights
    share = (share / share.sum())[:, None]
    a, b = (source * share).sum(0), (target * share).sum(0)
    u, s, vt = np.linalg.svd((share * (target - b)).T @ (source - a))
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    variance = (share * (source - a) ** 2).sum()
    scale = 1.0 if rigid else float((s * sign).sum() / max(variance, 1e-20))
    return Similarity(scale, rotation, b - scale * rotation @ a)


def camera_in_source_space(place: Similarity, camera: Camera) -> Camera:
    """The same view of the space that `place` maps into the camera's, whatever its unit."""
    view = camera.viewmat.double().numpy()
    moved = np.eye(4)
    moved[:3, :3] = view[:3, :3] @ place.rotation
    moved[:3, 3] = (view[:3, :3] @ place.shift + view[:3, 3]) / place.scale
    return replace(camera, viewmat=torch.from_numpy(moved).float())


@dataclass(frozen=True)
class SurfacePoints:
    """Points on a triangle mesh, and the height above it of what they are the closest point to."""

    face_ids: np.ndarray  # [N] int64
    bary: np.ndarray  # [N, 3] sums to 1
    offsets: np.ndarray  # [N] metres along the interpolated normal, positive outside

    def matrix(self, faces: np.ndarray, count: int) -> csr_matrix:
        """Sparse matrix that interpolates a vertex field at these points: [N, V]."""
        rows = np.repeat(np.arange(len(self.face_ids)), 3)
        columns = faces[self.face_ids].ravel()
        return csr_matrix((self.bary.ravel(), (rows, columns)), shape=(len(self.face_ids), count))


@dataclass(frozen=True)
class ClosestPointQuery:
    """Closest points on some faces of a mesh.

    `features` [V, D] are further coordinates in metres: a normal times a length, or a side of the
    mouth. They count in what is near, so that a lip does not find the other lip.
    """

    vertices: np.ndarray  # [V, 3]
    faces: np.ndarray  # [F, 3]
    features: np.ndarray  # [V, D]
    allowed: np.ndarray  # [A] faces that may be found

    def nearest(self, points: np.ndarray, features: np.ndarray) -> SurfacePoints:
        """Closest points to [N, 3] that have features [N, D]."""
        corners = self.vertices[self.faces[self.allowed]]
        own = self.features[self.faces[self.allowed]].mean(1)
        tree = cKDTree(np.concatenate((corners.mean(1), own), axis=1))
        count = min(CANDIDATES, len(self.allowed))
        found = tree.query(np.concatenate((points, features), axis=1), k=count)[1]
        found = found.reshape(len(points), count)
        bary = closest_bary(points[:, None], corners[found])  # [N, K, 3]
        foot = (bary[..., None] * corners[found]).sum(2)
        there = (bary[..., None] * self.features[self.faces[self.allowed[found]]]).sum(2)
        cost = ((foot - points[:, None]) ** 2).sum(-1) + ((there - features[:, None]) ** 2).sum(-1)
        best = cost.argmin(1)
        rows = np.arange(len(points))
        face_ids = self.allowed[found[rows, best]]
        return self._surface_points(points, face_ids, bary[rows, best])

    def _surface_points(
        self, points: np.ndarray, face_ids: np.ndarray, bary: np.ndarray
    ) -> SurfacePoints:
        normals = vertex_normals(self.vertices, self.faces)
        ids = self.faces[face_ids]
        foot = (self.vertices[ids] * bary[..., None]).sum(1)
        up = (normals[ids] * bary[..., None]).sum(1)
        return SurfacePoints(face_ids, bary, ((points - foot) * up).sum(1))


def closest_bary(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentrics of the closest point of each triangle: [..., 3], [..., 3, 3] -> [..., 3]."""
    a, b, c = (corners[..., i, :] for i in range(3))
    inside = _plane_bary(points, a, b, c)
    best = np.where((inside >= 0).all(-1, keepdims=True), inside, 0)
    gap = np.where((inside >= 0).all(-1), 0.0, np.inf)
    for i, (p, q) in enumerate(((a, b), (b, c), (c, a))):
        side = q - p
        t = ((points - p) * side).sum(-1) / np.maximum((side * side).sum(-1), 1e-20)
        t = t.clip(0, 1)
        distance = ((p + t[..., None] * side - points) ** 2).sum(-1)
        on_side = np.zeros_like(best)
        on_side[..., i], on_side[..., (i + 1) % 3] = 1 - t, t
        closer = distance < gap
        best = np.where(closer[..., None], on_side, best)
        gap = np.where(closer, distance, gap)
    return best


def _plane_bary(points: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Barycentrics of the foot on the triangle's plane; -1 for slivers: [..., 3]."""
    e1, e2, arm = b - a, c - a, points - a
    d11, d12, d22 = (e1 * e1).sum(-1), (e1 * e2).sum(-1), (e2 * e2).sum(-1)
    p1, p2 = (arm * e1).sum(-1), (arm * e2).sum(-1)
    det = d11 * d22 - d12 * d12
    usable = det > 1e-12 * d11 * d22
    safe = np.where(usable, det, 1)
    v, w = (d22 * p1 - d12 * p2) / safe, (d11 * p2 - d12 * p1) / safe
    return np.where(usable[..., None], np.stack((1 - v - w, v, w), -1), -1)
