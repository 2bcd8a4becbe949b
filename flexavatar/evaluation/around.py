"""Avatars of one person from 1, 3 and 5 pictures against the truth from all around."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from flexavatar.capture import topology
from flexavatar.capture.landmark_rig import load_landmark_binding
from flexavatar.capture.landmarks import detect_face
from flexavatar.create.create import CreateConfig, create_avatar
from flexavatar.create.image_metrics import psnr_db
from flexavatar.drive.expressions import both
from flexavatar.errors import InputError
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.evaluation.perceptual import haarpsi_distance
from flexavatar.evaluation.report import Item, Picture
from flexavatar.formats.picture import to_uint8
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.progress import Progress, no_progress
from flexavatar.render.camera import project
from flexavatar.render.composite import RgbImage, over_mid_grey, premultiplied_over_mid_grey
from flexavatar.render.rasterize import rasterize
from flexavatar.types import Camera, FlameCodes

ABOUT = """Folders of one person each, pictures in straight RGBA from known cameras (cameras.json).
An avatar is made of the picture from the front, of it and those from 30 degrees, or of these and
those from 60 degrees. Pictures are compared down to 7 cm below the chin: truth and avatar end
elsewhere. The picture from the front ties the avatar to the truth: it is placed by its
landmarks there, at the depth of the eyes. Then it is drawn by every other camera. Views that the
avatar was made from count in no group. PSNR is over mid grey where either is the person, the
outline's IoU is of alpha above a half."""
FRONT = "yaw+000_pitch+00"
SOURCES: Mapping[int, tuple[str, ...]] = {
    1: (FRONT,),
    3: (FRONT, "yaw+030_pitch+00", "yaw-030_pitch+00"),
    5: (FRONT, *(f"yaw{yaw}_pitch+00" for yaw in ("+030", "-030", "+060", "-060"))),
}
"""Pictures by how many there are."""
OUTLINE = 0.5
BELOW_CHIN = 0.07
"""Metres."""
METRICS = ("psnr", "haarpsi_distance", "iou")


@dataclass(frozen=True)
class TrueView:
    """One picture of the truth."""

    name: str
    rgb: RgbImage  # [H, W, 3] over mid grey
    alpha: NDArray[np.float32]  # [H, W]
    camera: Camera
    yaw_deg: float
    pitch_deg: float
    expression: Mapping[str, float]
    compared: int  # rows from the top

    @property
    def group(self) -> str:
        """Which of the report's groups it counts in."""
        if self.expression:
            return "expression"
        if self.pitch_deg:
            return "tilted"
        away = abs(self.yaw_deg)
        return (
            "front"
            if away < 15
            else "three_quarter"
            if away < 75
            else ("profile" if away < 110 else "back")
        )


@torch.no_grad()
def evaluate_around(
    folder: Path,
    photos: int = 1,
    config: CreateConfig | None = None,
    progress: Progress = no_progress,
) -> Item:
    """One person's avatar from `photos` pictures (1, 3 or 5), in all other views.

    Raises InputError for another number, or if the folder lacks a picture or cameras.json, and
    FaceError as `create_avatar` does.
    """
    if photos not in SOURCES:
        raise InputError(f"photos: expected one of {sorted(SOURCES)}, got {photos}")
    truth = read_truth(folder)
    sources = SOURCES[photos]
    if missing := [name for name in sources if name not in truth]:
        raise InputError(f"{folder}: expected the pictures {missing}, found none")
    files = [(folder / f"{name}.png").read_bytes() for name in sources]
    with torch.enable_grad():
        avatar = create_avatar(files, config, lambda what, share: progress(what, 0.9 * share))
    renderer = AvatarRenderer.of(avatar)
    placed = place_avatar(renderer, truth[FRONT])
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    pictures: list[Picture] = []
    for name, view in truth.items():
        codes = _codes(renderer, view)
        shown, alpha = _draw(renderer, codes, placed.camera(view.camera))
        figures = view_figures(shown, alpha, view)
        if name not in sources:
            rows[view.group].append(figures)
        caption = f"{name}: {figures[0]:.1f} dB, IoU {figures[2]:.3f}"
        pictures.append(Picture(caption, to_uint8(np.concatenate((view.rgb, shown), 1))))
    figures = {
        f"{group}_{metric}": float(value)
        for group, found in rows.items()
        for metric, value in zip(METRICS, np.mean(found, 0), strict=True)
    }
    return Item(folder.name, figures | {"photos": float(photos)}, pictures)


def read_truth(folder: Path) -> dict[str, TrueView]:
    """All pictures of a folder that cameras.json names, by name. Raises InputError."""
    path = folder / "cameras.json"
    if not path.is_file():
        raise InputError(f"{folder}: expected cameras.json, found none")
    try:
        cameras = json.loads(path.read_text())
        lowest = torch.tensor([0.0, float(cameras["chin_y"]) - BELOW_CHIN, 0.0])
        views = [_read_view(folder / n, e, lowest) for n, e in cameras["pictures"].items()]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not cameras of pictures ({error!r})") from None
    return {view.name: view for view in views}


