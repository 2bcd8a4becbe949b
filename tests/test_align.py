"""Poses corrected by the picture, and what creation from several photos does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.photo import read_photo
from flexavatar.capture.portrait import Portrait, make_portrait
from flexavatar.capture.track import PER_PHOTO, SHIFT, TURN, PhotoPose, Track, apply_step, track
from flexavatar.create import create
from flexavatar.create.align import AlignConfig, PoseRenderer, align, pose_renderer
from flexavatar.create.create import CreateConfig, create_avatar_from_portraits
from flexavatar.create.fit_targets import photo_target
from flexavatar.create.pixels import drawn_pixels
from flexavatar.create.posed_views import PosedView
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.head.binding import SurfaceMotion
from flexavatar.render.composite import GREY

JAW = ARKIT_NAMES.index("jawOpen")
RIGID = AlignConfig(rigid_steps=5, steps=0)


@pytest.fixture(scope="module")
def draw(avatar: Avatar) -> PoseRenderer:
    return pose_renderer(Animator(avatar))


@pytest.fixture(scope="module")
def tracked(portrait: Portrait) -> Track:
    return track([portrait], load_landmark_rig())


def _pixels(pose: PhotoPose, betas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks of the rig in a pose: [478, 3] pixels and depth."""
    points = load_landmark_rig().landmarks(betas, pose.weights, pose.gaze)
    seen = points @ pose.rotation.T + pose.translation
    xy = pose.focal_px * seen[:, :2] / seen[:, 2:] + pose.side / 2
    middle = seen[:, 2].mean()
    return np.column_stack((xy, pose.focal_px * (seen[:, 2] - middle) / middle))


def _apart_px(one: PhotoPose, other: PhotoPose, betas: NDArray[np.float64]) -> float:
    """Root mean square distance of the landmarks, pixels at 512 a side."""
    change = _pixels(one, betas)[:, :2] - _pixels(other, betas)[:, :2]
    return float(np.sqrt((change**2).sum(1).mean()) * 512 / one.side)


def _own_portrait(draw: PoseRenderer, pose: PhotoPose, betas: NDArray[np.float64]) -> Portrait:
    """A portrait whose truth is known: the avatar's own picture in a pose."""
    rgb = draw(pose, pose.side)
    whole = np.ones(rgb.shape[:2], np.float32)
    scores = dict(zip(ARKIT_NAMES, map(float, pose.weights), strict=True))
    face = FaceLandmarks(_pixels(pose, betas).astype(np.float32), scores)
    return Portrait(rgb, rgb, whole, whole > 0, face, pose.focal_px, 1.0)


def _step(**parts: Sequence[float]) -> NDArray[np.float64]:
    step = np.zeros(PER_PHOTO)
    step[TURN], step[SHIFT] = parts.get("turn", (0, 0, 0)), parts.get("shift", (0, 0, 0))
    step[JAW] = parts.get("jaw", (0,))[0]
    return step


# ---- the avatar's own picture


@pytest.mark.parametrize(
    "parts",
    [
        {"turn": (0.02, -0.03, 0.015)},  # radians: 2.2 degrees
        {"shift": (0.003, -0.002, 0.004)},  # metres
        {"turn": (-0.02, 0.02, 0.01), "shift": (-0.002, 0.002, -0.01)},
    ],
)
def test_a_displaced_head_is_found_again(
    draw: PoseRenderer, tracked: Track, parts: dict[str, Sequence[float]]
) -> None:
    pose, betas = tracked.photos[0], tracked.betas
    start = apply_step(pose, _step(**parts))
    assert _apart_px(start, pose, betas) > 3
    found = align(_own_portrait(draw, pose, betas), start, load_landmark_rig(), betas, draw, RIGID)
    # px; 0.6 measured: the landmarks' prior lets expression take a part of the turn
    assert _apart_px(found, pose, betas) < 0.8


def test_a_displaced_jaw_is_found_again(draw: PoseRenderer, tracked: Track) -> None:
    pose, betas = tracked.photos[0], tracked.betas
    start = apply_step(pose, _step(jaw=(0.2,), turn=(0.01, 0.0, 0.0)))
    found = align(_own_portrait(draw, pose, betas), start, load_landmark_rig(), betas, draw)
    assert abs(start.weights[JAW] - pose.weights[JAW]) > 0.15
    assert abs(found.weights[JAW] - pose.weights[JAW]) < 0.04
    assert _apart_px(found, pose, betas) < 0.6  # px: other shapes move the chin a little, too


