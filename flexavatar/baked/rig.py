"""What a baked avatar is made of, and how an avatar becomes one.

An avatar of splats on the open head needs no FLAME codes where only ARKit's 52 weights drive it:
each weight, each product of two that the rig corrects, and the lids move the mesh by a field of
their own. What a network says of its colours is a few bases whose shares follow the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.baked.colors import ColorBases, fit_color_bases
from flexavatar.errors import InputError
from flexavatar.head.arkit import ArkitBasis
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.head.eyelids import eyelid_openings, middle_rings
from flexavatar.head.flame import FlameHead
from flexavatar.types import SH_C0, Camera

LEAST_MOVE = 1e-5
"""Metres; a field's displacements below this are left out."""


@dataclass(frozen=True)
class MoveFields:
    """Displacements before skinning, field after field, each of the vertices that it moves."""

    start: Tensor  # [P + 57] int64: of each field's entries, and the end; P products
    vertices: Tensor  # [M] int64
    deltas: Tensor  # [M, 3] metres at weight 1

    def __len__(self) -> int:
        return len(self.start) - 1


@dataclass(frozen=True)
class BakedRig:
    """A person's mesh, and how ARKit's weights move it."""

    template: Tensor  # [V, 3] at rest, metres
    faces: Tensor  # [F, 3] int64
    joints: Tensor  # [5, 3] metres: global, neck, jaw, left eye, right eye
    lbs_weights: Tensor  # [V, 5] rows sum to 1
    products: Tensor  # [P, 2] int64: places of the weights multiplied; 52 stands for 1
    fields: MoveFields  # of the 52 weights, the products, left and right lid, their arcs
    jaw_pose: Tensor  # [52, 3] radians at weight 1
    leye_pose: Tensor  # [52, 3]
    reye_pose: Tensor  # [52, 3]
    eyelids: Tensor  # [52, 2] left, right
    lid_rings: tuple[Tensor, ...]  # ids mid-lid: left upper, left lower, right upper, right lower
    usual_openings: Tensor  # [2] metres between the lids in the photo


@dataclass(frozen=True)
class BakedAvatar:
    """All that poses a person without a server. The first D splats change their colours."""

    rig: BakedRig
    binding: Binding  # N
    splats: LocalSplats  # N
    opacities: Tensor  # [N] 0..1
    colors: Tensor  # [N, 3] about 0..1
    lids: Tensor  # [N, 2] share of each that folds away as the left, the right eye closes
    bases: ColorBases  # D
    camera: Camera  # how the photo was taken: a view to begin with

    def __len__(self) -> int:
        return len(self.binding)


def bake(avatar: AnyAvatar) -> BakedAvatar:
    """What stands for this avatar in engines and pages: some ten seconds for a network's colours.

    Raises InputError for an avatar that is a code (a network makes its every frame), and for one
    whose network changes more than colours.
    """
    if not isinstance(avatar, Avatar):
        raise InputError(f"an avatar of {avatar.model} cannot be baked: a network makes its frames")
    if avatar.dynamic and set(avatar.dynamic.channels) != {"color"}:
        raise InputError("an avatar whose network changes more than colours: create it anew first")
    animator = Animator(avatar)
    basis = load_arkit_basis(animator.head)
    changing = avatar.dynamic.splats if avatar.dynamic else torch.zeros(0, dtype=torch.int64)
    still = torch.ones(len(avatar), dtype=torch.bool)
    still[changing] = False
    order = torch.cat((changing, still.nonzero().squeeze(1)))
    rig = _bake_rig(animator, basis)
    return BakedAvatar(
        rig=rig,
        binding=Binding(*(x[order] for x in vars(avatar.binding).values())),
        splats=LocalSplats(*(x[order] for x in vars(avatar.splats).values())),
        opacities=avatar.opacities[order],
        colors=0.5 + SH_C0 * avatar.sh[order, 0],
        lids=avatar.lids[order],
        bases=fit_color_bases(animator, basis, changing),
        camera=avatar.camera,
    )


def _bake_rig(animator: Animator, basis: ArkitBasis) -> BakedRig:
    head, avatar = animator.head, animator.avatar
    if bool(head.pose_correctives.any()):
        raise InputError("a rig that joints correct cannot be baked")
    photo = head.pose(avatar.neutral, avatar.codes).vertices
    return BakedRig(
        template=avatar.neutral,
        faces=head.faces,
        joints=animator.joints,
        lbs_weights=head.lbs_weights,
        products=basis.factors,
        fields=_sparse_fields(head, basis),
        **{name: getattr(basis, name) for name in ("jaw_pose", "leye_pose", "reye_pose")},
        eyelids=basis.eyelids,
        lid_rings=middle_rings(head),
        usual_openings=eyelid_openings(head, photo),
    )


def _sparse_fields(head: FlameHead, basis: ArkitBasis) -> MoveFields:
    shapes = head.expression @ basis.expression.T  # [V, 3, 52]
    parts = (shapes, head.correctives, head.eyelids, head.lid_arcs)
    dense = torch.cat(parts, -1).permute(2, 0, 1)  # [fields, V, 3]
    moved = dense.norm(dim=-1) > LEAST_MOVE
    count = moved.sum(1)
    start = torch.cat((count.new_zeros(1), count.cumsum(0)))
    return MoveFields(start, moved.nonzero()[:, 1], dense[moved])


def tensors_of(baked: BakedAvatar) -> dict[str, Tensor]:
    """Every tensor of it by its name, camera and rings aside."""
    found: dict[str, Tensor] = {}
    parts = (baked, baked.rig, baked.rig.fields, baked.binding, baked.splats, baked.bases)
    for part in parts:
        values = {f.name: getattr(part, f.name) for f in fields(part)}
        found |= {name: x for name, x in values.items() if isinstance(x, Tensor)}
    return found
