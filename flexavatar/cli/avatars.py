"""Commands that make, list and delete avatars.

Each asks the server that is running on the store, and starts one of its own for as long as it
takes where there is none: a user need not care which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from flexavatar.cli.connect import ServerOptions, connect
from flexavatar.progress import progress_bar
from plugin_server.client.client import read_photo_files

if TYPE_CHECKING:
    from plugin_server.pb import flexavatar_pb2 as pb


def name_from_file(photo: Path) -> str:
    """A photo's or video's file name as an avatar's name: a-z 0-9 _ -."""
    return re.sub(r"[^a-z0-9_-]+", "-", photo.stem.lower()).strip("-_")[:64] or "avatar"


def describe_avatar(avatar: pb.Avatar) -> str:
    """One line about an avatar."""
    from plugin_server.messages.models import model_name

    made = datetime.fromtimestamp(avatar.created_unix_ms / 1000).strftime("%Y-%m-%d %H:%M")
    files = "1 file" if avatar.photos == 1 else f"{avatar.photos} files"
    model = model_name(avatar.model) or "?"
    still = "  preview: it is being made" if avatar.preview else ""
    return f"{avatar.name:20} {avatar.gaussians:7} Gaussians  {model:9}  {files:8}  {made}{still}"


@dataclass(frozen=True)
class Create:
    """Make an avatar from 1 to 16 photos or videos of one person."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """JPEG, HEIC, PNG, WebP ... or MP4, MOV, WebM ... files, in any order, with any expression.
    Of a video up to 8 frames are picked."""
    where: tyro.conf.OmitArgPrefixes[ServerOptions]
    name: str = ""
    """Name of the avatar: a-z 0-9 _ -. Default: the first file's name."""
    quick: bool = False
    """Seconds instead of a minute; less sharp."""
    replace: bool = False
    """Take the place of an avatar of the same name."""
    model: Literal["query_lrm", "bias_sink", "fit"] | None = None
    """What makes it: query_lrm unless you say so."""

    def run(self) -> None:
        """Create, save and say how it went."""
        photos = read_photo_files(self.photos)
        name = self.name or name_from_file(self.photos[0])
        with connect(self.where) as client, progress_bar(f"creating {name}") as report:
            avatar = client.create_avatar(
                photos,
                name=name,
                quick=self.quick,
                replace=self.replace,
                model=self.model or "",
                progress=report,
                on_preview=lambda name: print(f"a preview is there: flexavatar view {name}"),
            )
        print(describe_avatar(avatar))
        for warning in avatar.warnings:
            print(f"warning: {warning}")
        print(f"made in {avatar.create_s:.1f} s; next: flexavatar drive {name}")


@dataclass(frozen=True)
class Interpolate:
    """Make the avatar between two: what both have becomes one, what only one has fades."""

    a: tyro.conf.Positional[str]
    """Name of one."""
    b: tyro.conf.Positional[str]
    """Name of the other."""
    where: tyro.conf.OmitArgPrefixes[ServerOptions]
    share: float = 0.5
    """Of the other, 0..1: 0 is the one, 1 is the other."""
    name: str = ""
    """Name of the new avatar: a-z 0-9 _ -. Default: both names."""
    replace: bool = False
    """Take the place of an avatar of the same name."""

    def run(self) -> None:
        """Make, save and say so."""
        name = self.name or f"{self.a}-{self.b}"[:64]
        with connect(self.where) as client:
            avatar = client.interpolate_avatars(self.a, self.b, self.share, name, self.replace)
        print(describe_avatar(avatar))


@dataclass(frozen=True)
class List:
    """List the avatars."""

    where: tyro.conf.OmitArgPrefixes[ServerOptions]

    def run(self) -> None:
        """One line each."""
        with connect(self.where) as client:
            avatars = client.list_avatars()
        for avatar in avatars:
            print(describe_avatar(avatar))
        if not avatars:
            print(f"no avatars in {self.where}; make one: flexavatar create PHOTO")


@dataclass(frozen=True)
class Show:
    """Say what is known about an avatar."""

    avatar: tyro.conf.Positional[str]
    """Its name."""
    where: tyro.conf.OmitArgPrefixes[ServerOptions]

    def run(self) -> None:
        """A line, then its metrics."""
        with connect(self.where) as client:
            avatar = client.get_avatar(self.avatar)
        print(describe_avatar(avatar))
        print(f"{'create_s':20} {avatar.create_s:7.1f}")
        for name, value in sorted(avatar.metrics.items()):
            print(f"{name:20} {value:7.2f}")
        for warning in avatar.warnings:
            print(f"warning: {warning}")


@dataclass(frozen=True)
class Delete:
    """Delete an avatar."""

    avatar: tyro.conf.Positional[str]
    """Its name."""
    where: tyro.conf.OmitArgPrefixes[ServerOptions]

    def run(self) -> None:
        """Delete it for good."""
        with connect(self.where) as client:
            client.delete_avatar(self.avatar)
        print(f"deleted {self.avatar}")
