"""One picture that shows an avatar: views, expressions, and eyes and mouth up close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.capture.read_portraits import read_portraits
from flexavatar.drive.expressions import (
    BROWS_UP,
    GAZE_DOWN,
    GAZE_LEFT,
    GAZE_RIGHT,
    GAZE_UP,
    both,
)
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.formats.picture import to_uint8
from flexavatar.progress import no_progress
from flexavatar.render.camera import orbit, resize_camera
from flexavatar.render.composite import BACKGROUND
from flexavatar.types import Camera

TILE = 384
"""Side of one tile, pixels."""
COLUMNS = 7
LARGE = 3
"""Pictures beside each other in the last row, which are four times as large as the photo's crop."""
LABEL_HEIGHT = 28

VIEWS: Mapping[str, float] = {
    "yaw -60": -60,
    "yaw -30": -30,
    "yaw +30": 30,
    "yaw +60": 60,
    "back": 180,
    "yaw -90": -90,
    "yaw +90": 90,
    "yaw -135": -135,
    "yaw +135": 135,
}
"""Label -> degrees that the camera goes round the head; positive is to the character's left."""
EARS: Mapping[str, float] = {"right ear": -90, "left ear": 90}


SMILE = both("mouthSmile", 0.9) | both("cheekSquint", 0.5)
CLOSED_JAW = {"jawOpen": 1.0, "mouthClose": 1.0}

EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "jawOpen": {"jawOpen": 1.0},
    "smile": SMILE,
    "blink": both("eyeBlink"),
    "pucker": {"mouthPucker": 1.0},
    "gaze left": GAZE_LEFT,
    "gaze up": GAZE_UP,
    "brows up": BROWS_UP,
    "brows down": both("browDown"),
    "cheekPuff": {"cheekPuff": 1.0},
    "tongueOut": {"jawOpen": 0.6, "tongueOut": 1.0},
    "frown": both("mouthFrown") | both("browDown", 0.5),
    "wink": {"eyeBlinkLeft": 1.0, "mouthSmileLeft": 0.5, "cheekSquintLeft": 0.6},
    "funnel": {"mouthFunnel": 1.0, "jawOpen": 0.3},
}
"""Label -> ARKit weights. Left is the character's left, on the right of the picture."""

EYE_ROW: Mapping[str, Mapping[str, float]] = {
    "eyes: neutral": {},
    "half blink": both("eyeBlink", 0.5),
    "blink": both("eyeBlink"),
    "gaze left .8": dict.fromkeys(GAZE_LEFT, 0.8),
    "gaze right .8": dict.fromkeys(GAZE_RIGHT, 0.8),
    "gaze up .8": dict.fromkeys(GAZE_UP, 0.8),
    "gaze down .8": dict.fromkeys(GAZE_DOWN, 0.8),
}

MOUTH_ROW: Mapping[str, Mapping[str, float]] = {
    "mouth: neutral": {},
    "half open": {"jawOpen": 0.4},
    "jawOpen": {"jawOpen": 1.0},
    "jawOpen + mouthClose": CLOSED_JAW,
    "smile, open": SMILE | {"jawOpen": 0.3},
    "pucker": {"mouthPucker": 1.0},
    "tongueOut": {"jawOpen": 0.6, "tongueOut": 1.0},
}


LARGE_ROW: Mapping[str, Mapping[str, float]] = {
    "four times as large: neutral": {},
    "gaze right .8, brows up": dict.fromkeys(GAZE_RIGHT, 0.8) | BROWS_UP,
    "smile, open": SMILE | {"jawOpen": 0.3},
}


def closeup(camera: Camera, point: Tensor, width_m: float, pixels: int) -> Camera:
    """A square crop of `camera`, `width_m` metres wide at `point` ([3], head frame)."""
    x, y, z = (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3]).tolist()
    zoom = pixels * z / (width_m * float(camera.K[0, 0]))
    K = camera.K.clone()
    K[:2] *= zoom
    K[0, 2] = pixels / 2 - float(K[0, 0]) * x / z
    K[1, 2] = pixels / 2 - float(K[1, 1]) * y / z
    return Camera(camera.viewmat, K, pixels, pixels)


