"""Photos -> avatar: landmarks, matte, tracking, a first guess of every Gaussian, then fitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from flexavatar.appearance.assemble import Splats, first_guess
from flexavatar.appearance.evidence import View
from flexavatar.appearance.hair import hair_volume
from flexavatar.appearance.refine import refine
from flexavatar.appearance.regions import make_texels
from flexavatar.avatar import Animator, Avatar, head_of
from flexavatar.capture.align import align, drawn_by
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.rig import load_track_rig, photo_codes
from flexavatar.capture.sources import Source, read_portraits
from flexavatar.capture.track import Track, track
from flexavatar.errors import FaceError
from flexavatar.fit import FitConfig
from flexavatar.head.binding import surface_motion
from flexavatar.head.eyelids import lid_openings
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.types import SH_C0, FlameCodes

READING_SHARE = 0.15
"""Of the time that it takes."""
Progress = Callable[[str, float], None]
"""(what is being done, share of the whole 0..1)."""


@dataclass(frozen=True)
class CreateConfig:
    """How an avatar is made."""

    quick: bool = False
    """Ten seconds instead of up to a minute: fewer fitting steps, photos not aligned."""
    texels: int = 256
    """Side of the chart; about 0.65 of its square become Gaussians on the surface."""
    spacing_px: float = 3.0
    """Distance between loose Gaussians in the 512-pixel portrait."""
    steps: int = 260
    """Of fitting; about nine a second on two cores."""
    rough_steps: int = 48
    """Of the fit that several photos are aligned with, before the one that counts."""
    quick_steps: int = 30
    """Of fitting, when `quick`."""
    seed: int = 0
    """Of the fit's changing backgrounds."""


def create_avatar(
    photos: Sequence[Source],
    config: CreateConfig | None = None,
    progress: Progress = lambda stage, share: None,
) -> Avatar:
    """One avatar from 1 to 16 photos or videos of one person, in any order.

    Of a video the sharp frames that differ most are used. The most frontal picture with open eyes
    decides hair, clothes and framing; each bit of the face comes from where it is seen best. Raises
    ImageError or FaceError, with the photo's or video's number, for one that cannot be used, and
    InputError for a wrong number of them.
    """
    portraits = read_portraits(photos, lambda what, share: progress(what, READING_SHARE * share))
    return avatar_of(portraits, config, progress)


def avatar_of(
    portraits: Sequence[Portrait],
    config: CreateConfig | None = None,
    progress: Progress = lambda stage, share: None,
) -> Avatar:
    """One avatar from portraits of one person, the best first. Raises FaceError."""
    config = config or CreateConfig()
    try:
        avatar = _build(portraits, config, progress)
    except np.linalg.LinAlgError as error:
        raise FaceError(f"the head could not be fitted to the photos ({error})") from None
    if not avatar.is_finite():
        raise FaceError("the head could not be fitted to the photos (not finite)")
    return avatar


def _build(portraits: Sequence[Portrait], config: CreateConfig, progress: Progress) -> Avatar:
    """Track, guess, fit."""
    progress("placing the head", 0.16)
    tracked = track(portraits, load_track_rig())
    head = load_open_head()
    progress("building the head", 0.18)
    neutral, views, codes = _place(portraits, tracked, head)
    progress("painting the head", 0.22)
    texels = make_texels(head, config.texels)
    guess = first_guess(views, texels, head, neutral, config.spacing_px)
    if len(portraits) > 1 and not config.quick:
        fit = FitConfig(steps=config.rough_steps, seed=config.seed)
        rough = _avatar(refine(guess, views, fit), neutral, views, codes)
        tracked = _aligned(portraits, tracked, rough, progress)
        neutral, views, codes = _place(portraits, tracked, head)
        guess = first_guess(views, texels, head, neutral, config.spacing_px)
    steps = config.quick_steps if config.quick else config.steps
    fit = FitConfig(steps=steps, seed=config.seed)
    fitted = refine(guess, views, fit, lambda share: progress("fitting", 0.3 + 0.7 * share))
    return _avatar(fitted, neutral, views, codes)


def _avatar(
    splats: Splats, neutral: Tensor, views: Sequence[View], codes: Sequence[FlameCodes]
) -> Avatar:
    sh = ((splats.colors - 0.5) / SH_C0)[:, None]
    camera, opacities = views[0].camera, splats.opacities
    own = (splats.binding, splats.local, opacities, sh)
    return Avatar(neutral, *own, camera, codes[0], splats.lids)


def _aligned(
    portraits: Sequence[Portrait], tracked: Track, rough: Avatar, progress: Progress
) -> Track:
    """All photos but the first, moved to where a rough avatar agrees with them.

    A pixel of disagreement between photos is a pixel of blur in the avatar.
    """
    seen, poses = drawn_by(Animator(rough)), list(tracked.photos)
    for i in range(1, len(poses)):
        progress(f"aligning photo {i + 1} of {len(poses)}", 0.22 + 0.08 * i / len(poses))
        poses[i] = align(portraits[i], poses[i], load_track_rig(), tracked.betas, seen)
    return replace(tracked, photos=tuple(poses))


def _place(
    portraits: Sequence[Portrait], tracked: Track, head: FlameHead
) -> tuple[Tensor, list[View], list[FlameCodes]]:
    """The person's neutral head with hair, and every photo's view of it."""
    codes = [photo_codes(pose, head) for pose in tracked.photos]
    bald = head.neutral(torch.from_numpy(tracked.betas).float())
    own = head_of(bald, head)
    neutral = hair_volume(_views(portraits, tracked, own, bald, codes), own, bald)
    return neutral, _views(portraits, tracked, own, neutral, codes), codes


def _views(
    portraits: Sequence[Portrait],
    tracked: Track,
    head: FlameHead,
    neutral: Tensor,
    codes: Sequence[FlameCodes],
) -> list[View]:
    views: list[View] = []
    for portrait, pose, c in zip(portraits, tracked.photos, codes, strict=True):
        posed = head.pose(neutral, c).vertices
        motion = surface_motion(neutral, posed, head.faces)
        views.append(View(portrait, pose.camera, motion, lid_openings(head, posed)))
    return views
