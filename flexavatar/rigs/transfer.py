"""Carries displacement fields and masks from the open head to another rig."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from flexavatar.head.arkit import ARKIT_INDEX
from flexavatar.head.eyelids import lid_arcs
from flexavatar.head.flame import FlameHead
from flexavatar.head.mesh_operators import LaplacianFill, neighbour_mean
from flexavatar.rigs.correspondence import Correspondence


def transfer_fields(found: Correspondence, displacements: np.ndarray) -> np.ndarray:
    """Displacement fields of the open head on the other rig: [S, Va, 3] -> [S, Vb, 3] metres.

    Where the other rig has no counterpart (deep in the mouth) a field is continued smoothly.
    """
    matrix = found.matrix_a()
    fill = LaplacianFill(found.faces_b, found.trust_a)
    return np.stack([fill(found.align.apply_to_vectors(matrix @ field)) for field in displacements])


def transfer_mask(found: Correspondence, mask: np.ndarray) -> np.ndarray:
    """A vertex mask of the open head on the other rig: [Va] -> [Vb]."""
    return (found.matrix_a() @ mask).clip(0, 1)


def transfer_lids(found: Correspondence, a: FlameHead, b: FlameHead) -> np.ndarray:
    """Eyelids of the open head on b, travelling as far as b's own eyes are open: [Vb, 3, 2]."""
    carried = transfer_fields(found, np.moveaxis(a.eyelids.double().numpy(), -1, 0))
    there = found.matrix_b()
    open_by = found.lids.gaps(there @ b.template.double().numpy())
    for eye in range(2):
        missing = -open_by - found.lids.gaps(there @ carried[eye])
        missing[found.lids.eye != eye] = 0
        carried[eye] += found.matrix_a() @ found.lids.closure(missing)
    return np.moveaxis(carried, 0, -1)


def complete_rig(a: FlameHead, b: FlameHead, found: Correspondence) -> FlameHead:
    """b with the masks, rings, lids and shapes of the open head a that it has none of."""
    masks = {n: _floats(transfer_mask(found, m.double().numpy())) for n, m in a.masks.items()}
    masks |= _own_masks(b)
    rings, weights = _nearest_rings(a, b, found), _with_neck(a, b, found)
    b = replace(b, masks=masks, rings=rings, lbs_weights=weights)
    if not b.eyelids.any():
        b = replace(b, eyelids=_floats(transfer_lids(found, a, b)))
        b = replace(b, lid_arcs=lid_arcs(b))
    return _with_arkit(a, b, found)


def _own_masks(b: FlameHead) -> dict[str, Tensor]:
    """Eyeballs are known by their joints."""
    leye, reye = (b.lbs_weights[:, j].gt(0.5).float() for j in (3, 4))
    return {"leye": leye, "reye": reye, "eyes": leye + reye}


def _nearest_rings(a: FlameHead, b: FlameHead, found: Correspondence) -> dict[str, Tensor]:
    """The nearest vertex of b for every vertex of a's rings, each once."""
    corner = found.on_b.bary.argmax(1)
    nearest = found.faces_b[found.on_b.face_ids, corner]
    rings = {}
    for name, ring in a.rings.items():
        ids = nearest[ring.numpy()]
        _, first = np.unique(ids, return_index=True)
        rings[name] = torch.from_numpy(ids[np.sort(first)])
    return rings


def _with_neck(a: FlameHead, b: FlameHead, found: Correspondence) -> Tensor:
    """b's skinning; if nothing of b stays with the shoulders, their share comes from a: [Vb, 5]."""
    if b.lbs_weights[:, 0].any():
        return b.lbs_weights
    torso = transfer_mask(found, a.lbs_weights[:, 0].double().numpy())
    share = _floats(neighbour_mean(torso, b.faces.numpy(), steps=5))
    still = share * b.lbs_weights[:, 1]  # the jaw's part stays: the shapes were measured with it
    columns = torch.tensor([1.0, -1.0, 0.0, 0.0, 0.0])
    return b.lbs_weights + still[:, None] * columns


def _with_arkit(a: FlameHead, b: FlameHead, found: Correspondence) -> FlameHead:
    """ARKit offsets and pair correctives from a; b's own offsets are kept where it has them."""
    carried = _floats(transfer_fields(found, a.arkit_offsets.double().numpy()))
    eyeballs = b.masks["eyes"] > 0.5
    carried[:, eyeballs] = 0
    if len(b.arkit_offsets):
        tongue = ARKIT_INDEX["tongueOut"]
        own = b.arkit_offsets.clone()
        own[tongue] = carried[tongue]
        return replace(b, arkit_offsets=own)
    correctives = np.moveaxis(a.correctives.double().numpy(), -1, 0)
    pairs = (
        transfer_fields(found, correctives)
        if len(correctives)
        else np.zeros((0, *b.template.shape))
    )
    stacked = np.moveaxis(pairs, 0, -1)
    return replace(
        b,
        arkit_offsets=carried,
        correctives=_floats(stacked),
        corrective_factors=a.corrective_factors,
    )


def _floats(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
