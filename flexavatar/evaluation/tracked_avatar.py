"""An avatar made to look like a picture: the codes and camera for it, and how poses compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAnimator, animator_of
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.read_portraits import PhotoOrVideo, read_portraits
from flexavatar.capture.track import PhotoPose, photo_codes, track
from flexavatar.create.align import align, pose_renderer
from flexavatar.create.create import READING_SHARE, CreateConfig, create_avatar_from_portraits
from flexavatar.progress import Progress
from flexavatar.render.composite import RgbImage, rasterize_over_grey
from flexavatar.types import Camera, FlameCodes


@dataclass(frozen=True)
class TrackedAvatar:
    """An avatar, and the identity with which the tracker follows its person."""

    animator: AnyAnimator
    betas: NDArray[np.float64]  # [B] the identity that the tracker holds


@dataclass(frozen=True)
class DrivingPose:
    """Codes and camera in which an avatar looks like a picture."""

    codes: FlameCodes
    camera: Camera
    tracked: PhotoPose
    """Tracked in the picture: what expression and pose of the drawn avatar are compared with."""


def create_from_sources(
    sources: Sequence[PhotoOrVideo], config: CreateConfig | None, progress: Progress
) -> TrackedAvatar:
    """An avatar from photos of one person. Raises as `create_avatar` does."""
    portraits = read_portraits(sources, lambda what, share: progress(what, READING_SHARE * share))
    return create_from_portraits(portraits, config, progress)


def create_from_portraits(
    portraits: Sequence[Portrait], config: CreateConfig | None, progress: Progress
) -> TrackedAvatar:
    """The same from portraits that are read already."""
    best_first = sorted(portraits, key=lambda portrait: portrait.quality_penalty)
    avatar = create_avatar_from_portraits(best_first, config, progress)
    return TrackedAvatar(animator_of(avatar), track(best_first, load_landmark_rig()).betas)


def align_to(portrait: Portrait, avatar: TrackedAvatar) -> DrivingPose:
    """The pose in which the avatar looks like `portrait`: by landmarks, then by the picture."""
    tracked = track_pose(portrait, avatar.betas)
    seen = pose_renderer(avatar.animator)
    aligned = align(portrait, tracked, load_landmark_rig(), avatar.betas, seen)
    return replace(driving_pose(aligned, avatar), tracked=tracked)


def driving_pose(pose: PhotoPose, avatar: TrackedAvatar) -> DrivingPose:
    """A tracked pose as codes of the avatar and its camera."""
    return DrivingPose(photo_codes(pose, avatar.animator.head), pose.camera, pose)


def track_pose(portrait: Portrait, betas: NDArray[np.float64]) -> PhotoPose:
    """Expression, gaze and head pose in a picture of a person whose identity [B] is known."""
    return track([portrait], load_landmark_rig(), betas=betas).photos[0]


def track_drawn_pose(
    face: FaceLandmarks, portrait: Portrait, betas: NDArray[np.float64]
) -> PhotoPose:
    """The same for a face that was drawn in the portrait's crop."""
    return track_pose(replace(portrait, face=face), betas)


def draw(avatar: TrackedAvatar, driving: DrivingPose) -> RgbImage:
    """The avatar over mid grey."""
    return rasterize_over_grey(avatar.animator.animate(driving.codes), driving.camera)


def aed(one: PhotoPose, other: PhotoPose) -> float:
    """Average expression distance: mean absolute difference of the 52 ARKit weights, 0..1.

    Of our own tracker with the identity held, in the drawn avatar and in the truth. The papers
    measure other codes: their numbers have other units.
    """
    return float(np.abs(one.weights - other.weights).mean())


def apd_deg(one: PhotoPose, other: PhotoPose) -> float:
    """Average pose distance: the angle of the turn from one head pose to the other, degrees."""
    turn = one.rotation @ other.rotation.T
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def gaze_deg(one: PhotoPose, other: PhotoPose) -> float:
    """Mean absolute difference of both eyes' pitch and yaw in the head, degrees."""
    return float(np.degrees(np.abs(one.gaze - other.gaze)).mean())
