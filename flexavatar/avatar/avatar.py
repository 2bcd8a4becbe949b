"""One person's head, ready to be driven: what is stored, how it is animated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from flexavatar.avatar.bias_sink_avatar import BiasSinkAnimator, BiasSinkAvatar
from flexavatar.avatar.expression_deformer import ExpressionChange, ExpressionDeformer
from flexavatar.avatar.expression_network import Dynamics, ExpressionNetwork
from flexavatar.avatar.poser import Poser, without_head_pose
from flexavatar.errors import AssetError, InputError, ShapeError
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.head.eyelids import eyelid_openings, eyelid_visibility
from flexavatar.head.flame import FlameHead
from flexavatar.models.channels import CHANNELS
from flexavatar.models.weights import load_matching_bias_sink, load_matching_query_lrm
from flexavatar.render.deform import Deformer
from flexavatar.types import Camera, FlameCodes, Gaussians, check_shape

FORMAT = 5
READABLE = (1, 2, 3, 4, 5)
"""Format 1 knew nothing of lids, format 2 of splats that change with the expression, format 3 of
avatars that are a code."""
WEIGHTS = "avatar.safetensors"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Avatar:
    """A person's Gaussians in the neutral head, bound to the open head's mesh."""

    neutral: Tensor  # [V, 3] this person at rest, hair included, metres
    binding: Binding  # G splats
    splats: LocalSplats
    opacities: Tensor  # [G] 0..1
    sh: Tensor  # [G, 1, 3]
    camera: Camera  # how the first photo was taken: the default view
    codes: FlameCodes  # the first photo's expression and gaze
    lids: Tensor  # [G, 2] share of each that folds away as the left, the right eye closes
    model: str = "fit"
    """What made it: `fit` or `query_lrm`."""
    dynamic: Dynamics | None = None
    """What changes with the expression beside moving with the mesh; None: nothing."""
    warnings: tuple[str, ...] = ()
    """What was seen in the photos that will look wrong, in words."""

    def __post_init__(self) -> None:
        count = len(self.binding)
        check_shape("neutral", self.neutral, None, 3)
        check_shape("binding.vertex_ids", self.binding.vertex_ids, count, 3)
        check_shape("splats.offsets", self.splats.offsets, count, 3)
        check_shape("splats.quats", self.splats.quats, count, 4)
        check_shape("splats.scales", self.splats.scales, count, 3)
        check_shape("opacities", self.opacities, count)
        check_shape("sh", self.sh, count, 1, 3)
        check_shape("lids", self.lids, count, 2)
        check_shape("viewmat", self.camera.viewmat, 4, 4)
        check_shape("K", self.camera.K, 3, 3)
        if self.dynamic and not self.dynamic.fits(count):
            raise ShapeError(f"dynamic.splats: expected numbers of {count} splats, got others")

    def __len__(self) -> int:
        return len(self.binding)

    def is_finite(self) -> bool:
        """No NaN and no infinity anywhere: a renderer may have it."""
        parts = (self, self.binding, self.splats, self.camera, self.codes, self.dynamic)
        values = [x for part in parts if part is not None for x in vars(part).values()]
        tensors = [x for x in values if isinstance(x, Tensor)]
        return all(bool(torch.isfinite(x).all()) for x in tensors)


class Animator(Poser):
    """Turns codes into Gaussians that are bound to the mesh."""

    def __init__(self, avatar: Avatar, head: FlameHead | None = None) -> None:
        super().__init__(avatar.neutral, head)
        self.avatar = avatar
        self._folding = avatar.lids.any(1).nonzero().squeeze(1)
        self.usual_openings = self._openings(self.vertices(avatar.codes))
        """Of the eyes, as the photo shows them: [2] metres."""
        self.expressor = ExpressionNetwork(avatar.dynamic) if avatar.dynamic else None
        """What an expression changes beside moving splats, if anything."""
        self._deformer = self._make_deformer()

    @property
    def network_name(self) -> tuple[object, ...]:
        """Which network changes it, none or one of some weights: a crowd has one."""
        own = self.avatar.dynamic
        return () if own is None else (own.preset, own.weights, own.channels)

    def _make_deformer(self) -> Deformer:
        avatar = self.avatar
        mesh = (avatar.neutral, self.head.faces, avatar.binding, avatar.splats)
        if avatar.dynamic is None or self.expressor is None:
            return Deformer(*mesh)
        taps = self.expressor.taps
        changing = ExpressionChange(avatar.opacities, avatar.sh, avatar.dynamic.splats, taps)
        return ExpressionDeformer(*mesh, changing)

    def animate(self, codes: FlameCodes) -> Gaussians:
        """One instant: unbatched codes -> Gaussians in the head frame."""
        moves = self.expression_moves(codes) if self.expressor else None
        return self.carry(self.vertices(codes), moves)

    def expression_moves(self, codes: FlameCodes) -> Tensor:
        """How far the expression alone moves the mesh, neck and head held still: [V, 3] metres."""
        return self.vertices(without_head_pose(codes)) - self.avatar.neutral

    def carry(self, vertices: Tensor, moves: Tensor | None = None) -> Gaussians:
        """Gaussians on a mesh posed by other means, another rig for one: [V, 3] metres.

        `moves` [V, 3] are as `moves` gives them, for an avatar that changes with its expression;
        without them it looks as at rest.
        """
        change = self.expressor.change(moves) if self.expressor else None
        return self.carry_with_change(vertices, change)

    def carry_with_change(self, vertices: Tensor, change: Tensor | None) -> Gaussians:
        """As `carry`, with an ExpressionNetwork's result [R, 14] if the avatar has one."""
        avatar = self.avatar
        if isinstance(self._deformer, ExpressionDeformer) and change is not None:
            moved = self._deformer.deform_with_change(vertices, change)
        else:
            moved = Gaussians(*self._deformer.deform(vertices), avatar.opacities, avatar.sh)
        return replace(moved, opacities=self._fold_with_lids(moved.opacities, vertices))

    def _fold_with_lids(self, opacities: Tensor, vertices: Tensor) -> Tensor:
        """Opacities less what has folded away with the lids: [G], [V, 3] -> [G]."""
        own = self._folding
        if not len(own):
            return opacities
        hidden = 1 - eyelid_visibility(self._openings(vertices), self.usual_openings)
        opacities = opacities.clone()
        opacities[own] *= 1 - self.avatar.lids[own] @ hidden
        return opacities

    def _openings(self, vertices: Tensor) -> Tensor:
        return eyelid_openings(self.head, vertices) if self.head.rings else vertices.new_ones(2)


