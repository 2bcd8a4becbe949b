"""The one person of a picture, whichever way up it lies and however small they are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.identity import HUMAN_SCORE, human_score, not_human
from flexavatar.capture.landmarks import (
    RIVAL_SHARE,
    FaceLandmarks,
    check_width,
    detect_faces,
    detect_faces_in_tiles,
    main_face,
    no_face,
    refine_face,
)
from flexavatar.capture.photo import Photo, Region, read_photo
from flexavatar.capture.portrait import PORTRAIT_SIDE, crop_square
from flexavatar.errors import FaceError

QUARTERS = (0, 1, 3, 2)
"""Turns to the left that are tried: as it is, on its sides, upside down."""
SEARCHES = ((1, QUARTERS), (2, QUARTERS), (4, (0,)), (8, (0,)))
"""In how small parts of a picture, and in which turns; all of it takes some seconds."""
MARGIN = 1.5
"""Side of what is read again around a small face, in sides of its crop."""

SAME_PLACE = 0.5
"""Of a face's width: two that are this close are one, found twice."""


@dataclass(frozen=True)
class PhotoWithFace:
    """A photo that is the right way up, and the face that it is about."""

    photo: Photo
    face: FaceLandmarks


def read_photo_with_face(source: bytes | Photo) -> PhotoWithFace:
    """A photo's file, or a photo, and the one person in it.

    Of a file whose person is small, their part is read again with all its pixels. Raises ImageError
    and FaceError.
    """
    photo = read_photo(source) if isinstance(source, bytes) else source
    quarters, face = find_person(photo)
    found = PhotoWithFace(turn_photo(photo, quarters), face)
    _, _, side = crop_square(face)
    if isinstance(source, bytes) and photo.reduction > 1 and side < PORTRAIT_SIDE:
        found = _read_closer(source, found, quarters)
    check_width(found.face)
    return found


def find_person(photo: Photo) -> tuple[int, FaceLandmarks]:
    """Quarter turns to the left that put a photo the right way up, and the face in it then.

    Raises FaceError if there is no face in any position, or several in the first that shows one.
    """
    for parts, turns in SEARCHES:
        for quarters in turns:
            rgb = np.ascontiguousarray(np.rot90(photo.rgb, quarters))
            faces = detect_faces(rgb) if parts == 1 else detect_faces_in_tiles(rgb, parts)
            if people := human_faces(rgb, faces):
                return _most_upright(rgb, main_face(people, rgb.shape), quarters)
    raise nobody(photo.rgb)


def _most_upright(
    rgb: NDArray[np.uint8], face: FaceLandmarks, quarters: int
) -> tuple[int, FaceLandmarks]:
    """Quarter turns that leave a face tilted by 45 degrees at most, and that face.

    `rgb` is turned by `quarters` already: the detector finds faces that lie on their side, too.
    """
    more = round(face.tilt / (np.pi / 2)) % 4
    for width in (rgb.shape[1], *rgb.shape[:2])[:more]:
        face = face.warped(np.array([[0.0, 1, 0], [-1, 0, width]]))
    turned = np.ascontiguousarray(np.rot90(rgb, more))
    return (quarters + more) % 4, refine_face(turned, face)


def human_faces(rgb: NDArray[np.uint8], faces: Sequence[FaceLandmarks]) -> list[FaceLandmarks]:
    """Those of `faces`, the widest first, that are people's and no bystanders'."""
    people: list[FaceLandmarks] = []
    for face in faces:
        aside = people and face.width < RIVAL_SHARE * people[0].width
        again = any(np.linalg.norm(face.centre - p.centre) < SAME_PLACE * p.width for p in people)
        if not aside and not again and human_score(rgb, face) >= HUMAN_SCORE:
            people.append(face)
    return people


def nobody(rgb: NDArray[np.uint8]) -> FaceError:
    """What is wrong with a picture that shows no person in any position."""
    faces = detect_faces(rgb)
    if not faces:
        return no_face(rgb.shape)
    return not_human(max(human_score(rgb, face) for face in faces))


def turn_photo(photo: Photo, quarters: int) -> Photo:
    """Turned to the left."""
    rgb, alpha = photo.rgb, photo.alpha
    if not quarters:
        return photo
    return replace(
        photo,
        rgb=np.ascontiguousarray(np.rot90(rgb, quarters)),
        alpha=None if alpha is None else np.ascontiguousarray(np.rot90(alpha, quarters)),
    )


def _read_closer(data: bytes, found: PhotoWithFace, quarters: int) -> PhotoWithFace:
    """The surroundings of a face, with as many pixels as the file has of them."""
    left, top, side = crop_square(found.face)
    grown = 0.5 * (MARGIN - 1) * side
    height, width = found.photo.rgb.shape[:2]
    box = np.array([left - grown, top - grown, left + side + grown, top + side + grown])
    shares = np.clip(box / [width, height, width, height], 0, 1)
    closer = turn_photo(read_photo(data, _turned_region(shares, -quarters % 4)), quarters)
    scale = closer.rgb.shape[1] / ((shares[2] - shares[0]) * width)
    points = found.face.points.copy()
    points[:, 0] -= np.float32(shares[0] * width)
    points[:, 1] -= np.float32(shares[1] * height)
    face = FaceLandmarks(points * np.float32(scale), found.face.scores)
    return PhotoWithFace(closer, refine_face(closer.rgb, face))


def _turned_region(region: NDArray[np.float64], quarters: int) -> Region:
    """The same part of a picture that is turned to the left: shares of its new sides."""
    left, top, right, bottom = (float(v) for v in region)
    for _ in range(quarters):
        left, top, right, bottom = top, 1 - right, bottom, 1 - left
    return left, top, right, bottom
