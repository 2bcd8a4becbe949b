"""Rigs of other people on their way in: checks, and a head without our own additions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flexavatar.errors import AssetError
from flexavatar.head.flame import FlameHead
from flexavatar.head.mesh_operators import mirror_map
from flexavatar.rigs.chart import Chart
from flexavatar.types import EXPRESSION_SIZE

HEIGHT_LIMITS = (0.1, 1.0)
"""Height in metres of anything that may be a head with or without shoulders."""
MIRROR_TOLERANCE = 1e-5
"""Metres between a vertex and its mirror image, for a rig to count as symmetric."""


@dataclass(frozen=True)
class ForeignRig:
    """A rig in our frame and units, before masks, lids and ARKit shapes are added."""

    template: np.ndarray  # [V, 3]
    identity: np.ndarray  # [V, 3, B]
    expression: np.ndarray  # [V, 3, E] E <= 100
    pose_correctives: np.ndarray  # [V, 3, 36]
    joint_regressor: np.ndarray  # [5, V]
    lbs_weights: np.ndarray  # [V, 5]
    faces: np.ndarray  # [F, 3]
    chart: Chart
    jaw_pitch: float  # radians at jawOpen 1


def bare_head(rig: ForeignRig) -> FlameHead:
    """The rig as a `FlameHead` that has no lids, masks, rings, correctives or ARKit shapes yet."""
    count = len(rig.template)
    pad = EXPRESSION_SIZE - rig.expression.shape[-1]
    return FlameHead(
        template=_floats(rig.template),
        identity=_floats(rig.identity),
        expression=torch.nn.functional.pad(_floats(rig.expression), (0, pad)),
        eyelids=torch.zeros(count, 3, 2),
        lid_arcs=torch.zeros(count, 3, 2),
        correctives=torch.zeros(count, 3, 0),
        pose_correctives=_floats(rig.pose_correctives),
        joint_regressor=_floats(rig.joint_regressor),
        lbs_weights=_floats(rig.lbs_weights),
        faces=_integers(rig.faces),
        uvs=_floats(rig.chart.uvs),
        uv_faces=_integers(rig.chart.faces),
        masks={},
        rings={},
        mirror=_integers(mirror_map(rig.template, MIRROR_TOLERANCE)),
        corrective_factors=(),
        arkit_offsets=torch.zeros(0, count, 3),
        jaw_pitch=rig.jaw_pitch,
    )


def check_array(name: str, array: np.ndarray, *shape: int | None) -> None:
    """Raise AssetError unless the array is finite and has this shape; None matches any size."""
    same = array.ndim == len(shape)
    if not same or any(s not in (None, n) for s, n in zip(shape, array.shape, strict=True)):
        wanted = "x".join("?" if s is None else str(s) for s in shape)
        raise AssetError(f"{name}: expected {wanted}, got {'x'.join(map(str, array.shape))}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise AssetError(f"{name}: expected finite numbers, got NaN or infinity")


def check_indices(name: str, faces: np.ndarray, count: int) -> None:
    """Raise AssetError unless all indices are in 0..count-1."""
    if faces.dtype.kind not in "iu" or not len(faces) or faces.min() < 0 or faces.max() >= count:
        raise AssetError(f"{name}: expected indices 0..{count - 1}, got others")


def check_height(template: np.ndarray) -> None:
    """Raise AssetError unless the template is as tall as a head in metres, y up."""
    low, high = HEIGHT_LIMITS
    if not low <= (height := float(np.ptp(template[:, 1]))) <= high:
        raise AssetError(
            f"template: expected a head {low}..{high} m tall along y, got {height:.3g} m"
        )


def _floats(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _integers(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
