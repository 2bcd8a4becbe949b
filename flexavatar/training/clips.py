"""Samples of real videos: a tracked person, of whom nothing is known but the pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.avatar.poser import rig_with_own_lids
from flexavatar.capture.cropped_frame import crop_frames
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.track import PhotoPose, Track, photo_codes, track
from flexavatar.create.posed_views import pose_views
from flexavatar.drive.expressions import gaze_weights
from flexavatar.errors import FaceError, InputError
from flexavatar.formats.video_reader import count_frames, evenly_spaced
from flexavatar.head.arkit import ARKIT_INDEX
from flexavatar.head.open_head import load_open_head
from flexavatar.models.config import QUERY_LRM_TINY, ChartSizes
from flexavatar.progress import (
    Progress,
    StageProgress,
    no_progress,
    no_stage_progress,
    part_progress,
)
from flexavatar.render.camera import resize_camera
from flexavatar.training.config import FRAMES
from flexavatar.training.samples import (
    KIND_NAMES,
    Sample,
    network_inputs,
    save_sample,
    stack_frames,
    to_byte_tensor,
)

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
SAMPLED_FRAMES = 72
"""Frames of a video, evenly spaced."""
JOINTLY_TRACKED = 8
"""Of them are tracked together, which says who it is; the others with that identity."""
PHOTOS = 2
"""The network's inputs: as many frames that are not among those to be learned from."""
LARGEST_RMS_PX = 6.0
"""At 512 pixels a side; landmarks further off are not trusted."""

TrackedPortrait = tuple[Portrait, PhotoPose]


def fill_clips(
    videos: Path,
    folder: Path,
    progress: Progress = no_progress,
    config: ChartSizes = QUERY_LRM_TINY,
) -> list[Path]:
    """Write samples of every video in a folder, each of one person; those that exist are kept.

    Raises InputError if there are no videos, FaceError with the name of one that shows too little.
    """
    found = sorted(path for path in videos.glob("*") if path.suffix.lower() in VIDEOS)
    if not found:
        raise InputError(f"{videos}: expected videos ({' '.join(VIDEOS)}), found none")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for number, video in enumerate(found):
        key = hashlib.sha256(video.read_bytes()).hexdigest()[:12]
        paths = sorted(folder.glob(f"clip_{key}_*.safetensors"))
        if not paths:
            part = part_progress(progress, f"reading {video.name}", number, len(found))
            for i, sample in enumerate(clip_samples(video, config, part)):
                paths.append(folder / f"clip_{key}_{i:02d}.safetensors")
                save_sample(sample, paths[-1])
        written += paths
    return written


def clip_samples(
    video: Path, config: ChartSizes = QUERY_LRM_TINY, progress: StageProgress = no_stage_progress
) -> list[Sample]:
    """One video of one person as several samples, each of FRAMES frames from all over it.

    Raises FaceError if fewer than FRAMES + PHOTOS frames can be tracked.
    """
    asked = evenly_spaced(0, count_frames(video) - 1, SAMPLED_FRAMES)
    portraits: list[Portrait] = []
    for n, (_, frame) in enumerate(crop_frames(video, asked)):
        portraits += [frame.portrait] if frame is not None else []
        progress(0.5 * (n + 1) / len(asked))
    if len(portraits) < FRAMES + PHOTOS:
        raise FaceError(
            f"{video.name}: expected a face in at least {FRAMES + PHOTOS} frames, found it in "
            f"{len(portraits)} of {len(asked)}"
        )
    betas = track(_pick_evenly(portraits, JOINTLY_TRACKED), load_landmark_rig()).betas
    seen = _track_frames(portraits, betas, lambda share: progress(0.5 + 0.4 * share))
    if len(seen) < FRAMES + PHOTOS:
        raise FaceError(
            f"{video.name}: expected a face that can be followed in at least {FRAMES + PHOTOS} "
            f"frames, got {len(seen)}"
        )
    count = len(seen) // (FRAMES + PHOTOS)
    return [_make_sample(seen[i::count], betas, config) for i in range(count)]


def _pick_evenly(portraits: Sequence[Portrait], count: int) -> list[Portrait]:
    return [portraits[i] for i in evenly_spaced(0, len(portraits) - 1, count)]


def _track_frames(
    portraits: Sequence[Portrait], betas: NDArray[np.float64], progress: StageProgress
) -> list[TrackedPortrait]:
    """The frames that the tracker fits within LARGEST_RMS_PX."""
    seen: list[TrackedPortrait] = []
    for n, portrait in enumerate(portraits):
        found = track([portrait], load_landmark_rig(), betas=betas)
        if found.rms_px[0] < LARGEST_RMS_PX:
            seen.append((portrait, found.photos[0]))
        progress((n + 1) / len(portraits))
    return seen


def _make_sample(
    seen: Sequence[TrackedPortrait], betas: NDArray[np.float64], config: ChartSizes
) -> Sample:
    """One sample: the most frontal portraits are the photos, evenly spaced others the frames."""
    best = sorted(range(len(seen)), key=lambda i: seen[i][0].quality_penalty)[:PHOTOS]
    rest = [i for i in range(len(seen)) if i not in best]
    photos, poses = zip(*(seen[i] for i in best), strict=True)
    head = load_open_head()
    placed = pose_views(photos, Track(betas, poses, (0.0,) * len(poses)), head)
    frames = [seen[rest[i]] for i in evenly_spaced(0, len(rest) - 1, FRAMES)]
    own = rig_with_own_lids(placed.neutral, head)
    rows: list[dict[str, Tensor]] = []
    for portrait, pose in frames:
        moved = own.pose(placed.neutral, photo_codes(pose, own)).vertices - placed.neutral
        camera = resize_camera(pose.camera, config.image_side, config.image_side)
        rows.append(
            {
                "moves": moved.half(),
                "weights": _weights(pose),
                "kinds": torch.tensor(KIND_NAMES.index("natural")),
                "viewmats": camera.viewmat,
                "Ks": camera.K,
                **_premultiplied_picture(portrait, config.image_side),
            }
        )
    return Sample(**network_inputs(photos, placed, config), **stack_frames(rows), targets=None)


def _weights(pose: PhotoPose) -> Tensor:
    """ARKit weights of a tracked pose, gaze among them: [52]."""
    weights = torch.from_numpy(pose.weights).float()
    (left_pitch, left_yaw), (right_pitch, right_yaw) = pose.gaze.tolist()
    for name, value in gaze_weights((left_yaw, -left_pitch), (right_yaw, -right_pitch)).items():
        weights[ARKIT_INDEX[name]] = value
    return weights


def _premultiplied_picture(portrait: Portrait, side: int) -> dict[str, Tensor]:
    """Fields `rgb` and `cover`: the person, premultiplied, at the size of the network's input."""
    cover = np.asarray(portrait.matte * portrait.inside, np.float32)
    colors = np.asarray(portrait.colors * cover[..., None], np.float32)
    return {"rgb": _shrink(colors, side), "cover": _shrink(cover, side)}


def _shrink(picture: NDArray[np.float32], side: int) -> Tensor:
    shrunk = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return to_byte_tensor(torch.from_numpy(np.asarray(shrunk, np.float32)))
