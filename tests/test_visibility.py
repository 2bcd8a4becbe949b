"""Faces that a photo does not wholly show: told in words, from the file to the command line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flexavatar.avatar.avatar import MANIFEST, Avatar, load_avatar, save_avatar
from flexavatar.capture import topology
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.person import read_photo_with_face
from flexavatar.capture.photo import photo_from_array
from flexavatar.capture.read_portraits import read_portraits
from flexavatar.capture.visibility import check_visibility
from flexavatar.cli import run
from flexavatar.errors import FaceError
from flexavatar.progress import Progress, no_progress
from plugin_server.engine import Recipe, Show
from tests.service import PHOTO, TinyAvatar, TinyEngine, local_config, server_and_client

Picture = NDArray[np.uint8]
Paint = Callable[[Picture, FaceLandmarks], None]
CHEEKS = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288,
          361, 323, 454, 280, 6, 50)  # fmt: skip


def spot(
    picture: Picture,
    centre: NDArray[np.floating],
    size: NDArray[np.floating],
    color: tuple[int, ...],
) -> None:
    cv2.ellipse(
        picture, centre.astype(int).tolist(), size.astype(int).tolist(), 0, 0, 360, color, -1
    )


def mask(picture: Picture, face: FaceLandmarks) -> None:
    """Of pale cloth, with folds."""
    corners = np.round(face.points[list(CHEEKS), :2]).astype(np.int32)
    cv2.fillPoly(picture, [corners], (205, 214, 222))
    for chin in (1, 13, 18):
        y = int(face.points[chin, 1])
        left, right = (int(face.points[i, 0]) for i in (205, 425))
        cv2.line(picture, (left, y), (right, y), (195, 204, 212), 1)


def sunglasses(picture: Picture, face: FaceLandmarks) -> None:
    for eye in (topology.LEFT_EYE, topology.RIGHT_EYE):
        centre = face.points[list(eye), :2].mean(0)
        spot(picture, centre, face.width * np.array([0.2, 0.15]), (20, 18, 20))
        spot(picture, centre - 0.05 * face.width, face.width * np.array([0.04, 0.02]), (60, 60, 70))


def patch(picture: Picture, face: FaceLandmarks) -> None:
    centre = face.points[list(topology.LEFT_EYE), :2].mean(0)
    spot(picture, centre, face.width * np.array([0.2, 0.15]), (15, 15, 30))


def closed_eyes(picture: Picture, face: FaceLandmarks) -> None:
    for eye, lid in (
        (topology.LEFT_EYE, topology.LEFT_LID_LOWER),
        (topology.RIGHT_EYE, topology.RIGHT_LID_LOWER),
    ):
        skin = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(skin, [np.round(face.points[list(eye), :2]).astype(np.int32)], 1)
        skin = cv2.dilate(skin, np.ones((round(0.04 * face.width) | 1,) * 2, np.uint8))
        picture[:] = cv2.inpaint(picture, skin, 5, cv2.INPAINT_TELEA)
        line = np.round(face.points[list(lid), :2]).astype(np.int32)
        cv2.polylines(picture, [line], False, (60, 40, 35), round(0.015 * face.width))


def hand(picture: Picture, face: FaceLandmarks) -> None:
    """Four fingers of the face's own skin."""
    skin = np.median(
        picture[
            face.points[[50, 205, 187], 1].astype(int), face.points[[50, 205, 187], 0].astype(int)
        ],
        0,
    )
    centre = face.points[list(topology.LIPS), :2].mean(0)
    for i in range(4):
        color = tuple(int(v * (0.92 if i % 2 else 1.02)) for v in skin)
        place = centre + np.array([0, (i - 1.5) * 0.12 * face.width])
        spot(picture, place, face.width * np.array([0.42, 0.075]), color)


def painted(picture: Picture, *paints: Paint) -> Picture:
    face = read_photo_with_face(photo_from_array(picture)).face
    result = picture.copy()
    for paint in paints:
        paint(result, face)
    return result


def warnings_of(picture: Picture) -> list[str]:
    return [w for p in read_portraits([picture], no_progress) for w in p.warnings]


