"""An avatar between two: what both have becomes one, and what only one of them has fades."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch

from flexavatar.avatar.avatar import AnyAvatar, Avatar
from flexavatar.avatar.avatar_pair import (
    SplatColumns,
    check_same_rig,
    pair_avatars,
    select_rows,
    splat_columns,
    with_splat_columns,
)
from flexavatar.avatar.bias_sink_avatar import BiasSinkAvatar, check_same_network
from flexavatar.avatar.expression_network import Dynamics
from flexavatar.errors import InputError
from flexavatar.head.binding import matrix_to_quat, quat_to_matrix
from flexavatar.render.blend import blend_field, nlerp
from flexavatar.render.camera import resize_camera
from flexavatar.types import Camera, FlameCodes

A = TypeVar("A", bound=AnyAvatar)


def interpolate(a: A, b: A, share: float) -> A:
    """The avatar that is `share` of `b` and else `a`: 0 is `a`, 1 is `b`.

    Raises InputError for a share outside 0..1, for models whose avatars have nothing in common,
    and for avatars of different rigs.
    """
    check_share(share)
    return interpolation_of(a, b)(a, b, share)


def check_share(share: float) -> None:
    """Raise InputError unless it is within 0..1."""
    if not 0 <= share <= 1:  # also true for NaN
        raise InputError(f"share: expected 0 to 1, got {share:g}")


def interpolation_of(a: A, b: A) -> Callable[[A, A, float], A]:
    """How avatars of these models are interpolated. Raises InputError if they are not."""
    for models, way in INTERPOLATIONS.items():
        if {a.model, b.model} <= models:
            return way
    known = ", or of ".join(" or ".join(sorted(models)) for models in INTERPOLATIONS)
    raise InputError(f"models: expected two avatars of {known}, got {a.model} and {b.model}")


def _interpolate_splats(a: Avatar, b: Avatar, share: float) -> Avatar:
    """Splat by splat."""
    both = pair_avatars(a, b)
    own = _interpolate_columns(splat_columns(both.a), splat_columns(both.b), share)
    between = replace(
        both.a,
        neutral=torch.lerp(a.neutral, b.neutral, share),
        camera=_interpolate_cameras(a.camera, b.camera, share),
        codes=_interpolate_flame_codes(a.codes, b.codes, share),
        dynamic=_interpolate_dynamics(a.dynamic, b.dynamic, share),
    )
    between = with_splat_columns(between, select_rows(own, own["opacities"] > 0))
    return replace(between, model="query_lrm" if between.dynamic else "fit")


def _interpolate_codes(a: BiasSinkAvatar, b: BiasSinkAvatar, share: float) -> BiasSinkAvatar:
    """In the network's own space: a convex combination, as Kirschstein et al. have it."""
    check_same_network(a, b)
    check_same_rig(a, b)
    return replace(
        a,
        neutral=torch.lerp(a.neutral, b.neutral, share),
        code=torch.lerp(a.code, b.code, share),
        camera=_interpolate_cameras(a.camera, b.camera, share),
        codes=_interpolate_flame_codes(a.codes, b.codes, share),
    )


INTERPOLATIONS: Mapping[frozenset[str], Callable[[Any, Any, float], Any]] = {
    frozenset(("fit", "query_lrm")): _interpolate_splats,
    frozenset(("bias_sink",)): _interpolate_codes,
}
"""How two avatars are interpolated whose models are both among these."""


def _interpolate_columns(a: SplatColumns, b: SplatColumns, share: float) -> SplatColumns:
    """Bound to the same places, so that only the rest lies between."""
    same = {"vertex_ids": a["vertex_ids"], "bary": a["bary"]}
    cells = torch.maximum(a["cells"], b["cells"])
    names = a.keys() - same.keys() - {"cells"}
    mixed = {name: torch.empty_like(a[name]) for name in names}
    for name, room in mixed.items():
        blend_field(name, a[name], b[name], share, room)
    return {**same, "cells": cells, **mixed}


def _interpolate_cameras(a: Camera, b: Camera, share: float) -> Camera:
    """Between two rigid poses, focal lengths and sizes; the head's origin stays where it is."""
    sides = ((a.width, b.width), (a.height, b.height))
    width, height = (round((1 - share) * x + share * y) for x, y in sides)
    one, other = resize_camera(a, width, height), resize_camera(b, width, height)
    viewmat = torch.lerp(one.viewmat, other.viewmat, share)
    turns = [matrix_to_quat(x.viewmat[:3, :3]) for x in (one, other)]
    viewmat[:3, :3] = quat_to_matrix(nlerp(turns[0], turns[1], share))
    return replace(one, viewmat=viewmat, K=torch.lerp(one.K, other.K, share))


def _interpolate_flame_codes(a: FlameCodes, b: FlameCodes, share: float) -> FlameCodes:
    """Every number of two faces."""
    pairs = zip(vars(a).values(), vars(b).values(), strict=True)
    return FlameCodes(*(torch.lerp(x, y, share) for x, y in pairs))


def _interpolate_dynamics(a: Dynamics | None, b: Dynamics | None, share: float) -> Dynamics | None:
    """What drives the change with the expression; by whom is up to the columns."""
    if a is None or b is None:
        return a or b
    return replace(a, identity=torch.lerp(a.identity, b.identity, share))
