"""Per-vertex masks of the open head."""

from __future__ import annotations

import numpy as np

from flexavatar.easing import smoothstep
from flexavatar.head.bake.body import Body
from flexavatar.head.bake.mesh import HeadMesh
from flexavatar.head.bake.source import Source
from flexavatar.head.mesh_operators import smoothing_step

EAR_SHIFT = "mpfb2/targets/ears/l-ear-trans-backward.target.gz"
JAW_LINE = ((-0.03, 0.0, 0.11), (0.058, 0.052, 0.112))
"""How far below the origin the border of face and neck lies, by depth z, metres."""


def build_masks(source: Source, body: Body) -> dict[str, np.ndarray]:
    """Smooth, mirror-symmetric masks in 0..1: name -> [V]."""
    mesh = body.mesh
    masks = {name: mesh.part(name).astype(float) for name in ("leye", "reye", "tongue", "cavity")}
    masks["eyes"] = mesh.part("leye", "reye").astype(float)
    masks["teeth"] = mesh.part("upper_teeth", "lower_teeth").astype(float)
    masks |= _regions(source, body)
    masks |= _features(body)
    return {
        name: (mask + mask[mesh.mirror]) / 2 if name not in ("leye", "reye") else mask
        for name, mask in masks.items()
    }


def _regions(source: Source, body: Body) -> dict[str, np.ndarray]:
    """A partition of the skin: ears, shoulders, neck, face, scalp."""
    _, y, z = body.points.T
    skin = body.mesh.part("skin").astype(float)
    side = np.rad2deg(np.arctan2(np.abs(body.points[:, 0]), z))
    below_jaw = smoothstep(y + np.interp(z, *JAW_LINE), 0.004, -0.008)
    front = smoothstep(side, 80, 68) * smoothstep(y, 0.1, 0.082)
    ears = _ears(source, body.mesh) * skin
    shoulders = smoothstep(body.weights[:, 1:3].sum(1), 0.2, 0.0) * (1 - ears) * skin
    neck = below_jaw * (1 - ears - shoulders) * skin
    face = front * (1 - ears - shoulders - neck) * skin
    scalp = np.clip(skin - ears - shoulders - neck - face, 0, 1)
    return {"ears": ears, "shoulders": shoulders, "neck": neck, "face": face, "scalp": scalp}


def _ears(source: Source, mesh: HeadMesh) -> np.ndarray:
    moved = np.linalg.norm(mesh.sample(source.target(EAR_SHIFT)), axis=1)
    return smoothstep(np.maximum(moved, moved[mesh.mirror]) / moved.max(), 0.35, 0.7)


def _features(body: Body) -> dict[str, np.ndarray]:
    """Lips, lids and the region of mouth movement."""
    mesh, points = body.mesh, body.points
    skin = mesh.part("skin")
    lips = [ring for name, ring in mesh.rings.items() if "lip" in name and "cavity" not in name]
    lids = [ring for name, ring in mesh.rings.items() if "lid" in name]
    lip_distance = _distance(points, np.concatenate(lips))
    lid_distance = _distance(points, np.concatenate(lids))
    step = smoothing_step(mesh.faces, len(mesh.mirror))
    features = {
        "lips": smoothstep(lip_distance, 0.011, 0.005) * skin,
        "mouth": smoothstep(lip_distance, 0.034, 0.018) * skin,
        "lids": smoothstep(lid_distance, 0.014, 0.007) * skin,
    }
    return {name: step @ mask for name, mask in features.items()}


def _distance(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[ring], axis=2).min(1)
