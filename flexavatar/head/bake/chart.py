"""The UV chart."""

from __future__ import annotations

import numpy as np

from flexavatar.head.bake.mesh import HeadMesh


def build_chart(mesh: HeadMesh, points: np.ndarray) -> dict[str, np.ndarray]:
    """Cylinder unrolled about y."""
    u = 0.5 + np.arctan2(points[:, 0], points[:, 2]) / (2 * np.pi)
    v = (points[:, 1] - points[:, 1].min()) / np.ptp(points[:, 1])
    uvs = np.stack((u, v), axis=1).astype(np.float32)
    return {"uvs": uvs, "uv_faces": mesh.faces.astype(np.int32)}
