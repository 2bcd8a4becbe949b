"""Does an avatar bear a closer look? The same avatar drawn four times as large, and its eyes.

Zoom consistency: an expression is drawn at 512 pixels a side and at 2048, the large picture is
averaged 4 x 4, and both are compared inside the face's box. Holes between splats, which pixels of
the photo's own size hide, show as a difference.

Iris agreement: with the gaze at rest, moved and with wide eyes, each eye is drawn large. The rig
knows which pixels between the lids are iris: they must be dark, and the others light.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.capture import topology
from flexavatar.drive.expressions import (
    BROWS_UP,
    GAZE_DOWN,
    GAZE_LEFT,
    GAZE_RIGHT,
    GAZE_UP,
    both,
)
from flexavatar.evaluation.avatar_renderer import AvatarRenderer, Rgb8
from flexavatar.evaluation.contact_sheet import closeup, eyes_and_lips
from flexavatar.evaluation.report import Item, Picture
from flexavatar.formats.picture import to_uint8
from flexavatar.head.flame import FlameHead
from flexavatar.progress import Progress, no_progress
from flexavatar.render.camera import project, resize_camera
from flexavatar.render.composite import rasterize_over_grey
from flexavatar.render.mesh import render_mesh
from flexavatar.types import Camera, FlameCodes

ABOUT = """Every avatar is drawn in its photo's view at 512 pixels a side and at 2048; the large
picture is averaged 4 x 4. Zoom consistency is the PSNR between the two inside the face's box, the
mean and the worst of four expressions. Iris agreement is the share of the pixels between the lids
that are dark where the rig has the iris, light where it has the white: the worst and the mean over
both eyes and ten gazes. A millimetre under the upper lid, where its lashes hang, and the rim of the
iris are not counted, nor are eyes that show no white or no iris."""

SIDE, ENLARGED = 512, 4
EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "open smile": both("mouthSmile", 0.9) | both("cheekSquint", 0.5) | {"jawOpen": 0.3},
    "brows up": BROWS_UP,
}
"""Beside the photo's own."""
GAZES: Mapping[str, Mapping[str, float]] = {
    "ahead": {},
    **{
        f"{name} {level:g}": dict.fromkeys(shapes, level)
        for level in (0.4, 0.8)
        for name, shapes in (
            ("left", GAZE_LEFT),
            ("right", GAZE_RIGHT),
            ("up", GAZE_UP),
            ("down", GAZE_DOWN),
        )
    },
    "wide": both("eyeWide"),
}
EYES = {"left": ("leye", 3), "right": ("reye", 4)}
"""Mask and joint of each."""
EYE_WIDTH_M, EYE_PX = 0.036, 288
LASHES_M, RIM_M = 1.2e-3, 0.5e-3
"""Distance from the upper lid and from the lower within which lashes and lid rims may lie."""
INNER, OUTER = 0.88, 1.12
"""Radii of the iris between which its rim is neither."""
FEWEST_PX = 40
"""Of iris and of white, for an eye to be judged."""
CLOSEUP_WIDTH_M = 0.115
LUMINANCE = np.array((0.3, 0.6, 0.1), np.float32)


@dataclass(frozen=True)
class EyePixels:
    """One eye as the rig has it in a picture."""

    opening: NDArray[np.bool_]  # [H, W] eyeball between the lids, without lashes and rims
    radii: NDArray[np.float32]  # [H, W] distance from the iris's middle in its radii


@torch.no_grad()
def evaluate_detail(avatar: AnyAvatar, name: str, progress: Progress = no_progress) -> Item:
    """Zoom consistency and iris agreement of an avatar, with pictures at four times the size."""
    renderer = AvatarRenderer.of(avatar)
    pictures: list[Picture] = []
    expressions = {"photo": avatar.codes} | {n: renderer.codes(w) for n, w in EXPRESSIONS.items()}
    consistency: dict[str, float] = {}
    for i, (label, codes) in enumerate(expressions.items()):
        progress(f"zoom: {label}", 0.5 * i / len(expressions))
        consistency[label], picture = zoom_consistency_db(renderer, codes)
        pictures.append(Picture(f"{label}: {consistency[label]:.1f} dB", picture))
    agreement: dict[str, float] = {}
    for i, (label, weights) in enumerate(GAZES.items()):
        progress(f"gaze: {label}", 0.5 + 0.5 * i / len(GAZES))
        found = iris_agreement(renderer, renderer.codes(weights))
        agreement |= {f"{label}, {side}": share for side, share in found.items()}
        pictures.append(Picture(_gaze_caption(label, found), _eyes_closeup(renderer, weights)))
    figures = {
        "zoom_consistency_db": float(np.mean([*consistency.values()])),
        "zoom_consistency_worst_db": min(consistency.values()),
        "iris_agreement": min(agreement.values(), default=math.nan),
        "iris_agreement_mean": float(np.mean([*agreement.values()])) if agreement else math.nan,
    }
    rows = [{"what": key, "value": value} for key, value in {**consistency, **agreement}.items()]
    return Item(name, figures, pictures, tables={"details": rows})


