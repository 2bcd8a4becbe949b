"""Commands that write an avatar for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from flexavatar.cli.connect import DEFAULT_STORE
from flexavatar.cli.pictures import load_from_store, parse_expression
from flexavatar.formats.spz import SpzVersion

SplatFormat = Literal["ply", "glb", "spz"]


@dataclass(frozen=True)
class Export:
    """Write a posed head for viewers and engines that show Gaussians, upright and level."""

    avatar: tyro.conf.Positional[str]
    """Its name."""
    format: SplatFormat = "ply"
    """ply: 3DGS, nearly every program; glb: KHR_gaussian_splatting; spz: a fifth of their size."""
    expression: tuple[str, ...] = ()
    """ARKit weights, such as jawOpen=0.5 mouthSmileLeft=1; none: the photo's own expression."""
    spz_version: SpzVersion = 3
    """4 is the newer one, which fewer programs read."""
    out: Path | None = None
    """The file; not given, out/NAME.FORMAT."""
    store: Path = DEFAULT_STORE
    """Folder of the avatars."""

    def run(self) -> None:
        """Load, pose, write."""
        weights = parse_expression(self.expression)
        avatar = load_from_store(self.store, self.avatar)
        from flexavatar.avatar.poser import without_head_pose
        from flexavatar.evaluation.avatar_renderer import AvatarRenderer
        from flexavatar.formats.glb import to_glb
        from flexavatar.formats.ply import to_ply
        from flexavatar.formats.spz import to_spz

        renderer = AvatarRenderer.of(avatar)
        codes = without_head_pose(renderer.codes(weights) if weights else avatar.codes)
        gaussians = renderer.animator.animate(codes)
        if self.format == "spz":
            data = to_spz(gaussians, self.spz_version)
        else:
            data = to_ply(gaussians) if self.format == "ply" else to_glb(gaussians)
        path = self.out or Path("out") / f"{self.avatar}.{self.format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        print(path)


@dataclass(frozen=True)
class Bake:
    """Write an avatar that engines and pages move by themselves, without a server: one .glb."""

    avatar: tyro.conf.Positional[str]
    """Its name."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The file; not given, out/NAME.glb."""
    still: bool = True
    """Whether the file also holds the face at rest, which other programs show; half of its size."""
    store: Path = DEFAULT_STORE
    """Folder of the avatars."""

    def run(self) -> None:
        """Load, bake, write."""
        avatar = load_from_store(self.store, self.avatar)
        from flexavatar.baked.file import write_baked
        from flexavatar.baked.rig import bake

        data = write_baked(bake(avatar), self.still)
        path = self.out or Path("out") / f"{self.avatar}.glb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        print(path)
