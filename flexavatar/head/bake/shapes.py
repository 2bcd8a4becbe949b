"""Expression shapes as offsets before skinning, eyelids, and correctives of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields as dataclass_fields

import numpy as np
import torch

from flexavatar.head.arkit import (
    ARKIT_INDEX,
    SIDES,
    ArkitBasis,
    analytic_basis,
    arkit_vector_to_flame,
)
from flexavatar.head.bake.body import EYEBALL, Body, lid_skin
from flexavatar.head.eyelids import LidMotion, close_both_eyes, push_outside_sphere
from flexavatar.head.flame import joint_transforms
from flexavatar.types import FlameCodes

EYE_SHAPES = ("LookDown", "LookUp", "LookIn", "LookOut", "Squint", "Wide")
Pair = tuple[str, str]


@dataclass(frozen=True)
class FaceMotion:
    """How the face moves, before skinning."""

    lids: tuple[LidMotion, LidMotion]
    targets: np.ndarray  # [52, V, 3] displacement of the posed head at weight 1
    offsets: np.ndarray  # [52, V, 3] what is left beside jaw, gaze and lids
    pairs: dict[Pair, np.ndarray]  # [V, 3] each, driven by the product of two weights


def face_motion(body: Body, mouth: np.ndarray) -> FaceMotion:
    """Lids, the 52 shapes and the pairs that do not simply add; `mouth` [V] is the mask."""
    eyeballs = np.stack([body.mesh.part(p) for p in ("leye", "reye")])
    lids = close_both_eyes(body.points, body.mesh.rings, body.joints[3:], eyeballs)
    targets = _clean_targets(body, lids, mouth)
    offsets = arkit_offsets(body, lids, targets)
    pairs = lid_pairs(lids, offsets) | mouth_pairs(body, lids, targets, offsets)
    return FaceMotion(lids, targets, offsets, pairs)


def _clean_targets(body: Body, lids: tuple[LidMotion, LidMotion], mouth: np.ndarray) -> np.ndarray:
    """Our own blink, eyeballs left to their joints, lids out of the eyeballs, mouth left alone."""
    targets = body.arkit.copy()
    targets[:, body.mesh.part("leye", "reye")] = 0
    for eye, side in enumerate(SIDES):
        skin = lid_skin(body.mesh, body.points, side.lower())
        for name, index in ARKIT_INDEX.items():
            if name.startswith(("eye", "cheek", "brow", "nose")):
                moved = push_outside_sphere(
                    body.points + targets[index], skin, body.joints[3 + eye], EYEBALL
                )
                targets[index] = moved - body.points
            if name.startswith("eye"):
                targets[index] *= (1 - mouth)[:, None]
        targets[ARKIT_INDEX[f"eyeBlink{side}"]] = lids[eye].closed
    return targets


def arkit_offsets(body: Body, lids: tuple[LidMotion, LidMotion], targets: np.ndarray) -> np.ndarray:
    """What is left of each shape before skinning, beside jaw, gaze and lids: [52, V, 3].

    `mouthClose` is taken with the jaw open, where alone it is used.
    """
    weights = np.eye(52)
    close, jaw = ARKIT_INDEX["mouthClose"], ARKIT_INDEX["jawOpen"]
    weights[close, jaw] = 1
    offsets = offsets_before_skinning(
        body, lids, weights, np.einsum("st,tvi->svi", weights, targets)
    )
    offsets[close] -= offsets[jaw]
    return offsets


def offsets_before_skinning(
    body: Body, lids: tuple[LidMotion, LidMotion], weights: np.ndarray, moves: np.ndarray
) -> np.ndarray:
    """Offsets that, with jaw, gaze and lids at these weights, move the posed head by `moves`.

    [S, 52], [S, V, 3] -> [S, V, 3]; eyeballs are left out.
    """
    codes = _analytic_codes(body, weights)
    transforms = joint_transforms(torch.from_numpy(body.joints).expand(len(moves), -1, -1), codes)
    blended = np.einsum("vj,sjab->svab", body.weights, transforms.numpy()[:, :, :3])
    arms = body.points + moves - blended[..., 3]
    still = np.linalg.solve(blended[..., :3], arms[..., None])[..., 0]
    offsets = still - body.points - lid_offsets(lids, codes.eyelids.numpy())
    offsets[:, body.mesh.part("leye", "reye")] = 0
    return offsets


def lid_offsets(lids: tuple[LidMotion, LidMotion], weights: np.ndarray) -> np.ndarray:
    """What the lids alone add: [S, 2] -> [S, V, 3]."""
    arcs = 4 * np.maximum(weights, 0) * (1 - weights)
    closed = np.stack([lid.closed for lid in lids])
    return np.einsum("se,evi->svi", weights, closed) + np.einsum(
        "se,evi->svi", arcs, np.stack([lid.arc for lid in lids])
    )


def _analytic_codes(body: Body, weights: np.ndarray) -> FlameCodes:
    basis = analytic_basis(body.hinge.angle)
    maps = {f.name: getattr(basis, f.name) for f in dataclass_fields(basis)}
    double = {k: m.double() if m.is_floating_point() else m for k, m in maps.items()}
    return arkit_vector_to_flame(torch.from_numpy(weights), ArkitBasis(**double))


def lid_pairs(lids: tuple[LidMotion, LidMotion], offsets: np.ndarray) -> dict[Pair, np.ndarray]:
    """A closed lid stays closed, whatever else the eye does."""
    pairs: dict[Pair, np.ndarray] = {}
    for eye, side in enumerate(SIDES):
        for shape in (*(f"eye{s}{side}" for s in EYE_SHAPES), f"cheekSquint{side}"):
            share = _analytic_share(shape, eye)
            total = np.zeros((1, 2))
            total[0, eye] = min(1 + share, 1)
            reached = lid_offsets(lids, total)[0] + offsets[ARKIT_INDEX[shape]]
            pairs[f"eyeBlink{side}", shape] = lids[eye].share[:, None] * (
                lids[eye].closed - reached
            )
    return pairs


def _analytic_share(shape: str, eye: int) -> float:
    return float(analytic_basis(0.0).eyelids[ARKIT_INDEX[shape], eye])


def mouth_pairs(
    body: Body, lids: tuple[LidMotion, LidMotion], targets: np.ndarray, offsets: np.ndarray
) -> dict[Pair, np.ndarray]:
    """Smiles add to an open jaw where the face is, not where it was; two puckers are not one."""
    pairs: dict[Pair, np.ndarray] = {}
    jaw = ARKIT_INDEX["jawOpen"]
    for side in SIDES:
        smile = ARKIT_INDEX[f"mouthSmile{side}"]
        weights = np.zeros((1, 52))
        weights[0, [jaw, smile]] = 1
        both = offsets_before_skinning(body, lids, weights, (targets[jaw] + targets[smile])[None])[
            0
        ]
        pairs["jawOpen", f"mouthSmile{side}"] = both - offsets[jaw] - offsets[smile]
    for pair, share in OVERLAPS.items():
        one, two = (targets[ARKIT_INDEX[name]] for name in pair)
        pairs[pair] = -share * shared_displacement(one, two)
    return pairs


OVERLAPS: dict[Pair, float] = {("mouthFunnel", "mouthPucker"): 0.7, ("jawOpen", "mouthFunnel"): 0.6}
"""Share of what two shapes have in common that is taken back when both are full."""


def shared_displacement(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """The part of two displacement fields that goes the same way: [V, 3]."""
    lengths = np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1)
    alike = (one * two).sum(1) / np.maximum(lengths[0] * lengths[1], 1e-12)
    sum_ = one + two
    way = sum_ / np.maximum(np.linalg.norm(sum_, axis=1, keepdims=True), 1e-9)
    return way * (np.minimum(*lengths) * np.clip(alike, 0, 1))[:, None]
