"""Self-reenactment: an avatar from part of a video, driven through the rest, against the truth.

Expressions come from the tracker with the avatar's identity held. Pictures are compared at the
portrait's 512 pixels over mid grey, in the head (the person's matte above the chin) and in the
face hull (the landmarks' convex hull), beside two baselines that know no 3D: the first frame
copied, and the first frame moved by the best 2D similarity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.avatar import Animator
from flexavatar.capture.identity import describe
from flexavatar.capture.landmarks import FaceLandmarks, detect_face, detect_faces, refine_face
from flexavatar.capture.photo import photo_from_array
from flexavatar.capture.portrait import Portrait, crop_portrait
from flexavatar.capture.rig import load_track_rig, photo_codes
from flexavatar.capture.track import TrackRig, track
from flexavatar.create import CreateConfig, create_avatar
from flexavatar.errors import FaceError, InputError
from flexavatar.evaluation.metrics import GREY, psnr_db
from flexavatar.fit import ssim_map
from flexavatar.formats.video import read_frames
from flexavatar.render.rasterize import rasterize

EVALUATED = 40
"""Frames compared, evenly spaced."""
CHIN = 152

Picture = NDArray[np.float32]  # [S, S, 3] 0..1
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SelfScores:
    """Means over the compared frames; higher is better for psnr and ssim, lower for the rest."""

    head_psnr: float
    head_ssim: float
    hull_psnr: float
    hull_ssim: float
    akd_px: float
    """Mean distance of the 468 face landmarks, detected in both, at 512 pixels."""
    identity_distance: float
    """Of dlib's descriptors; one person in two photos is 0.3 to 0.5 apart."""
    copy_psnr: float
    warp_psnr: float


@dataclass(frozen=True)
class _Sight:
    """One frame of the truth."""

    portrait: Portrait
    offset: NDArray[np.float64]  # [2] portrait pixels = frame pixels * enlarged + offset


def evaluate_self(
    video: Path,
    frames: int = 1,
    config: CreateConfig | None = None,
    progress: Progress = lambda what, share: None,
) -> SelfScores:
    """Score one video; the avatar is made from `frames` frames of its first half.

    With one frame that is the first, and all others are compared; with more, the second half is.
    """
    pictures = read_frames(video)
    half = len(pictures) // 2
    if not 1 <= frames <= max(half, 1):
        raise InputError(f"frames: expected 1 to {max(half, 1)} (half the video), got {frames}")
    used = [0] if frames == 1 else np.linspace(0, half - 1, frames).round().astype(int).tolist()
    start = 1 if frames == 1 else half
    asked = np.linspace(start, len(pictures) - 1, EVALUATED).round().astype(int)
    avatar = create_avatar(
        [pictures[i] for i in used], config, lambda what, share: progress(what, 0.6 * share)
    )
    rig = load_track_rig()
    betas = track([_sight(pictures[i]).portrait for i in used], rig).betas
    first, animator, rows = _sight(pictures[0]), Animator(avatar), []
    for n, i in enumerate(np.unique(asked)):
        rows.append(_score(_sight(pictures[i]), first, animator, rig, betas))
        progress(f"frame {i}", 0.6 + 0.4 * (n + 1) / len(asked))
    means = {f.name: float(np.nanmean([row[f.name] for row in rows])) for f in fields(SelfScores)}
    return SelfScores(**means)


def _sight(picture: NDArray[np.uint8]) -> _Sight:
    face = detect_face(picture)
    portrait = crop_portrait(photo_from_array(picture), face)
    moved = portrait.face.points[:, :2] - face.points[:, :2] * portrait.enlarged
    return _Sight(portrait, moved.mean(0).astype(np.float64))


