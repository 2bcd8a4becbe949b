"""Per-vertex masks of the open head."""

from __future__ import annotations

import numpy as np

from flexavatar.head.bake.body import EAR, Body
from flexavatar.head.bake.mesh import HeadMesh
from flexavatar.head.bake.rig import smoother
from flexavatar.head.bake.source import Source


def build_masks(source: Source, body: Body) -> dict[str, np.ndarray]:
    """Smooth, mirror-symmetric masks in 0..1: name -> [V]."""
    mesh, points = body.mesh, body.points
    skin = mesh.part("skin")
    masks = {name: mesh.part(name).astype(float) for name in ("leye", "reye", "tongue", "cavity")}
    masks["eyes"] = mesh.part("leye", "reye").astype(float)
    masks["teeth"] = mesh.part("upper_teeth", "lower_teeth").astype(float)
    masks["ears"] = _ears(source, mesh) * skin
    skull = body.weights[:, 1:3].sum(1)
    masks["shoulders"] = smooth_step(skull, 0.15, 0.0) * skin
    front = smooth_step(points[:, 2], 0.035, 0.06) * smooth_step(points[:, 1], 0.085, 0.07)
    above_chin = smooth_step(points[:, 1], -0.09, -0.075) * smooth_step(points[:, 2], 0.03, 0.06)
    masks["face"] = front * above_chin * skin
    masks["neck"] = smooth_step(points[:, 1], -0.05, -0.075) * (1 - masks["face"]) * skin
    masks["neck"] *= 1 - masks["shoulders"]
    rest = 1 - np.maximum.reduce([masks[n] for n in ("ears", "face", "neck", "shoulders")])
    masks["scalp"] = np.clip(rest, 0, 1) * skin
    masks |= _features(body)
    return {
        name: (mask + mask[mesh.mirror]) / 2 if name not in ("leye", "reye") else mask
        for name, mask in masks.items()
    }


def smooth_step(x: np.ndarray, zero: float, one: float) -> np.ndarray:
    """0 at `zero`, 1 at `one`, smooth between."""
    t = np.clip((x - zero) / (one - zero), 0, 1)
    return t * t * (3 - 2 * t)


def _ears(source: Source, mesh: HeadMesh) -> np.ndarray:
    moved = np.linalg.norm(mesh.sample(source.target(EAR)), axis=1)
    return smooth_step(np.maximum(moved, moved[mesh.mirror]) / moved.max(), 0.1, 0.35)


def _features(body: Body) -> dict[str, np.ndarray]:
    """Lips, lids and the region of mouth movement."""
    mesh, points = body.mesh, body.points
    skin = mesh.part("skin")
    lips = [ring for name, ring in mesh.rings.items() if "lip" in name and "cavity" not in name]
    lids = [ring for name, ring in mesh.rings.items() if "lid" in name]
    lip_distance = _distance(points, np.concatenate(lips))
    lid_distance = _distance(points, np.concatenate(lids))
    step = smoother(mesh)
    features = {
        "lips": smooth_step(lip_distance, 0.011, 0.005) * skin,
        "mouth": smooth_step(lip_distance, 0.034, 0.018) * skin,
        "lids": smooth_step(lid_distance, 0.014, 0.007) * skin,
    }
    return {name: step @ mask for name, mask in features.items()}


def _distance(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[ring], axis=2).min(1)
