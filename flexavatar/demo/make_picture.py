"""Draws the picture at the top of README.md: `python -m flexavatar.demo.make_picture`.

Above the photo and its avatar with three expressions, below the avatar from five sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor

from flexavatar.create import create_avatar
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.drive.expressions import BROWS_UP, both
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.evaluation.contact_sheet import closeup, cropped_photo, eyes_and_lips
from flexavatar.progress import progress_bar
from flexavatar.render.camera import orbit
from flexavatar.render.composite import over_color
from flexavatar.render.rasterize import rasterize_rgba8
from flexavatar.types import Camera, FlameCodes

WIDTH = 1200
"""Pixels; the tiles of a row share it."""
OVERSAMPLED = 2
"""Tiles are drawn this much larger, then reduced."""
QUALITY = 85
"""Of WebP."""
BACKGROUND = (222, 225, 230)
FACE_M, HEAD_M = 0.31, 0.34
"""Width of what a tile of the upper, the lower row shows, metres at the face."""
EXPRESSIONS: Sequence[Mapping[str, float]] = (
    BROWS_UP | both("eyeWide", 0.8) | {"jawOpen": 0.5},
    both("mouthSmile", 0.9) | both("cheekSquint", 0.5) | {"eyeBlinkLeft": 1.0},
    both("browDown") | both("mouthFrown", 0.8) | both("noseSneer", 0.6) | both("eyeSquint", 0.5),
)
"""Surprised, winking, angry."""
SIDES_DEG = (-90.0, -40.0, 0.0, 40.0, 180.0)
ABOVE_DEG = 5.0
"""The camera of the lower row stands this much above the face."""


@dataclass(frozen=True)
class PictureConfig:
    """What is drawn, and where it goes."""

    out: Path = Path("docs/images/avatar.webp")
    """The picture's file."""
    photo: Path = SHIPPED_PORTRAIT
    """One face."""


def draw(renderer: AvatarRenderer, codes: FlameCodes, camera: Camera) -> np.ndarray:
    """RGB on the picture's background, uint8 [H, W, 3]."""
    return over_color(rasterize_rgba8(renderer.animator.animate(codes), camera), BACKGROUND)


def crop_as(photo: np.ndarray, camera: Camera, part: Camera) -> np.ndarray:
    """What `part`, a crop of `camera`, sees of the photo that `camera` took: uint8 [H, W, 3]."""
    zoom = float(part.K[0, 0] / camera.K[0, 0])
    left, top = (camera.K[:2, 2] - part.K[:2, 2] / zoom).tolist()
    box = (left, top, left + part.width / zoom, top + part.height / zoom)
    size = part.width, part.height
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS, box))


def between_eyes_and_lips(renderer: AvatarRenderer) -> Tensor:
    """What the pictures have in their middle: [3]."""
    return torch.lerp(*eyes_and_lips(renderer), 0.25)


@torch.no_grad()
def expression_row(renderer: AvatarRenderer, photo: np.ndarray) -> list[np.ndarray]:
    """The photo, [S, S, 3] as creation crops it, and the avatar's expressions, alike in size."""
    pixels = OVERSAMPLED * WIDTH // (1 + len(EXPRESSIONS))
    own = renderer.avatar.camera
    camera = closeup(own, between_eyes_and_lips(renderer), FACE_M, pixels)
    faces = [draw(renderer, renderer.codes(weights), camera) for weights in EXPRESSIONS]
    return [crop_as(photo, own, camera), *faces]


@torch.no_grad()
def side_row(renderer: AvatarRenderer) -> list[np.ndarray]:
    """The avatar at rest, from one side to the other."""
    pixels = OVERSAMPLED * WIDTH // len(SIDES_DEG)
    camera = closeup(renderer.avatar.camera, between_eyes_and_lips(renderer), HEAD_M, pixels)
    rest = renderer.codes({})
    return [draw(renderer, rest, orbit(camera, yaw_deg, ABOVE_DEG)) for yaw_deg in SIDES_DEG]


def stack_rows(rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Rows of square tiles, each row as wide as the picture."""
    sides = [WIDTH // len(row) for row in rows]
    picture = Image.new("RGB", (WIDTH, sum(sides)), BACKGROUND)
    for i, (row, side) in enumerate(zip(rows, sides, strict=True)):
        for column, tile in enumerate(row):
            small = Image.fromarray(tile).resize((side, side), Image.Resampling.LANCZOS)
            picture.paste(small, (column * side, sum(sides[:i])))
    return picture


def main(config: PictureConfig) -> None:
    """Make the avatar, draw, write."""
    data = config.photo.read_bytes()
    with progress_bar(f"creating from {config.photo.name}") as report:
        renderer = AvatarRenderer.of(create_avatar([data], progress=report))
    picture = stack_rows([expression_row(renderer, cropped_photo(data)), side_row(renderer)])
    config.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(config.out, quality=QUALITY, method=6)
    print(config.out)


if __name__ == "__main__":
    main(tyro.cli(PictureConfig))