def test_a_pose_that_is_right_stays(draw: PoseRenderer, tracked: Track) -> None:
    pose, betas = tracked.photos[0], tracked.betas
    config = AlignConfig(rigid_steps=2, steps=1)
    found = align(_own_portrait(draw, pose, betas), pose, load_landmark_rig(), betas, draw, config)
    assert _apart_px(found, pose, betas) < 0.05  # px: what the priors pull
    assert np.abs(found.rotation - pose.rotation).max() < 1e-3
    assert np.abs(found.translation - pose.translation).max() < 1e-3  # metres


def test_other_sizes_align_as_well(draw: PoseRenderer, tracked: Track) -> None:
    """A portrait of 384 pixels compared at 160, which is no fraction of it."""
    whole, betas = tracked.photos[0], tracked.betas
    pose = replace(whole, side=384, focal_px=whole.focal_px * 384 / whole.side)
    start = apply_step(pose, _step(turn=(0.02, -0.03, 0.015)))
    config = replace(RIGID, side=160)
    found = align(_own_portrait(draw, pose, betas), start, load_landmark_rig(), betas, draw, config)
    assert (found.side, _apart_px(start, pose, betas) > 3) == (384, True)
    assert _apart_px(found, pose, betas) < 0.8  # px at 512: of coarser pixels


# ---- a real photo


def _error(portrait: Portrait, pose: PhotoPose, draw: PoseRenderer) -> float:
    """Mean difference inside the face."""
    matte = portrait.matte[..., None]
    wanted = portrait.rgb * matte + GREY * (1 - matte)
    return float(np.abs(draw(pose, len(portrait.rgb)) - wanted)[portrait.face_hull].mean())


def test_the_picture_never_comes_out_worse(
    draw: PoseRenderer, portrait: Portrait, tracked: Track
) -> None:
    """Each step is only taken if it helps; a displaced photo comes back most of the way."""
    pose, betas = tracked.photos[0], tracked.betas
    start = apply_step(pose, _step(turn=(0.02, -0.02, 0.0)))
    errors = [_error(portrait, start, draw)]
    for steps in (1, 2, 4):
        config = AlignConfig(rigid_steps=steps, steps=0)
        found = align(portrait, start, load_landmark_rig(), betas, draw, config)
        errors.append(_error(portrait, found, draw))
    # the cost is of the whole head and Huber's, so the plain error may wag by a hair
    assert all(after < before + 5e-4 for before, after in pairwise(errors))
    assert errors[-1] < 0.75 * errors[0]


def test_a_picture_that_says_nothing_leaves_the_landmarks_their_say(
    portrait: Portrait, tracked: Track
) -> None:
    """Without derivatives all that is left is the prior: a finite pose, and no error."""

    def blank(pose: PhotoPose, side: int) -> NDArray[np.float32]:
        return np.full((side, side, 3), GREY, np.float32)

    pose, betas = tracked.photos[0], tracked.betas
    start = apply_step(pose, _step(turn=(0.02, -0.02, 0.0)))
    found = align(portrait, start, load_landmark_rig(), betas, blank)
    assert _apart_px(found, pose, betas) < 0.3 * _apart_px(start, pose, betas)


# ---- several photos


@pytest.fixture(scope="module")
def pair(shared_data: Path) -> list[Portrait]:
    """One woman with two expressions."""
    return [
        make_portrait(read_photo((shared_data / f"portraits/st_{n}.png").read_bytes()))
        for n in ("happy", "sad")
    ]


SMALL = CreateConfig(texels=96, spacing_px=8, steps=1, rough_steps=32)


Watched = list[tuple[Portrait, PhotoPose, PhotoPose, PoseRenderer]]


@pytest.fixture(scope="module")
def aligned(pair: list[Portrait]) -> tuple[AnyAvatar, Watched]:
    """An avatar of both photos, and what was aligned while it was made."""
    betas = track(pair, load_landmark_rig()).betas
    seen: Watched = []

    def watched(
        portrait: Portrait, pose: PhotoPose, rig: object, own: object, draw: PoseRenderer
    ) -> PhotoPose:
        found = align(portrait, pose, load_landmark_rig(), betas, draw, RIGID)
        seen.append((portrait, pose, found, draw))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create, "align", watched)
        return create_avatar_from_portraits(pair, SMALL), seen