def zoom_consistency_db(renderer: AvatarRenderer, codes: FlameCodes) -> tuple[float, Rgb8]:
    """PSNR inside the face's box of one picture at 512 pixels and at four times as many.

    Also the large picture of the box, uint8 [H, W, 3].
    """
    gaussians = renderer.animator.animate(codes)
    camera = resize_camera(renderer.avatar.camera, SIDE, SIDE)
    large_camera = resize_camera(renderer.avatar.camera, SIDE * ENLARGED, SIDE * ENLARGED)
    small = rasterize_over_grey(gaussians, camera)
    large = rasterize_over_grey(gaussians, large_camera)
    averaged = large.reshape(SIDE, ENLARGED, SIDE, ENLARGED, 3).mean((1, 3))
    rows, columns = _face_box(renderer, codes, camera)
    error = float(np.mean((small[rows, columns] - averaged[rows, columns]) ** 2))
    wide = [slice(s.start * ENLARGED, s.stop * ENLARGED) for s in (rows, columns)]
    return -10 * math.log10(max(error, 1e-10)), to_uint8(large[wide[0], wide[1]])


def _face_box(renderer: AvatarRenderer, codes: FlameCodes, camera: Camera) -> tuple[slice, slice]:
    """Rows and columns around the face, all of them inside the picture."""
    face = renderer.animator.head.masks["face"] > 0.5
    pixels = project(camera, renderer.animator.vertices(codes)[face])[:, :2].numpy()
    low = np.floor(pixels.min(0)).astype(int).clip(0, camera.width - 8)
    high = np.ceil(pixels.max(0)).astype(int).clip(low + 8, camera.width)
    return slice(low[1], high[1]), slice(low[0], high[0])


def iris_agreement(renderer: AvatarRenderer, codes: FlameCodes) -> dict[str, float]:
    """By side, the share of an eye's pixels that are as dark or light as the rig says."""
    gaussians = renderer.animator.animate(codes)
    vertices = renderer.animator.vertices(codes)
    head, neutral = renderer.animator.head, renderer.avatar.neutral
    found: dict[str, float] = {}
    for side, (mask, _) in EYES.items():
        own = head.masks[mask] > 0.5
        camera = closeup(renderer.avatar.camera, vertices[own].mean(0), EYE_WIDTH_M, EYE_PX)
        eye = eye_pixels(head, neutral, vertices, side, camera)
        light = rasterize_over_grey(gaussians, camera) @ LUMINANCE
        share = agreement_of(light, eye)
        if not math.isnan(share):
            found[side] = share
    return found


def eye_pixels(
    head: FlameHead, neutral: Tensor, vertices: Tensor, side: str, camera: Camera
) -> EyePixels:
    """What the rig shows of one eye: neutral and posed vertices [V, 3]."""
    mask, joint = EYES[side]
    own = head.masks[mask] > 0.5
    seen = render_mesh(vertices, head.faces, camera)
    face = seen.face_ids.clamp_min(0)
    opening = ((seen.face_ids >= 0) & own[head.faces].all(1)[face]).numpy()
    arms = (neutral[head.faces[face]] * seen.bary[..., None]).sum(-2) - head.joints(neutral)[joint]
    radius = (neutral[own] - head.joints(neutral)[joint]).norm(dim=-1).median()
    rim = torch.asin((topology.IRIS_RADIUS / radius).clamp(max=0.99))
    radii = torch.atan2(arms[..., :2].norm(dim=-1), arms[..., 2]) / rim
    for half, reach in (("upper", LASHES_M), ("lower", RIM_M)):
        opening &= _far_from_lid(head, vertices, f"{side}_{half}_lid_middle", reach, camera)
    return EyePixels(opening, radii.numpy())


def _far_from_lid(
    head: FlameHead, vertices: Tensor, ring: str, reach_m: float, camera: Camera
) -> NDArray[np.bool_]:
    """Pixels further than `reach_m` metres from a lid's margin: [H, W]."""
    margin = project(camera, vertices[head.rings[ring]])
    reach = reach_m * float(camera.K[0, 0] / margin[:, 2].mean())
    line = np.zeros((camera.height, camera.width), np.uint8)
    points = np.round(margin[:, :2].numpy() * 8).astype(np.int32)
    cv2.polylines(line, [points], False, 1, max(1, round(2 * reach)), shift=3)
    return line == 0


def agreement_of(light: NDArray[np.float32], eye: EyePixels) -> float:
    """Share of the opening that is darker than half-way inside the iris, lighter outside.

    Half-way is between the medians of the two; NaN where too little of either is seen.
    """
    iris, white = eye.opening & (eye.radii < INNER), eye.opening & (eye.radii > OUTER)
    if min(int(iris.sum()), int(white.sum())) < FEWEST_PX:
        return math.nan
    half_way = 0.5 * (np.median(light[iris]) + np.median(light[white]))
    right = (light[iris] < half_way).sum() + (light[white] >= half_way).sum()
    return float(right / (iris.sum() + white.sum()))


def _eyes_closeup(renderer: AvatarRenderer, weights: Mapping[str, float]) -> Rgb8:
    """Both eyes, large."""
    eyes, _ = eyes_and_lips(renderer)
    side = 2 * SIDE
    camera = closeup(renderer.avatar.camera, eyes, CLOSEUP_WIDTH_M, side)
    return renderer.render(renderer.codes(weights), camera)[side // 4 : -side // 4]


def _gaze_caption(label: str, found: Mapping[str, float]) -> str:
    shares = ", ".join(f"{side} {share:.2f}" for side, share in found.items())
    return f"{label}: {shares or 'not judged'}"
