"""The person's head at rest, and how each photo shows it: what every later step looks through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.poser import rig_with_own_lids
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.track import Track, photo_codes
from flexavatar.create.hair_volume import hair_volume
from flexavatar.create.iris import SIDES, EyeView, eye_view, eyeball_of, gaze_error
from flexavatar.head.binding import SurfaceMotion, surface_motion
from flexavatar.head.eyelids import eyelid_openings
from flexavatar.head.flame import FlameHead
from flexavatar.types import Camera, FlameCodes


@dataclass(frozen=True)
class PosedView:
    """One photo, and the head as it is posed in it."""

    portrait: Portrait
    camera: Camera
    motion: SurfaceMotion  # neutral to this photo's expression
    openings: Tensor  # [2] metres that the left and the right eye are open

    def sits_with(self, other: PosedView) -> bool:
        """Taken in one go, as frames of a video are: hair and clothes are the same."""
        lens = self.portrait.lens
        return self is other or (lens is not None and lens == other.portrait.lens)

    def eyes(self, head: FlameHead, neutral: Tensor) -> tuple[EyeView, ...]:
        """The left eye and the right one of a head at rest [V, 3]."""
        balls = {s: eyeball_of(head, neutral, self.motion.vertices, s) for s in SIDES}
        return tuple(eye_view(self.portrait, self.camera, ball, s) for s, ball in balls.items())


@dataclass(frozen=True)
class PosedViews:
    """A person's head and every photo of it, the best first."""

    head: FlameHead
    neutral: Tensor  # [V, 3] at rest, hair included, metres
    views: tuple[PosedView, ...]
    codes: tuple[FlameCodes, ...]  # a view each
    hair_height: Tensor  # [V] metres that hair lifts the neutral head's surface

    @property
    def portraits(self) -> tuple[Portrait, ...]:
        """The photos, in the views' order."""
        return tuple(view.portrait for view in self.views)


def pose_views(portraits: Sequence[Portrait], tracked: Track, head: FlameHead) -> PosedViews:
    """The tracked person's neutral head on this rig, with hair, and every photo's view of it."""
    cameras = [pose.camera for pose in tracked.photos]
    bald = head.neutral(torch.from_numpy(tracked.betas).float())
    own = rig_with_own_lids(bald, head)
    tracked_codes = (photo_codes(pose, head) for pose in tracked.photos)
    codes = tuple(
        _refine_gaze(c, portrait, camera, own, bald)
        for c, portrait, camera in zip(tracked_codes, portraits, cameras, strict=True)
    )
    posed = [own.pose(bald, c).vertices for c in codes]
    neutral = hair_volume(portraits, cameras, posed, own, bald)
    motions = [surface_motion(neutral, own.pose(neutral, c).vertices, own.faces) for c in codes]
    views = (
        PosedView(portrait, camera, motion, eyelid_openings(own, motion.vertices))
        for portrait, camera, motion in zip(portraits, cameras, motions, strict=True)
    )
    return PosedViews(head, neutral, tuple(views), codes, (neutral - bald).norm(dim=-1))


def _refine_gaze(
    codes: FlameCodes, portrait: Portrait, camera: Camera, head: FlameHead, neutral: Tensor
) -> FlameCodes:
    """A photo's codes with both eyes turned to where the picture has their irises."""
    vertices = head.pose(neutral, codes).vertices
    turned = dict(vars(codes))
    for side in SIDES:
        name, ball = f"{side[0]}eye_pose", eyeball_of(head, neutral, vertices, side)
        pitch, yaw = gaze_error(eye_view(portrait, camera, ball, side))
        turned[name] = turned[name] + torch.tensor([pitch, yaw, 0.0])
    return FlameCodes(**turned)
