"""Photos -> avatar: landmarks, matte, tracking, a first guess of every Gaussian, then fitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from flexavatar.avatar.avatar import AnyAvatar, Avatar, animator_of
from flexavatar.avatar.dynamic import Dynamics
from flexavatar.avatar.maps import changeable_texels, uv_layout
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.read_portraits import PhotoOrVideo, read_portraits
from flexavatar.capture.track import Track, track
from flexavatar.create.align import align, drawn_by
from flexavatar.create.first_guess import Splats, first_guess
from flexavatar.create.fit import FitConfig
from flexavatar.create.fit_code import encoded, fit_code
from flexavatar.create.fit_network import refine_encoder
from flexavatar.create.fit_splats import refine
from flexavatar.create.posed_views import Placed, place
from flexavatar.create.predict import Told, entrusted, predict, surface_of, tell
from flexavatar.create.skin import build_surface, look
from flexavatar.errors import FaceError, InputError
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import make_texels
from flexavatar.models.channels import FITTED_CHANNELS
from flexavatar.models.query_lrm import AvatarCode, QueryLrm
from flexavatar.models.weights import load_query_lrm
from flexavatar.progress import Progress, StageProgress, no_progress, no_stage_progress
from flexavatar.types import SH_C0

Model = Literal["query_lrm", "bias_sink", "fit"]
MODELS: tuple[Model, ...] = get_args(Model)
PRESET = "tiny"
"""Of the learned model."""
READING_SHARE = 0.15
"""Of the time that it takes."""


@dataclass(frozen=True)
class CreateConfig:
    """How an avatar is made."""

    model: Model = "query_lrm"
    """P, which completes what photos do not show and what moves with the expression; K, whose
    network makes all of every frame from a code; or nothing that was learned."""
    quick: bool = False
    """Ten seconds instead of up to a minute: fewer fitting steps, photos not aligned."""
    texels: int = 256
    """Side of the chart, whose texels become Gaussians on the surface; a model has its own."""
    spacing_px: float = 3.0
    """Distance between loose Gaussians in the 512-pixel portrait."""
    steps: int = 260
    """Of fitting; about nine a second on two cores."""
    rough_steps: int = 48
    """Of the fit that several photos are aligned with, before the one that counts."""
    quick_steps: int = 30
    """Of fitting, when `quick`."""
    fitted: Literal["splats", "network"] = "splats"
    """What is fitted: every Gaussian, or, the paper's quick way, the model's own parameters; 20
    steps of that take as long and come less close."""
    seed: int = 0
    """Of the fit's changing backgrounds."""


def create_avatar(
    photos: Sequence[PhotoOrVideo],
    config: CreateConfig | None = None,
    progress: Progress = no_progress,
) -> AnyAvatar:
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
    progress: Progress = no_progress,
) -> AnyAvatar:
    """One avatar from portraits of one person, the best first. Raises FaceError."""
    config = config or CreateConfig()
    try:
        avatar = _build(portraits, config, progress)
    except np.linalg.LinAlgError as error:
        raise FaceError(f"the head could not be fitted to the photos ({error})") from None
    if not avatar.is_finite():
        raise FaceError("the head could not be fitted to the photos (not finite)")
    return avatar


def _build(portraits: Sequence[Portrait], config: CreateConfig, progress: Progress) -> AnyAvatar:
    """Track, guess, fit."""
    progress("placing the head", 0.16)
    tracked = track(portraits, load_landmark_rig())
    progress("building the head", 0.18)
    head = load_open_head()
    placed = place(portraits, tracked, head)
    progress("painting the head", 0.22)
    if len(portraits) > 1 and not config.quick:
        fit = FitConfig(steps=config.rough_steps, seed=config.seed)
        rough = _made(portraits, placed, replace(config, fitted="splats"), fit, no_stage_progress)
        placed = place(portraits, _aligned(portraits, tracked, rough, progress), head)
    fit = FitConfig(steps=config.quick_steps if config.quick else config.steps, seed=config.seed)
    return _made(
        portraits, placed, config, fit, lambda share: progress("fitting", 0.3 + 0.7 * share)
    )


