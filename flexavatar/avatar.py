"""One person's head, ready to be driven: what is stored, how it is animated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from flexavatar.errors import AssetError, ShapeError
from flexavatar.head.binding import Binding, LocalSplats, deform, surface_motion
from flexavatar.head.eyelids import lid_openings, lids_shown, with_own_lids
from flexavatar.head.flame import FlameHead, joint_transforms
from flexavatar.head.open_head import load_open_head
from flexavatar.render.deform import Deformer, Skinner
from flexavatar.types import Camera, FlameCodes, Gaussians, check_shape

FORMAT = 2
READABLE = (1, 2)
"""Format 1 knew nothing of lids."""
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
    """What made it: `fit`, later `query_lrm` or `bias_sink`."""

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

    def __len__(self) -> int:
        return len(self.binding)

    def is_finite(self) -> bool:
        """No NaN and no infinity anywhere: a renderer may have it."""
        parts = (self, self.binding, self.splats, self.camera, self.codes)
        tensors = [x for part in parts for x in vars(part).values() if isinstance(x, Tensor)]
        return all(bool(torch.isfinite(x).all()) for x in tensors)


class Animator:
    """Turns codes into Gaussians for one avatar; holds what does not change from frame to frame.

    On the CPU the compiled path is taken. The means, quats and scales it returns are the calling
    thread's buffers: its next call overwrites them.
    """

    def __init__(self, avatar: Avatar, head: FlameHead | None = None) -> None:
        head = head or load_open_head()
        if len(avatar.neutral) != len(head.template):
            raise AssetError(
                f"avatar: expected a head of {len(head.template)} vertices, "
                f"got {len(avatar.neutral)}: it was made on another rig"
            )
        self.avatar = avatar
        self.head = head_of(avatar.neutral, head)
        self.joints = self.head.joints(avatar.neutral)
        self._folding = avatar.lids.any(1).nonzero().squeeze(1)
        self._usual = self._openings(self.head.pose(avatar.neutral, avatar.codes).vertices)
        if not avatar.neutral.is_cuda:
            basis = self.head.used_basis.unflatten(0, (-1, 3)).permute(2, 0, 1)
            self._skinner = Skinner(avatar.neutral, basis, self.head.lbs_weights)
            self._deformer = Deformer(
                avatar.neutral, self.head.faces, avatar.binding, avatar.splats
            )

    def animate(self, codes: FlameCodes) -> Gaussians:
        """One instant: unbatched codes -> Gaussians in the head frame."""
        return self.carry(self.vertices(codes))

    def vertices(self, codes: FlameCodes) -> Tensor:
        """The posed mesh: [V, 3] metres."""
        if self.avatar.neutral.is_cuda:
            return self.head.pose(self.avatar.neutral, codes).vertices
        weights = self.head.blend_weights(codes)[self.head.used]
        moves = joint_transforms(self.joints, codes)
        moves[:, :3, 3] += codes.transl
        return self._skinner.pose(weights, moves)

    def carry(self, vertices: Tensor) -> Gaussians:
        """Gaussians on a mesh posed by other means, another rig for one: [V, 3] metres."""
        avatar = self.avatar
        if avatar.neutral.is_cuda:
            motion = surface_motion(avatar.neutral, vertices, self.head.faces)
            moved = deform(avatar.binding, avatar.splats, motion)
        else:
            moved = self._deformer.deform(vertices)
        return Gaussians(*moved, self._opacities(vertices), avatar.sh)

    def _opacities(self, vertices: Tensor) -> Tensor:
        """Those of the avatar, less what has folded away with the lids: [G]."""
        avatar, own = self.avatar, self._folding
        if not len(own):
            return avatar.opacities
        hidden = 1 - lids_shown(self._openings(vertices), self._usual)
        opacities = avatar.opacities.clone()
        opacities[own] *= 1 - avatar.lids[own] @ hidden
        return opacities

    def _openings(self, vertices: Tensor) -> Tensor:
        return lid_openings(self.head, vertices) if self.head.rings else vertices.new_ones(2)


def head_of(neutral: Tensor, head: FlameHead) -> FlameHead:
    """The rig with eyelids fitted to this person, where it knows its lids: [V, 3]."""
    return with_own_lids(head, neutral) if head.rings else head


def save_avatar(avatar: Avatar, folder: Path) -> None:
    """Write `avatar.safetensors` and `manifest.json` into a folder that exists."""
    tensors = {
        "neutral": avatar.neutral,
        "vertex_ids": avatar.binding.vertex_ids.int(),
        "bary": avatar.binding.bary,
        "offsets": avatar.splats.offsets,
        "quats": avatar.splats.quats,
        "scales": avatar.splats.scales,
        "opacities": avatar.opacities,
        "sh": avatar.sh,
        "lids": avatar.lids,
        "viewmat": avatar.camera.viewmat,
        "K": avatar.camera.K,
    }
    tensors |= {f"codes.{f.name}": getattr(avatar.codes, f.name) for f in fields(avatar.codes)}
    save_file({k: v.detach().cpu().clone() for k, v in tensors.items()}, folder / WEIGHTS)
    manifest = {
        "format": FORMAT,
        "model": avatar.model,
        "gaussians": len(avatar),
        "width": avatar.camera.width,
        "height": avatar.camera.height,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def load_avatar(folder: Path) -> Avatar:
    """Read what `save_avatar` wrote. Raises AssetError when it is missing, damaged or newer."""
    manifest = _read_manifest(folder / MANIFEST)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise AssetError(f"avatar: {folder / WEIGHTS} cannot be read ({error})") from None
    try:
        avatar = _assemble(tensors, manifest)
    except KeyError as missing:
        raise AssetError(f"avatar: {folder} lacks {missing}") from None
    except (ShapeError, TypeError, ValueError) as error:
        raise AssetError(f"avatar: {folder} is damaged ({error})") from None
    if not avatar.is_finite():
        raise AssetError(f"avatar: {folder / WEIGHTS} holds values that are not finite")
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


def _assemble(tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> Avatar:
    camera = Camera(
        tensors["viewmat"], tensors["K"], int(manifest["width"]), int(manifest["height"])
    )
    codes = FlameCodes(*(tensors[f"codes.{f.name}"] for f in fields(FlameCodes)))
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
    )
