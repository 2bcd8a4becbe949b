"""Two avatars splat by splat: the same splats on both people's heads.

A splat of a texel of the head's chart sits at the same point of everybody's mesh, so the chart says
which two are one. Hair, clothes, lashes and folds lie where one person's photo shows them. They
come along to the other's head as well, where they are not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flexavatar.avatar.avatar import AnyAvatar, Avatar
from flexavatar.avatar.poser import check_rig
from flexavatar.errors import InputError
from flexavatar.head.binding import Binding, LocalSplats, deform, surface_motion
from flexavatar.head.off_mesh_binding import distance_weighted_mean
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import chart_texels, interpolate_barycentric

CHART_SIDE = 256
"""Side of the chart that avatars are made on. Splats of another belong to nobody else's."""
HASH_PRIMES = (73_856_093, 19_349_663, 83_492_791, 2_654_435_761, 805_459_861, 3_674_653_429)
"""Of a hash: primes."""
FAR = 0.02
"""Metres from where it is bound, beyond which a splat goes along with the skin around it."""

SplatColumns = Mapping[str, Tensor]
"""What an avatar knows of each of its splats, by name: [G, ...] each."""


@dataclass(frozen=True)
class AvatarPair:
    """Two avatars of N splats each, bound to the same places; those of one alone have opacity 0."""

    a: Avatar
    b: Avatar

    def __len__(self) -> int:
        return len(self.a)


def pair_avatars(a: Avatar, b: Avatar) -> AvatarPair:
    """The splats of both on both heads: first what both have, then `a`'s own, then `b`'s.

    Raises InputError or AssetError unless both are of one rig and change by the same weights, in
    the same of their numbers.
    """
    _check_comparable(a, b)
    at_a, at_b = (_splats_at_texels(avatar.binding) for avatar in (a, b))
    both = (at_a >= 0) & (at_b >= 0)
    (shared_a, own_a), (shared_b, own_b) = _split(a, at_a[both]), _split(b, at_b[both])
    return AvatarPair(
        with_splat_columns(a, _concatenate(shared_a, own_a, _transfer(b, own_b, a.neutral))),
        with_splat_columns(b, _concatenate(shared_b, _transfer(a, own_a, b.neutral), own_b)),
    )


def check_same_rig(a: AnyAvatar, b: AnyAvatar) -> None:
    """Raise InputError unless both are of one rig, AssetError unless that is the open head."""
    sizes = [f"{len(x.neutral)} vertices and {len(x.codes.correctives)} shapes" for x in (a, b)]
    if sizes[0] != sizes[1]:
        raise InputError(f"avatars: expected two of one rig, got {' against '.join(sizes)}")
    check_rig(a.neutral, load_open_head())


def _check_comparable(a: Avatar, b: Avatar) -> None:
    check_same_rig(a, b)
    both = [x for x in (a.dynamic, b.dynamic) if x]
    weights = {f"{x.preset} {x.weights[:12]} ({', '.join(x.channels)})" for x in both}
    if len(weights) > 1:
        raise InputError(
            f"avatars: expected two that change by the same weights, got {' and '.join(weights)}"
        )


def _splats_at_texels(binding: Binding) -> Tensor:
    """Which splat sits at each texel of the chart: [T] int64, -1 where none does."""
    texels = chart_texels(load_open_head(), CHART_SIDE).binding
    wanted, own = _hash_bindings(texels), _hash_bindings(binding)
    order = torch.argsort(wanted)
    at = order[torch.searchsorted(wanted[order], own).clamp_max(len(order) - 1)]
    same = wanted[at] == own
    places = torch.full((len(texels),), -1)
    return places.index_copy(0, at[same], same.nonzero().squeeze(1))


def _hash_bindings(binding: Binding) -> Tensor:
    """A number for each point of the mesh, the same for the same to the bit: [N] int64."""
    bits = binding.bary.float().contiguous().view(torch.int32).long()
    return (torch.cat((binding.vertex_ids, bits), 1) * torch.tensor(HASH_PRIMES)).sum(1)


def splat_columns(avatar: Avatar) -> SplatColumns:
    """Its splats; of those that do not change with the expression, cell -1 and amount 0."""
    cells, amounts = torch.full((len(avatar),), -1), torch.zeros(len(avatar))
    if own := avatar.dynamic:
        cells[own.splats] = own.cells
        amounts[own.splats] = torch.ones(len(own.splats)) if own.amounts is None else own.amounts
    parts = (vars(avatar.binding), vars(avatar.splats))
    looks = {name: getattr(avatar, name) for name in ("opacities", "sh", "lids")}
    return {**parts[0], **parts[1], **looks, "cells": cells, "amounts": amounts}


def with_splat_columns(avatar: Avatar, own: SplatColumns) -> Avatar:
    """The avatar with these splats in place of its own; where none changes, without the network."""
    splats = (own["amounts"] > 0).nonzero().squeeze(1)
    amounts = own["amounts"][splats]
    dynamic = None
    if avatar.dynamic and len(splats):
        amounts = None if bool((amounts == 1).all()) else amounts
        cells = own["cells"][splats]
        dynamic = replace(avatar.dynamic, splats=splats, cells=cells, amounts=amounts)
    return replace(
        avatar,
        binding=Binding(own["vertex_ids"], own["bary"]),
        splats=LocalSplats(own["offsets"], own["quats"], own["scales"]),
        opacities=own["opacities"],
        sh=own["sh"],
        lids=own["lids"],
        dynamic=dynamic,
    )


def select_rows(own: SplatColumns, rows: Tensor) -> SplatColumns:
    """Some of the splats: by number [N], or where a mask [G] is true."""
    return {name: x[rows] for name, x in own.items()}


def _split(avatar: Avatar, first: Tensor) -> tuple[SplatColumns, SplatColumns]:
    """These splats of an avatar, and the others."""
    rest = torch.ones(len(avatar), dtype=torch.bool).index_fill(0, first, False)
    own = splat_columns(avatar)
    return select_rows(own, first), select_rows(own, rest)


def _concatenate(*parts: SplatColumns) -> SplatColumns:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _transfer(avatar: Avatar, own: SplatColumns, neutral: Tensor) -> SplatColumns:
    """Splats of an avatar on somebody else's head [V, 3], where they are not seen.

    What hangs far from where it is bound goes where the skin around it goes: hair on fuller hair.
    """
    head, binding = load_open_head(), Binding(own["vertex_ids"], own["bary"])
    splats = LocalSplats(own["offsets"], own["quats"], own["scales"])
    means, quats, scales = deform(
        binding, splats, surface_motion(avatar.neutral, neutral, head.faces)
    )
    far = splats.offsets.norm(dim=-1) > FAR
    before = interpolate_barycentric(avatar.neutral, binding)[far] + splats.offsets[far]
    means[far] = before + distance_weighted_mean(
        neutral - avatar.neutral, before, avatar.neutral, head
    )
    quats[far], scales[far] = splats.quats[far], splats.scales[far]
    offsets, unseen = (
        means - interpolate_barycentric(neutral, binding),
        torch.zeros_like(own["opacities"]),
    )
    return {**own, "offsets": offsets, "quats": quats, "scales": scales, "opacities": unseen}
