"""The 52 ARKit blend shapes in front of a FLAME-form rig.

Names and meaning: Apple, ARFaceAnchor.BlendShapeLocation. Jaw, gaze and lids are analytic; the
rest is a linear map into the rig's expression basis plus corrective fields for what that basis
cannot reach and for pairs of shapes that do not simply add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.errors import DriveError
from flexavatar.types import FlameCodes, check_shape

_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
_SIDED = ("Smile", "Frown", "Dimple", "Stretch")
_SIDED_LATE = ("Press", "LowerDown", "UpperUp")
SIDES = ("Left", "Right")

ARKIT_NAMES: tuple[str, ...] = (
    *(f"eye{shape}{side}" for side in SIDES for shape in _EYE),
    *(f"jaw{shape}" for shape in ("Forward", "Left", "Right", "Open")),
    *(f"mouth{shape}" for shape in ("Close", "Funnel", "Pucker", "Left", "Right")),
    *(f"mouth{shape}{side}" for shape in _SIDED for side in SIDES),
    *(f"mouth{shape}" for shape in ("RollLower", "RollUpper", "ShrugLower", "ShrugUpper")),
    *(f"mouth{shape}{side}" for shape in _SIDED_LATE for side in SIDES),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight"),
    "tongueOut",
)
"""Apple's order, as on the wire of Live Link Face. Map by name, never by place."""

ARKIT_INDEX = {name: i for i, name in enumerate(ARKIT_NAMES)}
MOUTH_CLOSE, JAW_OPEN = ARKIT_INDEX["mouthClose"], ARKIT_INDEX["jawOpen"]
WEIGHT_TOLERANCE = 1e-3
"""Weights this far outside 0..1 are rounding, and are clamped."""

JAW_YAW = 0.033
"""Radians at jawLeft 1."""
GAZE_PITCH = 0.35
GAZE_YAW = 0.5
"""Radians at eyeLook* 1."""
EYELID_SHARES = {"Blink": 1.0, "LookDown": 0.3, "Wide": -0.3}
"""Share of a full blink in these eye shapes."""
EYELID_RANGE = (-0.3, 1.0)


def mirrored_name(name: str) -> str:
    """The shape on the other side of the face; the same name if there is none."""
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


@dataclass(frozen=True)
class ArkitBasis:
    """Linear maps from the 52 weights; codes are `weights @ map`."""

    expression: Tensor  # [52, 100]
    jaw_pose: Tensor  # [52, 3]
    leye_pose: Tensor  # [52, 3]
    reye_pose: Tensor  # [52, 3]
    eyelids: Tensor  # [52, 2]
    factors: Tensor  # [C, 2] int64 places of the two weights multiplied; 52 stands for 1


def analytic_basis(jaw_pitch: float) -> ArkitBasis:
    """Jaw, gaze and lids alone: no expression, no correctives."""
    maps = {"jaw_pose": torch.zeros(52, 3), "leye_pose": torch.zeros(52, 3)}
    maps |= {"reye_pose": torch.zeros(52, 3), "eyelids": torch.zeros(52, 2)}
    row = ARKIT_INDEX
    maps["jaw_pose"][row["jawOpen"], 0] = jaw_pitch
    maps["jaw_pose"][row["jawLeft"], 1] = JAW_YAW
    maps["jaw_pose"][row["jawRight"], 1] = -JAW_YAW
    for eye, (side, outward) in enumerate(zip(SIDES, (1, -1), strict=True)):
        gaze = maps["leye_pose" if side == "Left" else "reye_pose"]
        gaze[row[f"eyeLookDown{side}"], 0] = GAZE_PITCH
        gaze[row[f"eyeLookUp{side}"], 0] = -GAZE_PITCH
        gaze[row[f"eyeLookOut{side}"], 1] = outward * GAZE_YAW
        gaze[row[f"eyeLookIn{side}"], 1] = -outward * GAZE_YAW
        for shape, share in EYELID_SHARES.items():
            maps["eyelids"][row[f"eye{shape}{side}"], eye] = share
    return ArkitBasis(torch.zeros(52, 100), **maps, factors=torch.zeros(0, 2, dtype=torch.int64))


def shape_weights() -> Tensor:
    """Each shape alone at weight 1, `mouthClose` on its open jaw: [52, 52], a row each."""
    weights = torch.eye(len(ARKIT_NAMES))
    weights[MOUTH_CLOSE, JAW_OPEN] = 1
    return weights


def arkit_vector(weights: Mapping[str, float]) -> NDArray[np.float32]:
    """Named weights in Apple's order: [52], 0..1. Raises DriveError on a bad name or value."""
    if unknown := weights.keys() - ARKIT_INDEX.keys():
        raise DriveError(f"not ARKit names: {sorted(unknown)}")
    return clamped_weights(np.array([weights.get(name, 0.0) for name in ARKIT_NAMES]))


def clamped_weights(weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """Weights in Apple's order [52] without what rounding has put beyond 0..1.

    Raises DriveError for one that is further out, or not finite.
    """
    clamped = weights.clip(0, 1)
    if not (fine := np.abs(weights - clamped) <= WEIGHT_TOLERANCE).all():  # NaN is not fine
        bad = int(np.argmin(fine))
        raise DriveError(f"{ARKIT_NAMES[bad]}: expected a weight in 0..1, got {weights[bad]:g}")
    return clamped.astype(np.float32)


def arkit_to_flame(weights: Mapping[str, float], basis: ArkitBasis) -> FlameCodes:
    """One instant of a face from named ARKit weights; names that are left out are 0.

    `mouthClose` is held at or under `jawOpen`, as ARKit defines it. Head pose and position stay 0:
    the caller sets them. Raises DriveError for names that are not ARKit's, for values that are not
    finite or outside 0..1.
    """
    return arkit_vector_to_flame(torch.from_numpy(arkit_vector(weights)), basis)


def arkit_vector_to_flame(weights: Tensor, basis: ArkitBasis) -> FlameCodes:
    """The same for a vector in Apple's order: [..., 52]. Differentiable, values are not checked."""
    check_shape("weights", weights, *weights.shape[:-1], 52)
    held = torch.minimum(weights[..., MOUTH_CLOSE], weights[..., JAW_OPEN])[..., None]
    weights = torch.cat((weights[..., :MOUTH_CLOSE], held, weights[..., MOUTH_CLOSE + 1 :]), -1)
    padded = torch.cat((weights, torch.ones_like(held)), -1)
    still = torch.zeros(*weights.shape[:-1], 3).to(weights)
    return FlameCodes(
        expression=weights @ basis.expression,
        jaw_pose=weights @ basis.jaw_pose,
        leye_pose=weights @ basis.leye_pose,
        reye_pose=weights @ basis.reye_pose,
        neck_pose=still,
        global_orient=still,
        transl=still,
        eyelids=(weights @ basis.eyelids).clamp(*EYELID_RANGE),
        correctives=padded[..., basis.factors[:, 0]] * padded[..., basis.factors[:, 1]],
    )
