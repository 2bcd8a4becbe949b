"""The linear map from the 52 ARKit weights into a rig's expression basis, and what it aims at."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from flexavatar.errors import AssetError
from flexavatar.head.arkit import (
    ARKIT_INDEX,
    ARKIT_NAMES,
    JAW_OPEN,
    MOUTH_CLOSE,
    ArkitBasis,
    analytic_basis,
    arkit_vector_to_flame,
    mirrored_name,
    shape_weights,
)
from flexavatar.head.flame import FlameHead, joint_transforms, skin
from flexavatar.types import FlameCodes

RIDGE = 1e-7
"""Square metres, summed over vertices, that one standard deviation of expression may cost."""
MAX_COEFFICIENT = 6.0
"""No expression coefficient goes beyond this many standard deviations at weight 1."""


@lru_cache(maxsize=4)
def load_arkit_basis(head: FlameHead) -> ArkitBasis:
    """The map for this rig. AssetError if the rig has no ARKit shapes."""
    if len(head.arkit_offsets) != len(ARKIT_NAMES):
        raise AssetError("this rig has no ARKit shapes: transfer them from the open head first")
    analytic = analytic_basis(head.jaw_pitch)
    factors = [[ARKIT_INDEX[n] for n in names] + [52] for names in head.corrective_factors]
    table = torch.tensor([f[:2] for f in factors], dtype=torch.int64).reshape(-1, 2)
    return replace(analytic, expression=fit_expression(head), factors=table)


def fit_expression(head: FlameHead) -> Tensor:
    """Ridge least squares of every shape's offsets in the expression basis: [52, 100]."""
    basis = head.expression.flatten(0, 1)  # [3 V, 100]
    own = _single_correctives(head)
    wanted = (head.arkit_offsets - own).flatten(1)  # [52, 3 V]
    gram = basis.T @ basis + RIDGE * torch.eye(basis.shape[1])
    codes = torch.linalg.solve(gram.double(), (basis.T @ wanted.T).double()).T.float()
    return _symmetrize(codes, head, gram).clamp(-MAX_COEFFICIENT, MAX_COEFFICIENT)


def _single_correctives(head: FlameHead) -> Tensor:
    """The corrective fields that belong to one shape alone: [52, V, 3]."""
    own = torch.zeros_like(head.arkit_offsets)
    for column, names in enumerate(head.corrective_factors):
        if len(names) == 1:
            own[ARKIT_INDEX[names[0]]] = head.correctives[..., column]
    return own


def _symmetrize(codes: Tensor, head: FlameHead, gram: Tensor) -> Tensor:
    """Make the codes of left and right shapes mirror images: [52, 100]."""
    if not len(head.mirror):
        return codes
    flipped = head.expression[head.mirror] * torch.tensor([-1.0, 1.0, 1.0])[:, None]
    cross = head.expression.flatten(0, 1).T @ flipped.flatten(0, 1)
    flip = torch.linalg.solve(gram.double(), cross.double()).float()  # code -> code of the mirror
    partner = codes[[ARKIT_INDEX[mirrored_name(n)] for n in ARKIT_NAMES]]
    return (codes + partner @ flip.T) / 2


def _analytic_codes(head: FlameHead) -> tuple[Tensor, FlameCodes]:
    """`shape_weights`, and the jaw, gaze and lids of each: codes of a batch of 52."""
    weights = shape_weights()
    codes = arkit_vector_to_flame(weights, analytic_basis(head.jaw_pitch))
    return weights, replace(codes, correctives=torch.zeros(52, head.correctives.shape[-1]))


def arkit_displacements(head: FlameHead) -> Tensor:
    """Displacement of the posed template by each shape at weight 1, the map's target: [52, V, 3].

    `mouthClose` is what it adds to `jawOpen`.
    """
    weights, codes = _analytic_codes(head)
    shapes = (weights @ head.arkit_offsets.flatten(1)).unflatten(1, (-1, 3))
    moved = head.template + head.offsets(codes) + shapes
    transforms = joint_transforms(head.joints(head.template).expand(52, -1, -1), codes)
    fields = skin(moved, head.lbs_weights, transforms) - head.template
    fields[MOUTH_CLOSE] -= fields[JAW_OPEN]
    return fields


def offsets_before_skinning(head: FlameHead, fields: Tensor) -> Tensor:
    """Offsets before skinning that give these displacements at weight 1: [52, V, 3] -> [52, V, 3].

    Jaw, gaze and lids do their part; the offsets are the rest. `mouthClose` is taken with the
    jaw open, where alone it is used. Eyeballs keep to their joints.
    """
    weights, codes = _analytic_codes(head)
    targets = head.template + (weights @ fields.flatten(1)).unflatten(1, (-1, 3))
    transforms = joint_transforms(head.joints(head.template).expand(52, -1, -1), codes)
    blended = (head.lbs_weights @ transforms[..., :3, :].flatten(-2)).unflatten(-1, (3, 4))
    still = torch.linalg.solve(blended[..., :3], targets - blended[..., 3])
    offsets = still - head.template - head.offsets(codes)
    offsets[MOUTH_CLOSE] -= offsets[JAW_OPEN]
    offsets[:, head.lbs_weights[:, 3:].sum(1) > 0.5] = 0
    return offsets