def _read_view(path: Path, entry: Mapping[str, object], lowest: torch.Tensor) -> TrueView:
    """One entry of cameras.json; `lowest` [3] is the world's point down to which it counts."""
    if not path.is_file():
        raise InputError(f"{path}: expected a picture, found none")
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        rgba = np.asarray(np.asarray(image.convert("RGBA")) / 255, np.float32)
    height, width = rgba.shape[:2]
    K, viewmat = (torch.tensor(entry[key], dtype=torch.float32) for key in ("K", "viewmat"))
    expression = entry["expression"]
    assert isinstance(expression, Mapping)
    camera = Camera(viewmat, K, width, height)
    return TrueView(
        path.stem,
        over_mid_grey(rgba[..., :3], rgba[..., 3]),
        rgba[..., 3],
        camera,
        float(str(entry["yaw_deg"])),
        float(str(entry["pitch_deg"])),
        _arkit_weights(expression),
        int(project(camera, lowest)[1].clamp(1, height)),
    )


def _arkit_weights(expression: Mapping[str, float]) -> dict[str, float]:
    """Names without a side are of both: mouthSmile."""
    weights: dict[str, float] = {}
    for name, value in expression.items():
        weights |= {name: value} if name in ARKIT_NAMES else both(name, value)
    return weights


@dataclass(frozen=True)
class Placement:
    """Where an avatar is in the truth's world: x_world = scale (rotmat x + shift)."""

    rotmat: torch.Tensor  # [3, 3]
    shift: torch.Tensor  # [3] metres of the avatar
    scale: float

    def camera(self, truth: Camera) -> Camera:
        """The avatar's camera that sees what the truth's sees; depths are the avatar's."""
        viewmat = torch.eye(4)
        viewmat[:3, :3] = truth.viewmat[:3, :3] @ self.rotmat
        viewmat[:3, 3] = truth.viewmat[:3, :3] @ self.shift + truth.viewmat[:3, 3] / self.scale
        return replace(truth, viewmat=viewmat)


def place_avatar(renderer: AvatarRenderer, front: TrueView) -> Placement:
    """By the landmarks of the picture from the front, the eyes at the depth of the origin.

    Raises FaceError if it shows no face.
    """
    face = detect_face(to_uint8(front.rgb))
    binding = load_landmark_binding()
    vertices = renderer.animator.vertices(renderer.avatar.codes)
    points = (vertices[binding.vertex_ids] * binding.bary[..., None]).sum(1).double().numpy()
    use = topology.tracking_weights() >= 1
    K = front.camera.K.double().numpy()
    pixels = face.points[use, :2].astype(np.float64)
    _, rvec, tvec = cv2.solvePnP(
        points[use], pixels, K, np.zeros(4), np.array([[np.pi], [0.0], [0.0]]),
        np.array([[0.0], [0.0], [1.5]]), True, cv2.SOLVEPNP_ITERATIVE,
    )  # fmt: skip
    turn = torch.from_numpy(np.asarray(cv2.Rodrigues(rvec)[0])).float()
    shift = torch.from_numpy(np.asarray(tvec[:, 0])).float()
    eyes = vertices[renderer.animator.head.masks["eyes"] > 0.5].mean(0)
    to_world, origin = front.camera.viewmat[:3, :3].T, front.camera.viewmat[:3, 3]
    scale = float(origin[2] / (turn @ eyes + shift)[2])
    return Placement(to_world @ turn, to_world @ (shift - origin / scale), scale)


def _codes(renderer: AvatarRenderer, view: TrueView) -> FlameCodes:
    """As in its photo, or with the view's expression."""
    photo = renderer.avatar.codes
    return renderer.codes(view.expression) if view.expression else photo


def _draw(
    renderer: AvatarRenderer, codes: FlameCodes, camera: Camera
) -> tuple[RgbImage, NDArray[np.float32]]:
    rgba = rasterize(renderer.animator.animate(codes), camera).rgba.numpy()
    return premultiplied_over_mid_grey(rgba[..., :3], rgba[..., 3]), rgba[..., 3]


def view_figures(
    shown: RgbImage, alpha: NDArray[np.float32], truth: TrueView
) -> tuple[float, float, float]:
    """PSNR and HaarPSI distance over both persons' pixels, IoU of the outlines."""
    rows = slice(0, truth.compared)
    shown, wanted = shown[rows], truth.rgb[rows]
    own, true = alpha[rows] > OUTLINE, truth.alpha[rows] > OUTLINE
    either = own | true
    iou = float((own & true).sum() / max(1, either.sum()))
    return psnr_db(shown[either], wanted[either]), haarpsi_distance(shown, wanted, either), iou
