"""The person of a picture: tilted, lying, small in it, cut out; phantoms are nobody."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flexavatar.capture.matte import person_matte
from flexavatar.capture.person import read_photo_with_face
from flexavatar.capture.photo import photo_from_array, read_photo
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.read_portraits import read_portraits
from flexavatar.errors import FaceError
from flexavatar.evaluation.contact_sheet import cropped_photo
from flexavatar.formats.picture import to_uint8
from flexavatar.progress import no_progress
from tests.films import filmed

Picture = NDArray[np.uint8]


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def portrait_of(data: bytes) -> Portrait:
    (portrait,) = read_portraits([data], no_progress)
    return portrait


def tilt_deg(portrait: Portrait) -> float:
    """By the line through both sides of the face."""
    across = portrait.face.points[454] - portrait.face.points[234]
    return float(np.degrees(np.arctan2(across[1], across[0])))


@pytest.fixture(scope="module")
def sample(astronaut: bytes) -> Image.Image:
    return Image.open(io.BytesIO(astronaut)).convert("RGB")


@pytest.mark.parametrize("degrees", [20, -60, 150])
def test_a_tilted_portrait_is_level(sample: Image.Image, portrait: Portrait, degrees: int) -> None:
    turned = sample.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(90, 90, 90))
    level = portrait_of(saved(turned))
    assert abs(tilt_deg(level)) < 1.5  # degrees: the crop is turned by what was measured in it
    # pixels of 512: the same face, of the same size at the same place
    assert np.abs(level.face.centre - portrait.face.centre).max() < 6
    assert level.face.width == pytest.approx(portrait.face.width, rel=0.03)


def test_a_head_that_leans_a_little_is_left_so(sample: Image.Image) -> None:
    turned = portrait_of(saved(sample.rotate(-2, Image.Resampling.BICUBIC)))
    assert 3 < tilt_deg(turned) < 6


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_lying_and_upside_down_pictures_are_turned(
    sample: Image.Image, portrait: Portrait, quarters: int
) -> None:
    """Exactly: no pixel is interpolated, and sides stay as they are."""
    photo = read_photo_with_face(saved(sample.rotate(90 * quarters, expand=True))).photo
    assert np.array_equal(photo.rgb, np.asarray(sample))
    rgb = np.asarray(sample.rotate(90 * quarters, expand=True), np.uint8)
    assert np.array_equal(read_photo_with_face(photo_from_array(rgb)).photo.rgb, np.asarray(sample))


def test_every_portrait_is_found_in_any_position(shared_data: Path) -> None:
    """Where a lying face looked like another one, or like two."""
    for name in ("obama.jpg", "st_people_0.png", "grace_hopper.jpg"):
        image = Image.open(shared_data / "portraits" / name).convert("RGB")
        widths = [
            read_photo_with_face(saved(image.rotate(90 * q, expand=True))).face.width
            for q in range(4)
        ]
        assert np.ptp(widths) < 0.05 * max(widths), name


def test_two_people_are_two_and_phantoms_are_nobody(sample: Image.Image, shared_data: Path) -> None:
    face = np.asarray(sample)[:300, 80:380]
    both = Image.fromarray(np.concatenate((face, face), 1))
    for quarters in (0, 1, 2):
        with pytest.raises(FaceError, match="found 2: crop it"):
            read_photo_with_face(saved(both.rotate(90 * quarters, expand=True)))
    monkey = (shared_data / "portraits/lp_s22.jpg").read_bytes()
    with pytest.raises(FaceError, match="something like one"):
        read_photo_with_face(monkey)


def test_an_animal_beside_a_person_is_no_rival(sample: Image.Image, shared_data: Path) -> None:
    monkey = Image.open(shared_data / "portraits/lp_s22.jpg").convert("RGB").resize((342, 512))
    pair = Image.new("RGB", (512 + 342, 512))
    pair.paste(sample, (0, 0))
    pair.paste(monkey, (512, 0))
    assert read_photo_with_face(saved(pair)).face.centre[0] < 512


@pytest.mark.parametrize(("width", "position"), [(230, (3000, 2000)), (320, (60, 3900))])
def test_a_small_face_keeps_all_its_pixels(
    sample: Image.Image, width: int, position: tuple[int, int]
) -> None:
    """In 48 megapixels, also near an edge: found, and as wide as it is in the file."""
    own = read_photo_with_face(saved(sample)).face.width
    size = round(512 * width / own)
    blobs = np.random.default_rng(0).integers(60, 200, (75, 100, 3)).astype(np.uint8)
    large = Image.fromarray(blobs).resize((8000, 6000), Image.Resampling.BICUBIC)
    large.paste(sample.resize((size, size), Image.Resampling.LANCZOS), position)
    found = read_photo_with_face(saved(large, "JPEG", quality=92))
    assert found.photo.reduction == pytest.approx(1, abs=0.01)
    assert found.face.width == pytest.approx(width, rel=0.03)


def test_a_small_face_knows_its_lens(sample: Image.Image) -> None:
    """Focal lengths are in pixels of what is read, whole or in part, lying or not."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 28
    large = Image.new("RGB", (4000, 3000), (90, 110, 90))
    large.paste(sample, (2000, 1500))
    expected = 28 / np.hypot(36, 24) * 5000
    for image in (large, large.rotate(90, expand=True)):
        found = read_photo_with_face(saved(image, "JPEG", quality=92, exif=exif))
        assert found.photo.reduction < 1.01
        assert found.photo.focal_px == pytest.approx(expected / found.photo.reduction, rel=1e-3)


