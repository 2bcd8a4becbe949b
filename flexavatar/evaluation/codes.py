"""An avatar made to look like a picture: whose codes and camera it takes, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAnimator, animator_of
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.rig import load_track_rig, photo_codes
from flexavatar.capture.sources import PhotoOrVideo, read_portraits
from flexavatar.capture.track import PhotoPose, track
from flexavatar.create.align import align, drawn_by
from flexavatar.create.create import READING_SHARE, CreateConfig, avatar_of
from flexavatar.progress import Progress
from flexavatar.render.backdrop import RgbImage, rasterize_over_grey
from flexavatar.types import Camera, FlameCodes


@dataclass(frozen=True)
class Actor:
    """An avatar that can be made to look like a picture of its person."""

    animator: AnyAnimator
    betas: NDArray[np.float64]  # [B] the identity that the tracker holds


@dataclass(frozen=True)
class Drive:
    """What an avatar takes over from a picture."""

    codes: FlameCodes
    camera: Camera
    pose: PhotoPose
    """As the tracker saw it: what the expression and pose of the drawn avatar are held against."""


def make_actor(
    sources: Sequence[PhotoOrVideo], config: CreateConfig | None, progress: Progress
) -> Actor:
    """An avatar from photos of one person. Raises as `create_avatar` does."""
    portraits = read_portraits(sources, lambda what, share: progress(what, READING_SHARE * share))
    return actor_of(portraits, config, progress)


def actor_of(
    portraits: Sequence[Portrait], config: CreateConfig | None, progress: Progress
) -> Actor:
    """An avatar from portraits, with the identity that creation found in them too."""
    best_first = sorted(portraits, key=lambda portrait: portrait.quality_penalty)
    avatar = avatar_of(best_first, config, progress)
    return Actor(animator_of(avatar), track(best_first, load_track_rig()).betas)


def follow(portrait: Portrait, actor: Actor) -> Drive:
    """How the avatar is to be drawn to look like `portrait`: landmarks first, then the picture."""
    tracked = pose_of(portrait, actor.betas)
    seen = drawn_by(actor.animator)
    aligned = align(portrait, tracked, load_track_rig(), actor.betas, seen)
    return replace(drive_of(aligned, actor), pose=tracked)


def drive_of(pose: PhotoPose, actor: Actor) -> Drive:
    """A tracked pose as codes of the avatar and its camera."""
    return Drive(photo_codes(pose, actor.animator.head), pose.camera, pose)


def pose_of(portrait: Portrait, betas: NDArray[np.float64]) -> PhotoPose:
    """Expression, gaze and head pose in a picture of a person whose identity [B] is known."""
    return track([portrait], load_track_rig(), betas=betas).photos[0]


def pose_in(face: FaceLandmarks, portrait: Portrait, betas: NDArray[np.float64]) -> PhotoPose:
    """The same for a face that was drawn in the portrait's crop."""
    return pose_of(replace(portrait, face=face), betas)


def draw(actor: Actor, codes: FlameCodes, camera: Camera) -> RgbImage:
    """The avatar over mid grey."""
    return rasterize_over_grey(actor.animator.animate(codes), camera)


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
