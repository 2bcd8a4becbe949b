"""Photos -> avatar, in the order of the steps, each with a file of its own name.

Portraits are read and tracked (`capture`), and the head is posed in each (`posed_views`, `align`).
Then: evidence -> network -> skin -> first guess -> fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from flexavatar.avatar.avatar import AnyAvatar, Avatar, animator_of
from flexavatar.avatar.expression_network import Dynamics
from flexavatar.avatar.uv_maps import changeable_texels, uv_layout
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.read_portraits import PhotoOrVideo, read_portraits
from flexavatar.capture.track import Track, track
from flexavatar.create.align import align, pose_renderer
from flexavatar.create.evidence import observe_surface
from flexavatar.create.first_guess import AvatarDraft, first_guess
from flexavatar.create.fit import FitConfig
from flexavatar.create.fit_code import fit_code
from flexavatar.create.fit_network import fit_network
from flexavatar.create.fit_splats import fit_splats
from flexavatar.create.image_metrics import face_psnr_db
from flexavatar.create.network import encode_avatar, network_texels, predict
from flexavatar.create.posed_views import PosedViews, pose_views
from flexavatar.create.preview import preview_draft
from flexavatar.create.skin import build_skin
from flexavatar.errors import FaceError
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import Texels, make_texels
from flexavatar.models.channels import FITTED_CHANNELS
from flexavatar.models.config import BIAS_SINK_PRESETS, QUERY_LRM_PRESETS, ChartSizes
from flexavatar.progress import Progress, StageProgress, no_progress, no_stage_progress
from flexavatar.types import SH_C0

Model = Literal["query_lrm", "bias_sink", "fit"]
MODELS: tuple[Model, ...] = get_args(Model)
PRESET = "tiny"
"""Of the learned models."""
CHARTS: Mapping[str, ChartSizes] = {
    "query_lrm": QUERY_LRM_PRESETS[PRESET],
    "bias_sink": BIAS_SINK_PRESETS[PRESET],
}
"""The charts that learned models work on."""
MOST_RMS_PX, LEAST_AGREEMENT_DB = 5.0, 17.0
"""Of tracked landmarks, and of an aligned face under its photo, within which a photo helps: seen
are 1 to 3 px, and 28 dB from the front to 20 dB from 60 degrees."""
READING_SHARE = 0.15
"""Of the time that it takes."""

Show = Callable[[AnyAvatar], None]
"""Called with a preview, once, as soon as there is one; `fit` has none."""


@dataclass(frozen=True)
class CreateConfig:
    """How an avatar is made."""

    model: Model = "query_lrm"
    """P, which completes what photos do not show and what moves with the expression; K, whose
    network makes all of every frame from a code; or nothing that was learned."""
    quick: bool = False
    """Ten seconds instead of half a minute: fewer fitting steps, photos not aligned."""
    texels: int = 256
    """Side of the chart, whose texels become Gaussians on the surface; a model has its own."""
    spacing_px: float = 3.0
    """Distance between Gaussians off the mesh in the 512-pixel portrait."""
    steps: int = 260
    """Of fitting; about fourteen a second on two cores."""
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
    return create_avatar_from_portraits(portraits, config, progress)


def create_avatar_from_portraits(
    portraits: Sequence[Portrait],
    config: CreateConfig | None = None,
    progress: Progress = no_progress,
    show: Show | None = None,
) -> AnyAvatar:
    """One avatar from portraits of one person, the best first. Raises FaceError.

    `show` gets its preview meanwhile: the same head before the same camera, less sharp.
    """
    config = config or CreateConfig()
    seen = tuple(w for p in portraits for w in p.warnings)

    def show_checked(preview: AnyAvatar) -> None:
        if show is not None and preview.is_finite():
            show(replace(preview, warnings=seen))

    try:
        avatar = _create(portraits, config, progress, show and show_checked)
    except np.linalg.LinAlgError as error:
        raise FaceError(f"the head could not be fitted to the photos ({error})") from None
    if not avatar.is_finite():
        raise FaceError("the head could not be fitted to the photos (not finite)")
    return replace(avatar, warnings=seen + avatar.warnings)


def _create(
    portraits: Sequence[Portrait], config: CreateConfig, progress: Progress, show: Show | None
) -> AnyAvatar:
    """Track, pose the head in each photo, align several of them, and go the steps."""
    progress("placing the head", 0.16)
    tracked = track(portraits, load_landmark_rig())
    progress("building the head", 0.18)
    head = load_open_head()
    posed = pose_views(portraits, tracked, head)
    progress("painting the head", 0.22)
    left_out: tuple[str, ...] = ()
    if len(portraits) > 1 and not config.quick:
        fit = FitConfig(steps=config.rough_steps, seed=config.seed)
        rough_config = replace(config, fitted="splats")
        rough = _fitted_avatar(posed, rough_config, fit, no_stage_progress, show)
        show = None  # it has been
        portraits, tracked, left_out = _align_photos(portraits, tracked, rough, progress)
        posed = pose_views(portraits, tracked, head)
    fit = FitConfig(steps=config.quick_steps if config.quick else config.steps, seed=config.seed)
    report: StageProgress = lambda share: progress("fitting", 0.3 + 0.7 * share)  # noqa: E731
    avatar = _fitted_avatar(posed, config, fit, report, show)
    return replace(avatar, warnings=left_out)


def _align_photos(
    portraits: Sequence[Portrait], tracked: Track, rough: AnyAvatar, progress: Progress
) -> tuple[list[Portrait], Track, tuple[str, ...]]:
    """All photos but the first, moved to where a rough avatar agrees with them.

    A pixel of disagreement between photos is a pixel of blur in the avatar, so those in which the
    head does not come to lie on the picture are left out, and named in words.
    """
    render, rig = pose_renderer(animator_of(rough)), load_landmark_rig()
    poses, kept, left_out = [tracked.photos[0]], [0], list[str]()
    for i, portrait in enumerate(portraits[1:], 1):
        share = 0.22 + 0.08 * i / len(portraits)
        progress(f"aligning {portrait.name}", share)
        pose = align(portrait, tracked.photos[i], rig, tracked.betas, render)
        agreement = face_psnr_db(portrait, render(pose, len(portrait.rgb)))
        if tracked.rms_px[i] > MOST_RMS_PX or agreement < LEAST_AGREEMENT_DB:
            off = f"landmarks {tracked.rms_px[i]:.1f} px off, face at {agreement:.1f} dB"
            left_out.append(f"{portrait.name} is left out: the head does not fit it ({off})")
            continue
        poses.append(pose)
        kept.append(i)
    rms = tuple(tracked.rms_px[i] for i in kept)
    track_of_kept = replace(tracked, photos=tuple(poses), rms_px=rms)
    return [portraits[i] for i in kept], track_of_kept, tuple(left_out)


def _fitted_avatar(
    posed: PosedViews,
    config: CreateConfig,
    fit: FitConfig,
    progress: StageProgress,
    show: Show | None,
) -> AnyAvatar:
    """Evidence -> network -> skin -> first guess -> fit, the one place where the models part."""
    observations = observe_surface(posed, _chart(config))
    if config.model == "bias_sink":  # its network makes all the rest of every frame
        encoded = encode_avatar(observations, PRESET)
        if show is not None:
            show(encoded)
        return fit_code(encoded, posed, fit, progress)
    prediction = predict(observations, PRESET) if config.model == "query_lrm" else None
    if show is not None and prediction is not None:
        show(_avatar_of(preview_draft(observations, prediction, config.spacing_px)))
    skin = build_skin(observations, prediction)
    draft = first_guess(skin, config.spacing_px)
    fit_draft = fit_network if config.fitted == "network" else fit_splats
    return _avatar_of(fit_draft(draft, fit, progress))


def _chart(config: CreateConfig) -> Texels:
    """The texels that a model works on."""
    head, sizes = load_open_head(), CHARTS.get(config.model)
    return uv_layout(head, sizes).texels if sizes else make_texels(head, config.texels)


def _avatar_of(draft: AvatarDraft) -> Avatar:
    """What is kept of a draft that is fitted."""
    posed, splats, prediction = draft.posed, draft.splats, draft.prediction
    sh = ((splats.colors - 0.5) / SH_C0)[:, None]
    own = (splats.binding, splats.local, splats.opacities, sh)
    first = (posed.views[0].camera, posed.codes[0])
    if prediction is None:
        return Avatar(posed.neutral, *own, *first, splats.lids)
    layout = uv_layout(posed.head, QUERY_LRM_PRESETS[prediction.preset])
    mine = (changeable_texels(layout) & network_texels(layout.texels))[:, None].float()
    moving = (splats.texel_values(mine, layout.texels)[:, 0] > 0).nonzero().squeeze(1)
    dynamic = Dynamics(
        identity=prediction.code.identity[0],
        splats=moving,
        cells=splats.cells[moving],
        preset=prediction.preset,
        weights=prediction.weights,
        channels=FITTED_CHANNELS,
    )
    return Avatar(posed.neutral, *own, *first, splats.lids, "query_lrm", dynamic)
