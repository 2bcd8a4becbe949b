"""Expression shapes as offsets before skinning, eyelids, and correctives."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields

import numpy as np
import torch

from flexavatar.head.arkit import ARKIT_INDEX, ArkitBasis, analytic_basis, arkit_vector_to_flame
from flexavatar.head.bake.body import Body
from flexavatar.head.bake.expression import expression_mix
from flexavatar.head.flame import joint_transforms

EXPRESSION_MODES = 100


def shape_offsets(body: Body, units: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of the asset that move the face."""
    eyelids = np.moveaxis(
        body.arkit[[ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]], 0, -1
    )
    offsets = arkit_offsets(body, eyelids)
    shapes = np.concatenate((offsets, body.carry(units)))
    return {
        "shapes": shapes.astype(np.float16),
        "expression_mix": expression_mix(shapes, EXPRESSION_MODES).astype(np.float32),
        "eyelids": eyelids.astype(np.float32),
        "lid_arcs": np.zeros_like(eyelids, dtype=np.float32),
        "correctives": np.zeros((len(body.points), 3, 0), dtype=np.float32),
        "corrective_factors": np.array([], dtype="U40"),
    }


def arkit_offsets(body: Body, eyelids: np.ndarray) -> np.ndarray:
    """What is left of each shape before skinning, beside jaw, gaze and lids: [52, V, 3].

    `mouthClose` is taken with the jaw open, where alone it is used.
    """
    weights = torch.eye(52, dtype=torch.float64)
    close, jaw = ARKIT_INDEX["mouthClose"], ARKIT_INDEX["jawOpen"]
    weights[close, jaw] = 1
    codes = arkit_vector_to_flame(weights, _double(analytic_basis(body.hinge.angle)))
    transforms = joint_transforms(torch.from_numpy(body.joints).expand(52, -1, -1), codes)
    blended = np.einsum("vj,sjab->svab", body.weights, transforms.numpy()[:, :, :3])
    targets = body.points + np.einsum("st,tvi->svi", weights.numpy(), body.arkit)
    arms = targets - blended[..., 3]
    still = np.linalg.solve(blended[..., :3], arms[..., None])[..., 0]
    offsets = still - body.points - np.einsum("vis,ts->tvi", eyelids, codes.eyelids.numpy())
    offsets[close] -= offsets[jaw]
    offsets[:, body.mesh.part("leye", "reye")] = 0
    return offsets


def _double(basis: ArkitBasis) -> ArkitBasis:
    maps = {f.name: getattr(basis, f.name) for f in dataclass_fields(basis)}
    return ArkitBasis(**{k: m.double() if m.is_floating_point() else m for k, m in maps.items()})