AnyAvatar = Avatar | BiasSinkAvatar
AnyAnimator = Animator | BiasSinkAnimator


def animator_of(avatar: AnyAvatar, head: FlameHead | None = None) -> AnyAnimator:
    """What drives an avatar of this kind. Raises AssetError for one of another rig or weights."""
    if isinstance(avatar, BiasSinkAvatar):
        return BiasSinkAnimator(avatar, head)
    return Animator(avatar, head)


def save_avatar(avatar: AnyAvatar, folder: Path) -> None:
    """Write `avatar.safetensors` and `manifest.json` into a folder that exists."""
    own, about = (
        _code_tensors(avatar) if isinstance(avatar, BiasSinkAvatar) else _splat_tensors(avatar)
    )
    tensors = {
        "neutral": avatar.neutral,
        "viewmat": avatar.camera.viewmat,
        "K": avatar.camera.K,
        **{f"codes.{f.name}": getattr(avatar.codes, f.name) for f in fields(avatar.codes)},
        **own,
    }
    save_file({k: v.detach().cpu().clone() for k, v in tensors.items()}, folder / WEIGHTS)
    manifest = {
        "format": FORMAT,
        "model": avatar.model,
        "gaussians": len(avatar),
        "width": avatar.camera.width,
        "height": avatar.camera.height,
        "warnings": avatar.warnings,
        **about,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _code_tensors(avatar: BiasSinkAvatar) -> tuple[dict[str, Tensor], dict[str, Any]]:
    about = {"preset": avatar.preset, "weights": avatar.weights}
    return {"code": avatar.code}, {"code": about}


def _splat_tensors(avatar: Avatar) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {
        "vertex_ids": avatar.binding.vertex_ids.int(),
        "bary": avatar.binding.bary,
        "offsets": avatar.splats.offsets,
        "quats": avatar.splats.quats,
        "scales": avatar.splats.scales,
        "opacities": avatar.opacities,
        "sh": avatar.sh,
        "lids": avatar.lids,
    }
    about: dict[str, Any] = {}
    if dynamic := avatar.dynamic:
        tensors |= {
            "dynamic.identity": dynamic.identity.half(),
            "dynamic.splats": dynamic.splats.int(),
            "dynamic.cells": dynamic.cells.int(),
        }
        if dynamic.amounts is not None:
            tensors["dynamic.amounts"] = dynamic.amounts
        names = ("preset", "weights", "channels")
        about["dynamic"] = {name: getattr(dynamic, name) for name in names}
    return tensors, about


def load_avatar(folder: Path) -> AnyAvatar:
    """Read what `save_avatar` wrote. Raises AssetError when it is missing, damaged or newer.

    Also when it changes by weights that are not those installed.
    """
    manifest = _read_manifest(folder / MANIFEST)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise AssetError(f"avatar: {folder / WEIGHTS} cannot be read ({error})") from None
    try:
        avatar = replace(_assemble(tensors, manifest), warnings=_warnings(manifest))
    except KeyError as missing:
        raise AssetError(f"avatar: {folder} lacks {missing}") from None
    except (InputError, TypeError, ValueError) as error:
        raise AssetError(f"avatar: {folder} is damaged ({error})") from None
    if not avatar.is_finite():
        raise AssetError(f"avatar: {folder / WEIGHTS} holds values that are not finite")
    if isinstance(avatar, BiasSinkAvatar):
        load_matching_bias_sink(avatar.preset, avatar.weights)
    elif avatar.dynamic:
        load_matching_query_lrm(avatar.dynamic.preset, avatar.dynamic.weights)
    return avatar


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AssetError(f"avatar: {path} cannot be read ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("format") not in READABLE:
        known = " or ".join(map(str, READABLE))
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise AssetError(f"avatar: {path}: expected format {known}, got {found}")
    return manifest


def _assemble(tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> AnyAvatar:
    camera = Camera(
        tensors["viewmat"], tensors["K"], int(manifest["width"]), int(manifest["height"])
    )
    codes = FlameCodes(*(tensors[f"codes.{f.name}"] for f in fields(FlameCodes)))
    if about := manifest.get("code"):
        made_by = (str(about["preset"]), str(about["weights"]))
        return BiasSinkAvatar(tensors["neutral"], tensors["code"], camera, codes, *made_by)
    return Avatar(
        neutral=tensors["neutral"],
        binding=Binding(tensors["vertex_ids"].long(), tensors["bary"]),
        splats=LocalSplats(tensors["offsets"], tensors["quats"], tensors["scales"]),
        opacities=tensors["opacities"],
        sh=tensors["sh"],
        camera=camera,
        codes=codes,
        lids=tensors["lids"] if manifest["format"] > 1 else torch.zeros(len(tensors["sh"]), 2),
        model=str(manifest["model"]),
        dynamic=_dynamics_of(tensors, manifest["dynamic"]) if "dynamic" in manifest else None,
    )


def _warnings(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(str, manifest.get("warnings", ())))


def _dynamics_of(tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> Dynamics:
    return Dynamics(
        identity=tensors["dynamic.identity"].float(),
        splats=tensors["dynamic.splats"].long(),
        cells=tensors["dynamic.cells"].long(),
        preset=str(manifest["preset"]),
        weights=str(manifest["weights"]),
        amounts=tensors.get("dynamic.amounts"),
        channels=tuple(manifest.get("channels", CHANNELS)),
    )