def _made(
    portraits: Sequence[Portrait],
    placed: Placed,
    config: CreateConfig,
    fit: FitConfig,
    progress: StageProgress,
) -> AnyAvatar:
    """What the config's model makes of placed photos, fitted to them."""
    if config.model == "bias_sink":
        return fit_code(encoded(portraits, placed, PRESET), placed, fit, progress)
    start = begin(portraits, placed, load_open_head(), config)
    refined = _network_fitted if config.fitted == "network" else _fitted
    return refined(start, placed, fit, progress)


@dataclass(frozen=True)
class Learned:
    """What the model was told of the person, and what it said."""

    model: QueryLrm
    told: Told
    code: AvatarCode
    changes: tuple[Tensor, ...]  # [G, 14] a photo each: dG of its expression


@dataclass(frozen=True)
class Start:
    """What fitting starts from."""

    splats: Splats
    learned: Learned | None


def begin(
    portraits: Sequence[Portrait], placed: Placed, head: FlameHead, config: CreateConfig
) -> Start:
    """The first guess of every Gaussian: by the learned model, or by completing what is seen."""
    if config.model == "fit":
        texels = make_texels(head, config.texels)
        looked = look(placed.views, texels, head)
        painted = build_surface(placed.views, looked, texels, head, placed.neutral)
        return Start(first_guess(placed, texels, head, config.spacing_px, painted), None)
    model, _ = load_query_lrm(PRESET)
    layout = uv_layout(head, model.config)
    texels = layout.texels
    looked = look(placed.views, texels, head)
    told = tell(portraits, placed, looked.evidence, head, model)
    found = predict(told, placed, head, model)
    painted = build_surface(placed.views, looked, texels, head, placed.neutral)
    surface = surface_of(found, layout, looked.hair, painted)
    splats = first_guess(placed, texels, head, config.spacing_px, surface)
    changes = tuple(splats.of_texels(change, texels) for change in found.changes)
    return Start(splats, Learned(model, told, found.code, changes))


def _fitted(start: Start, placed: Placed, fit: FitConfig, progress: StageProgress) -> Avatar:
    """The Gaussians themselves are fitted, until more steps change nothing."""
    changes = start.learned and start.learned.changes
    splats = refine(start.splats, placed.views, fit, progress, changes)
    return _avatar(splats, placed, start.learned and start.learned.code)


def _network_fitted(
    start: Start, placed: Placed, fit: FitConfig, progress: StageProgress
) -> Avatar:
    """The model's own parameters are fitted for a few steps. Raises InputError without a model."""
    own = start.learned
    if own is None:
        raise InputError("fitted: expected a learned model where its parameters are to be fitted")
    layout = uv_layout(load_open_head(), own.model.config)
    splats, code = refine_encoder(
        start.splats,
        own.told,
        own.code,
        placed.views,
        own.changes,
        layout,
        own.model,
        fit,
        progress,
    )
    return _avatar(splats, placed, code)


def _avatar(splats: Splats, placed: Placed, code: AvatarCode | None) -> Avatar:
    sh = ((splats.colors - 0.5) / SH_C0)[:, None]
    own = (splats.binding, splats.local, splats.opacities, sh)
    first = (placed.views[0].camera, placed.codes[0])
    if code is None:
        return Avatar(placed.neutral, *own, *first, splats.lids)
    model, weights = load_query_lrm(PRESET)
    layout = uv_layout(load_open_head(), model.config)
    mine = (changeable_texels(layout) & entrusted(layout))[:, None].float()
    moving = (splats.of_texels(mine, layout.texels)[:, 0] > 0).nonzero().squeeze(1)
    dynamic = Dynamics(
        code.identity[0], moving, splats.cells[moving], PRESET, weights, None, FITTED_CHANNELS
    )
    return Avatar(placed.neutral, *own, *first, splats.lids, "query_lrm", dynamic)


def _aligned(
    portraits: Sequence[Portrait], tracked: Track, rough: AnyAvatar, progress: Progress
) -> Track:
    """All photos but the first, moved to where a rough avatar agrees with them.

    A pixel of disagreement between photos is a pixel of blur in the avatar.
    """
    seen, poses = drawn_by(animator_of(rough)), list(tracked.photos)
    for i in range(1, len(poses)):
        progress(f"aligning photo {i + 1} of {len(poses)}", 0.22 + 0.08 * i / len(poses))
        poses[i] = align(portraits[i], poses[i], load_landmark_rig(), tracked.betas, seen)
    return replace(tracked, photos=tuple(poses))