def fit_into_tile(image: np.ndarray, side: int = TILE) -> Image.Image:
    """Any RGB picture, whole, centred in a grey tile."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., :3]))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (side, side), BACKGROUND)
    tile.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return tile


def montage(
    tiles: Sequence[tuple[str, np.ndarray]], columns: int = COLUMNS, side: int = TILE
) -> np.ndarray:
    """Labelled pictures, row by row -> one RGB picture, uint8 [H, W, 3]."""
    rows = -(-len(tiles) // columns)
    cell = side + LABEL_HEIGHT
    sheet = Image.new("RGB", (columns * side, rows * cell), (28, 28, 30))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=18)
    for i, (label, image) in enumerate(tiles):
        x, y = (i % columns) * side, (i // columns) * cell
        draw.text((x + 8, y + 3), label, fill=(235, 235, 235), font=font)
        sheet.paste(fit_into_tile(image, side), (x, y + LABEL_HEIGHT))
    return np.asarray(sheet)


def cropped_photo(data: bytes) -> np.ndarray:
    """A photo file, or the best frame of a video, as creation crops it, RGB uint8 [H, W, 3].

    Raises ImageError, FaceError.
    """
    return to_uint8(read_portraits([data], no_progress)[0].rgb)


def eyes_and_lips(renderer: AvatarRenderer) -> tuple[Tensor, Tensor]:
    """Centre of the two eyes and centre of the lips, [3] each, in the photo's head pose."""
    head = renderer.animator.head
    posed = head.pose(renderer.avatar.neutral, renderer.codes({}))
    eyes = posed.vertices[head.masks["eyes"] > 0.5].mean(0)
    lips = posed.vertices[head.masks["lips"] > 0.5].mean(0)
    return eyes, lips


@torch.no_grad()
def contact_sheet(avatar: AnyAvatar, photo: np.ndarray | None = None) -> np.ndarray:
    """Views and expressions of an avatar beside its photo, labelled.

    Args:
        avatar: any avatar.
        photo: the picture that it was made from, RGB uint8 [H, W, 3], any size; grey if not given.

    Returns:
        RGB uint8 [H, W, 3]: the photo, the input view and nine more, both ears; fourteen
        expressions; a row of eyes and a row of mouths up close; three faces four times as large.
    """
    renderer = AvatarRenderer.of(avatar)
    camera = resize_camera(avatar.camera, TILE, TILE)
    neutral = renderer.codes({})
    eyes, lips = eyes_and_lips(renderer)
    eye_camera = closeup(avatar.camera, eyes, 0.115, TILE)
    mouth_camera = closeup(avatar.camera, lips, 0.095, TILE)
    if photo is None:
        photo = np.full((TILE, TILE, 3), BACKGROUND, np.uint8)
    tiles = [("photo", photo), ("input view", renderer.render(avatar.codes, camera))]
    for label, yaw in VIEWS.items():
        tiles.append((label, renderer.render(neutral, orbit(camera, yaw, 0))))
    for label, yaw in EARS.items():
        side = closeup(orbit(avatar.camera, yaw, 0), _ear(renderer, yaw), 0.115, TILE)
        tiles.append((label, renderer.render(neutral, side)))
    tiles.append(("from above", renderer.render(neutral, orbit(camera, 0, 30))))
    for faces, view in ((EXPRESSIONS, camera), (EYE_ROW, eye_camera), (MOUTH_ROW, mouth_camera)):
        tiles += [(label, renderer.render(renderer.codes(w), view)) for label, w in faces.items()]
    return np.concatenate((montage(tiles), _large_row(renderer, 0.5 * (eyes + lips))))


def _large_row(renderer: AvatarRenderer, middle: Tensor) -> np.ndarray:
    """Faces around `middle` [3], four times as large as the photo's crop shows them."""
    camera, side = renderer.avatar.camera, COLUMNS * TILE // LARGE
    depth = float((camera.viewmat[:3, :3] @ middle + camera.viewmat[:3, 3])[2])
    large = closeup(camera, middle, side * depth / (4 * float(camera.K[0, 0])), side)
    tiles = [(n, renderer.render(renderer.codes(w), large)) for n, w in LARGE_ROW.items()]
    return montage(tiles, LARGE, side)


def _ear(renderer: AvatarRenderer, yaw_deg: float) -> Tensor:
    """Middle of the ear that is seen from there, [3], in the photo's head pose."""
    head = renderer.animator.head
    vertices = head.pose(renderer.avatar.neutral, renderer.codes({})).vertices
    side = vertices[:, 0] * yaw_deg > 0
    return vertices[(head.masks["ears"] > 0.5) & side].mean(0)
