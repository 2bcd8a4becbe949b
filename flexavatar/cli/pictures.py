"""Commands that draw an avatar: one picture, a contact sheet, a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from flexavatar.cli.connect import DEFAULT_STORE
from flexavatar.errors import AvatarNotFoundError, DriveError, InputError

if TYPE_CHECKING:
    from flexavatar.avatar.avatar import AnyAvatar

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def load_from_store(store: Path, name: str) -> AnyAvatar:
    """Read an avatar for drawing, beside any server: again if it is replaced in the middle.

    Raises AvatarNotFoundError, AssetError, ConflictError, InputError.
    """
    from flexavatar.avatar.avatar import load_avatar
    from plugin_server.store import read_beside_server

    try:
        return read_beside_server(store, name, load_avatar)
    except AvatarNotFoundError as error:
        raise AvatarNotFoundError(f"{error} in {store}: see flexavatar list") from None


def parse_expression(pairs: Sequence[str]) -> dict[str, float]:
    """`jawOpen=1` ... -> weights. Raises DriveError; the names are checked where they are used."""
    weights = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            weights[name] = float(value)
        except ValueError:
            raise DriveError(f"expression: expected NAME=WEIGHT, got {pair!r}") from None
    return weights


def check_suffix(path: Path, allowed: Sequence[str]) -> None:
    """Raise InputError unless the file's name ends in one of these."""
    if path.suffix.lower() not in allowed:
        raise InputError(f"{path}: expected a name that ends in {' or '.join(allowed)}")


@dataclass(frozen=True)
class Render:
    """Draw one picture; a PNG or WebP keeps the transparency."""

    avatar: tyro.conf.Positional[str]
    """Its name."""
    out: Path = Path("out/render.png")
    """The picture's file."""
    expression: tuple[str, ...] = ()
    """ARKit weights, such as jawOpen=0.5 mouthSmileLeft=1; none: the photo's own expression."""
    yaw: float = 0.0
    """Degrees that the camera goes round to the person's left."""
    pitch: float = 0.0
    """Degrees that the camera goes up."""
    width: int = 512
    """Pixels."""
    height: int = 512
    """Pixels."""
    store: Path = DEFAULT_STORE
    """Folder of the avatars."""

    def run(self) -> None:
        """Load, pose, draw, write."""
        check_suffix(self.out, PICTURE_SUFFIXES)
        weights = parse_expression(self.expression)
        avatar = load_from_store(self.store, self.avatar)
        from flexavatar.evaluation.avatar_renderer import AvatarRenderer
        from flexavatar.formats.picture import write_picture
        from flexavatar.render.camera import orbit, resize_camera
        from flexavatar.render.rasterize import rasterize_rgba8

        renderer = AvatarRenderer.of(avatar)
        codes = renderer.codes(weights) if weights else avatar.codes
        camera = orbit(resize_camera(avatar.camera, self.width, self.height), self.yaw, self.pitch)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        write_picture(self.out, rasterize_rgba8(renderer.animator.animate(codes), camera))
        print(self.out)


@dataclass(frozen=True)
class Sheet:
    """Draw a contact sheet: views, expressions, eyes and mouth up close."""

    avatar: tyro.conf.Positional[str]
    """Its name."""
    photo: Path | None = None
    """The photo or video to show beside it."""
    out: Path = Path("out/contact_sheet.png")
    """The picture's file."""
    store: Path = DEFAULT_STORE
    """Folder of the avatars."""

    def run(self) -> None:
        """Load, draw, write."""
        check_suffix(self.out, PICTURE_SUFFIXES)
        avatar = load_from_store(self.store, self.avatar)
        from flexavatar.evaluation.contact_sheet import contact_sheet, cropped_photo
        from flexavatar.formats.picture import write_picture

        photo = None if self.photo is None else cropped_photo(self.photo.read_bytes())
        self.out.parent.mkdir(parents=True, exist_ok=True)
        write_picture(self.out, contact_sheet(avatar, photo))
        print(self.out)


@dataclass(frozen=True)
class MorphSheet:
    """Draw the avatars between two, step by step: at rest, from the side, talking.

    Prints how unlike each face is to the two: distance of descriptors, where two photos of one
    person are usually below 0.6.
    """

    a: tyro.conf.Positional[str]
    """Name of one."""
    b: tyro.conf.Positional[str]
    """Name of the other."""
    steps: int = 9
    """Avatars, the two among them."""
    out: Path = Path("out/morph_sheet.png")
    """The picture's file."""
    store: Path = DEFAULT_STORE
    """Folder of the avatars."""

    def run(self) -> None:
        """Load, draw, write."""
        check_suffix(self.out, PICTURE_SUFFIXES)
        a, b = (load_from_store(self.store, name) for name in (self.a, self.b))
        from flexavatar.evaluation.morph_sheet import morph_sheet
        from flexavatar.formats.picture import write_picture

        self.out.parent.mkdir(parents=True, exist_ok=True)
        picture, likeness = morph_sheet(a, b, self.steps)
        write_picture(self.out, picture)
        print(f"{'share':>5} {'face unlike ' + self.a:>24} {'unlike ' + self.b:>24}")
        for step in likeness:
            print(f"{step.share:5.3f} {step.distance_to_a:24.3f} {step.distance_to_b:24.3f}")
        print(self.out)
