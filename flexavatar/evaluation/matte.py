"""Mattes against the truth: people with known alpha, laid over photographs of other things."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from flexavatar.capture.landmarks import FaceLandmarks, detect_face
from flexavatar.capture.photo import photo_from_array
from flexavatar.capture.portrait import Portrait, crop_portrait
from flexavatar.errors import ImageError, InputError
from flexavatar.evaluation.figures import mean_figures
from flexavatar.evaluation.report import Item, Picture
from flexavatar.formats.picture import to_uint8
from flexavatar.progress import StageProgress, no_stage_progress
from flexavatar.render.composite import RgbImage, premultiplied_over_mid_grey

ABOUT = """\
Pictures of people whose alpha is known (folders of straight RGBA, as renderers write them), seen
from the front and from 30 degrees to both sides, are laid over photographs of other things, in sRGB
as camera pictures are, cropped and matted as a photo is. The crop is that of the person over mid
grey, so that the background troubles the matte alone.

The band are the 12 pixels on both sides of the true outline, of 512. Beyond it, whatever of the
matte lies outside is background taken for person, and whatever it lacks inside is person lost. Each
pair of pictures: what was matted, and the person as found, over magenta."""
PICTURES = ("yaw+000_pitch+00.png", "yaw+030_pitch+00.png", "yaw-030_pitch+00.png")
"""Of each person's folder."""
BAND = 12 / 512
"""Half the width of the band around the true outline, in sides of the portrait."""
FAINT = 0.05
"""True alpha up to which a pixel's colour does not count."""
MAGENTA = np.array([1, 0, 1], np.float32)
BACKGROUND_TYPES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Cutout:
    """A picture of a person alone, and the truth of its portrait."""

    rgba: NDArray[np.uint8]  # [H, W, 4] straight alpha
    face: FaceLandmarks  # in its pixels
    colors: RgbImage  # [S, S, 3] of the portrait
    alpha: NDArray[np.float32]  # [S, S] of the portrait


def evaluate_matte(
    folder: Path,
    backgrounds: Sequence[Path],
    each: int = 2,
    seed: int = 0,
    progress: StageProgress = no_stage_progress,
) -> Item:
    """One person's front pictures, each over `each` of the backgrounds: means over all.

    Which, and which part of them, depends on the folder's name and the seed alone. Raises
    InputError if a picture is missing or has no alpha, FaceError if it shows no face.
    """
    rng = np.random.default_rng((seed, zlib.crc32(folder.name.encode())))
    rows: list[dict[str, float]] = []
    pictures: list[Picture] = []
    for i, name in enumerate(PICTURES):
        cutout = read_cutout(folder / name)
        for j in range(each):
            progress((i + j / each) / len(PICTURES))
            path = backgrounds[int(rng.integers(len(backgrounds)))]
            portrait = _portrait_over(cutout, _background(path, cutout.rgba.shape[:2], rng))
            rows.append(matte_figures(portrait, cutout))
            caption = f"{name} over {path.name}, {rows[-1]['alpha_error_band']:.3f}"
            pictures += [Picture(caption, to_uint8(portrait.rgb)), _over_magenta(portrait)]
    return Item(folder.name, mean_figures(rows), pictures)


def read_backgrounds(folder: Path) -> list[Path]:
    """The photographs in a folder, by name. Raises InputError if there are none."""
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in BACKGROUND_TYPES)
    if not paths:
        raise InputError(f"backgrounds: expected photographs in {folder}, found none")
    return paths


def read_cutout(path: Path) -> Cutout:
    """Read a straight RGBA picture. Raises InputError if it is not there or has no alpha."""
    rgba = _read(path, "RGBA")
    alpha = rgba[..., 3]
    if alpha.min() == 255:
        raise InputError(f"{path}: expected a person with alpha, got an opaque picture")
    unit = np.asarray(rgba / 255, np.float32)
    premultiplied = unit[..., :3] * unit[..., 3:]
    face = detect_face(to_uint8(premultiplied_over_mid_grey(premultiplied, unit[..., 3])))
    cropped = crop_portrait(photo_from_array(to_uint8(premultiplied)), face, cover=alpha)
    colors = cropped.rgb / np.maximum(cropped.matte, 1 / 255)[..., None]
    return Cutout(rgba, face, np.asarray(colors.clip(0, 1), np.float32), cropped.matte)


def matte_figures(portrait: Portrait, truth: Cutout) -> dict[str, float]:
    """How a portrait's matte and colours differ from the truth."""
    person = truth.alpha > 0.5
    reach = BAND * len(person)
    away = np.where(person, _distance(person), _distance(~person))
    band = (away <= reach) & portrait.inside
    outside, inner = ~person & ~band & portrait.inside, person & ~band & portrait.inside
    error = np.abs(portrait.matte - truth.alpha)
    shown = np.where(band & (truth.alpha > FAINT), truth.alpha, 0)
    color_error = np.abs(portrait.colors - truth.colors).mean(-1)
    return {
        "alpha_error_band": float(error[band].mean()),
        "background_taken": float(error[outside].sum() / portrait.inside.sum()),
        "person_lost": float(error[inner].sum() / max(1, person.sum())),
        "color_error_band": float((color_error * shown).sum() / max(1e-9, shown.sum())),
    }


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pixels from a mask's pixels to what is not of it; 0 elsewhere."""
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _portrait_over(cutout: Cutout, background: NDArray[np.uint8]) -> Portrait:
    alpha = cutout.rgba[..., 3:] / np.float32(255)
    composite = cutout.rgba[..., :3] * alpha + background * (1 - alpha)
    rgb = np.asarray(np.round(composite), np.uint8)
    return crop_portrait(photo_from_array(rgb), cutout.face)


def _background(path: Path, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A part of a photograph as large as `shape` (H, W), as much of it as will go in."""
    height, width = shape
    rgb = _read(path, "RGB")
    scale = max(height / rgb.shape[0], width / rgb.shape[1])
    size = (max(width, round(rgb.shape[1] * scale)), max(height, round(rgb.shape[0] * scale)))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    whole = np.asarray(cv2.resize(rgb, size, interpolation=mode), np.uint8)
    top = int(rng.integers(whole.shape[0] - height + 1))
    left = int(rng.integers(whole.shape[1] - width + 1))
    return whole[top : top + height, left : left + width]


def _read(path: Path, mode: str) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode), np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path}: expected a picture, found none") from None
    except (OSError, UnidentifiedImageError) as error:
        raise ImageError(f"{path}: the picture cannot be read ({error})") from None


def _over_magenta(portrait: Portrait) -> Picture:
    alpha = portrait.matte[..., None]
    return Picture("as found", to_uint8(portrait.colors * alpha + MAGENTA * (1 - alpha)))