@pytest.fixture(scope="module")
def sample(astronaut: bytes) -> Picture:
    return np.asarray(Image.open(io.BytesIO(astronaut)).convert("RGB"), np.uint8)


def picture_of(folder: Path, name: str) -> Picture:
    return np.asarray(Image.open(folder / "portraits" / name).convert("RGB"), np.uint8)


def test_plain_portraits_are_not_warned_of(sample: Picture, shared_data: Path) -> None:
    assert warnings_of(sample) == []
    for name in ("obama.jpg", "biden.jpg", "st_people_0.png", "grace_hopper.jpg", "st_happy.png"):
        assert warnings_of(picture_of(shared_data, name)) == [], name


@pytest.mark.parametrize(
    ("paint", "message"),
    [
        (mask, "covers the mouth (a mask"), (sunglasses, "covers the eyes (sunglasses"),
        (patch, "covers an eye"), (hand, "hides the mouth (a hand"),
    ],
)  # fmt: skip
def test_what_covers_a_face_is_told(
    sample: Picture, shared_data: Path, paint: Paint, message: str
) -> None:
    for picture in (sample, picture_of(shared_data, "obama.jpg")):
        covered = painted(picture, paint)
        face = read_photo_with_face(photo_from_array(covered)).face
        (warning,) = check_visibility(covered, face)
        assert message in warning


def test_closed_eyes_are_told(shared_data: Path) -> None:
    for name in ("obama.jpg", "lp_s6.jpg"):
        (warning,) = warnings_of(painted(picture_of(shared_data, name), closed_eyes))
        assert warning == (
            "photo 1: the eyes are closed: their colour is guessed; add a photo with open eyes"
        )


def test_what_hides_all_is_refused(shared_data: Path) -> None:
    with pytest.raises(FaceError, match=r"hides both|something like one"):
        warnings_of(painted(picture_of(shared_data, "obama.jpg"), mask, sunglasses))


@pytest.mark.parametrize("side", ["chin", "forehead"])
def test_a_face_over_the_edge_is_told(sample: Picture, side: str) -> None:
    face = read_photo_with_face(photo_from_array(sample)).face
    top, chin = (int(face.points[i, 1]) for i in (10, 152))
    rows = np.s_[: chin - 8] if side == "chin" else np.s_[top + 8 :]
    (warning,) = warnings_of(np.ascontiguousarray(sample[rows]))
    assert f"cuts off the face's {side}" in warning


def test_a_small_face_is_told(sample: Picture) -> None:
    small = np.asarray(Image.fromarray(sample).resize((360, 360)), np.uint8)
    (warning,) = warnings_of(small)
    assert "pixels wide: the avatar will be blurred" in warning


# ---- from the file to the command line


def test_warnings_are_kept_with_the_avatar(avatar: Avatar, tmp_path: Path) -> None:
    """In a file of the same format: what is older has none."""
    save_avatar(replace(avatar, warnings=("photo 1: something",)), tmp_path)
    assert load_avatar(tmp_path).warnings == ("photo 1: something",)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    del manifest["warnings"]
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert load_avatar(tmp_path).warnings == ()


class WarningAvatar(TinyAvatar):
    warnings = ("photo 1: the eyes are closed",)


class WarningEngine(TinyEngine):
    def create(
        self, photos: Sequence[bytes], recipe: Recipe, progress: Progress, show: Show
    ) -> tuple[TinyAvatar, Mapping[str, float]]:
        avatar, metrics = super().create(photos, recipe, progress, show)
        return WarningAvatar(**vars(avatar)), metrics


def test_warnings_reach_whoever_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = local_config(tmp_path)
    with server_and_client(config, WarningEngine()) as (client, _):
        made = client.create_avatar([PHOTO], "ada")
        assert [*made.warnings] == ["photo 1: the eyes are closed"]
        assert client.get_avatar("ada").warnings == made.warnings
        photo = tmp_path / "me.png"
        photo.write_bytes(PHOTO)
        where = ["--store", str(config.store)]
        assert run(["create", str(photo), "--name", "bob", *where]) == 0
        assert "warning: photo 1: the eyes are closed" in capsys.readouterr().out
        assert run(["show", "ada", *where]) == 0
        assert "warning: photo 1: the eyes are closed" in capsys.readouterr().out