def cut_out(sample: Image.Image, alpha: Picture, hidden: int) -> Image.Image:
    """With this colour where nothing is to be seen."""
    rgb = np.asarray(sample).copy()
    rgb[alpha == 0] = hidden
    return Image.fromarray(np.dstack((rgb, alpha)))


@pytest.mark.parametrize(("kind", "hidden"), [("PNG", 0), ("WEBP", 255)])
def test_a_cut_out_is_its_own_matte(
    sample: Image.Image, portrait: Portrait, kind: str, hidden: int
) -> None:
    """And its edges have no fringe of what is hidden."""
    alpha = np.round(255 * person_matte(np.asarray(sample))).astype(np.uint8)
    own = portrait_of(saved(cut_out(sample, alpha, hidden), kind, lossless=True))
    whole = read_photo_with_face(saved(sample)).face
    shift = own.face.points[1, :2] - whole.points[1, :2] * own.crop_scale
    warp = np.array([[own.crop_scale, 0, shift[0]], [0, own.crop_scale, shift[1]]])
    expected = cv2.warpAffine(alpha, warp, (512, 512)) / 255
    # edges of a mask that is moved by as much as landmarks tremble
    assert np.abs(own.matte - expected)[own.inside].mean() < 0.015
    edge = (own.matte > 0.3) & (own.matte < 0.9) & own.inside
    shown, truth = (cv2.GaussianBlur(p.rgb, (0, 0), 1.5) for p in (own, portrait))
    assert np.abs(shown - truth)[edge].mean() < 0.03  # an outline that trembles by a pixel


def test_a_picture_cut_to_a_circle_is_no_cut_out(sample: Image.Image, portrait: Portrait) -> None:
    """Its background is still background."""
    alpha = np.asarray(cv2.circle(np.zeros((512, 512)), (225, 160), 155, 255, -1), np.uint8)
    round_one = portrait_of(saved(cut_out(sample, alpha, 0)))
    background = (portrait.matte < 0.02) & (round_one.inside)
    assert round_one.matte[background].mean() < 0.05
    x, y = round_one.face.centre.astype(int)
    assert round_one.matte[y, x] > 0.9


def test_what_is_transparent_everywhere_alike_is_no_cut_out(sample: Image.Image) -> None:
    image = sample.copy()
    image.putalpha(252)
    assert read_photo(saved(image)).alpha is None


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_lying_film_is_turned(sample: Image.Image, quarters: int) -> None:
    frames = [np.asarray(sample.rotate(90 * quarters, expand=True))] * 4
    data = filmed(frames, fps=2)
    portrait = read_portraits([data], no_progress)[0]
    assert np.array_equal(cropped_photo(data), to_uint8(portrait.rgb))  # as `sheet` shows it
    assert abs(tilt_deg(portrait)) < 6
    assert portrait.face.points[152, 1] > portrait.face.points[10, 1]