def test_the_first_photos_pose_is_untouched_and_the_others_fit_better(
    pair: list[Portrait], aligned: tuple[AnyAvatar, Watched]
) -> None:
    tracked, (made, seen) = track(pair, load_landmark_rig()), aligned
    assert torch.equal(made.camera.viewmat, tracked.photos[0].camera.viewmat)
    assert torch.equal(made.camera.K, tracked.photos[0].camera.K)
    ((portrait, before, after, draw),) = seen
    assert portrait is pair[1]
    assert np.array_equal(before.rotation, tracked.photos[1].rotation)
    assert _apart_px(before, after, tracked.betas) > 0.05
    assert _error(portrait, after, draw) < _error(portrait, before, draw)


def test_a_moved_photo_changes_what_is_fitted(
    pair: list[Portrait], aligned: tuple[AnyAvatar, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What alignment says is believed: the second photo's colours come from elsewhere."""
    one, ((_, _, found, _),) = aligned

    def shifted(portrait: Portrait, pose: PhotoPose, *rest: object) -> PhotoPose:
        return apply_step(found, _step(shift=(0.01, 0.0, 0.0)))

    monkeypatch.setattr(create, "align", shifted)
    other = create_avatar_from_portraits(pair, replace(SMALL, rough_steps=1))
    assert torch.equal(one.camera.viewmat, other.camera.viewmat)
    assert not torch.equal(one.neutral, other.neutral)


def test_one_photo_and_quick_ones_are_not_aligned(
    pair: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> PhotoPose:
        raise AssertionError("nothing to be aligned with, or no time for it")

    monkeypatch.setattr(create, "align", never)
    assert create_avatar_from_portraits(pair[:1], SMALL).is_finite()
    assert create_avatar_from_portraits(pair, replace(SMALL, quick=True, quick_steps=1)).is_finite()


# ---- frames of one take


def _view(portrait: Portrait, lens: str | None) -> PosedView:
    empty = SurfaceMotion(torch.zeros(0, 3), torch.zeros(0, 3, 3), torch.zeros(0, 4))
    pose = PhotoPose(np.zeros(52), np.zeros((2, 2)), np.eye(3), np.zeros(3), 600.0, 512)
    return PosedView(replace(portrait, lens=lens), pose.camera, empty, torch.ones(2))


def test_only_frames_of_one_take_sit_together(portrait: Portrait) -> None:
    first, second = _view(portrait, "video 1"), _view(portrait, "video 1")
    other, nameless, stranger = (_view(portrait, lens) for lens in ("video 2", None, None))
    assert first.sits_with(second)
    assert not first.sits_with(other)
    assert not first.sits_with(nameless)
    assert nameless.sits_with(nameless)
    assert not nameless.sits_with(stranger)


def test_frames_of_one_take_weigh_fully_and_others_on_the_face(portrait: Portrait) -> None:
    view = _view(portrait, None)
    fitted = portrait.inside & ~drawn_pixels(portrait)
    inside, face = torch.from_numpy(fitted), torch.from_numpy(portrait.face_hull)
    whole, part = photo_target(view, True).weight, photo_target(view, False).weight
    assert torch.equal(whole, inside.float())
    x, y = portrait.face.centre.astype(int)
    assert float(part[y, x]) > 0.9
    assert float(part[face & inside].mean()) > 0.7
    assert float(part[5, 5]) <= 0.1 + 1e-6  # hair and clothes differ from day to day
    assert float(part[-5, 256]) <= 0.15


def test_a_photo_that_the_head_does_not_fit_is_left_out_by_name(portrait: Portrait) -> None:
    """Landmarks torn apart: the avatar is that of the other photo, and says so."""
    noise = np.random.default_rng(0).normal(0, 25, portrait.face.points.shape)
    torn = FaceLandmarks(portrait.face.points + noise.astype(np.float32), portrait.face.scores)
    photos = [portrait, replace(portrait, face=torn, name="photo 2")]
    made = create_avatar_from_portraits(photos, CreateConfig(model="fit", steps=1, rough_steps=1))
    (warning,) = made.warnings
    assert warning.startswith("photo 2 is left out: the head does not fit it (landmarks ")
    assert made.is_finite()