def _score(
    sight: _Sight, first: _Sight, animator: Animator, rig: TrackRig, betas: NDArray[np.float64]
) -> Mapping[str, float]:
    """All figures of one frame."""
    portrait = sight.portrait
    pose = track([portrait], rig, betas=betas).photos[0]
    with torch.no_grad():
        codes = photo_codes(pose, animator.head)
        rgba = rasterize(animator.animate(codes), pose.camera).rgba.clamp(0, 1).numpy()
    shown = np.asarray(rgba[..., :3] + (1 - rgba[..., 3:]) * GREY, np.float32)
    truth = _over_grey(portrait.rgb, portrait.matte)
    head, hull = _regions(portrait)
    likeness = ssim_map(torch.from_numpy(shown), torch.from_numpy(truth)).mean(-1).numpy()
    found = _face_of(shown)
    return {
        "head_psnr": psnr_db(shown[head], truth[head]),
        "head_ssim": float(likeness[head].mean()),
        "hull_psnr": psnr_db(shown[hull], truth[hull]),
        "hull_ssim": float(likeness[hull].mean()),
        "akd_px": _landmark_distance(found, portrait.face),
        "identity_distance": _identity_distance(shown, found, portrait),
        "copy_psnr": _baseline_psnr(_copy_matrix(first, sight), first, truth, head),
        "warp_psnr": _baseline_psnr(_similarity(first, sight), first, truth, head),
    }


def _over_grey(rgb: Picture, matte: Picture) -> Picture:
    return np.asarray(rgb * matte[..., None] + (1 - matte[..., None]) * GREY, np.float32)


def _regions(portrait: Portrait) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Head and face hull: [S, S] each."""
    side = portrait.matte.shape[0]
    points = portrait.face.points[:, :2]
    above = np.arange(side)[:, None] < points[CHIN, 1]
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    filled = cv2.fillPoly(np.zeros((side, side), np.uint8), [hull], 1) > 0
    head = (portrait.matte > 0.5) & above & portrait.inside
    return head, filled & portrait.inside


def _face_of(picture: Picture) -> FaceLandmarks | None:
    rgb = np.ascontiguousarray((picture * 255).round().astype(np.uint8))
    faces = detect_faces(rgb)
    return refine_face(rgb, faces[0]) if faces else None


def _landmark_distance(found: FaceLandmarks | None, truth: FaceLandmarks) -> float:
    if found is None:
        raise FaceError("expected a face in the rendered avatar, found none")
    apart = found.points[:468, :2] - truth.points[:468, :2]
    return float(np.linalg.norm(apart, axis=1).mean())


def _identity_distance(shown: Picture, found: FaceLandmarks | None, portrait: Portrait) -> float:
    assert found is not None  # _landmark_distance has refused it
    pictures = ((shown, found), (portrait.rgb, portrait.face))
    one, other = (describe((p * 255).round().astype(np.uint8), face) for p, face in pictures)
    return float(np.linalg.norm(one - other))


def _copy_matrix(first: _Sight, sight: _Sight) -> NDArray[np.float64]:
    """First portrait to this one, pixels of the video standing still: [2, 3]."""
    scale = sight.portrait.enlarged / first.portrait.enlarged
    shift = sight.offset - first.offset * scale
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _similarity(first: _Sight, sight: _Sight) -> NDArray[np.float64]:
    """First portrait to this one by the best turn, size and shift of the landmarks: [2, 3]."""
    source = np.ascontiguousarray(first.portrait.face.points[:468, :2])
    target = np.ascontiguousarray(sight.portrait.face.points[:468, :2])
    matrix, _ = cv2.estimateAffinePartial2D(source, target, method=cv2.LMEDS)
    return np.asarray(matrix, np.float64)


def _baseline_psnr(
    matrix: NDArray[np.float64], first: _Sight, truth: Picture, head: NDArray[np.bool_]
) -> float:
    size = (truth.shape[1], truth.shape[0])
    rgb = cv2.warpAffine(first.portrait.rgb, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    matte = cv2.warpAffine(first.portrait.matte, matrix, size)
    picture = _over_grey(np.asarray(rgb, np.float32), np.asarray(matte, np.float32))
    return psnr_db(picture[head], truth[head])
