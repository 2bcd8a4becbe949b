"""What an open eye shows above it, and lashes: there with the eye open, gone or along when shut."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from flexavatar.avatar.avatar import Animator, Avatar, load_avatar, save_avatar
from flexavatar.capture import topology
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.photo import read_photo
from flexavatar.capture.portrait import Portrait, make_portrait
from flexavatar.create.lashes_and_teeth import LASH_DARK, lash_color, lash_lines
from flexavatar.create.pixels import lid_folds, zone_map
from flexavatar.create.posed_views import PosedView
from flexavatar.errors import AssetError, ShapeError
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import deform, surface_motion
from flexavatar.head.eyelids import eyelid_openings, eyelid_visibility
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import Zone
from flexavatar.rigs.correspondence import correspondence_of
from flexavatar.rigs.drive_through import DriveThrough
from flexavatar.rigs.load import load_rig
from flexavatar.types import FlameCodes

SHUT_BOTH = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}


@pytest.fixture(scope="session")
def avatar(avatar: Avatar) -> Avatar:
    """The sample, with nothing but lids to change its opacities."""
    return replace(avatar, dynamic=None)


@pytest.fixture(scope="module")
def animator(avatar: Avatar) -> Animator:
    return Animator(avatar)


def _codes(weights: Mapping[str, float]) -> FlameCodes:
    return arkit_to_flame(weights, load_arkit_basis(load_open_head()))


def _left_of(animator: Animator, codes: FlameCodes) -> tuple[float, float, Tensor]:
    """Shares of the left and right folds that are left, and the other splats' opacities."""
    own = animator.avatar.opacities
    now = animator.animate(codes).opacities
    left, right = (animator.avatar.lids > 0).unbind(1)
    return (
        float(now[left].sum() / own[left].sum()),
        float(now[right].sum() / own[right].sum()),
        now[~left & ~right],
    )


# ---- how far eyes are open


def test_openings_are_of_the_right_eye_and_in_metres() -> None:
    head = load_open_head()
    still = torch.zeros(len(_codes({}).correctives))
    rest = eyelid_openings(head, head.pose(head.template, FlameCodes.zeros(len(still))).vertices)
    assert bool(((rest > 0.004) & (rest < 0.016)).all())  # 8-12 mm between the lids of adults
    for eye, name in enumerate(("eyeBlinkLeft", "eyeBlinkRight")):
        now = eyelid_openings(head, head.pose(head.template, _codes({name: 1.0})).vertices)
        assert float(now[eye]) < 0.25 * float(rest[eye])  # what lids' own thickness leaves
        assert float(now[1 - eye]) == pytest.approx(float(rest[1 - eye]), rel=1e-3)
    moved = head.template + torch.tensor([0.1, -0.2, 0.3])
    torch.testing.assert_close(eyelid_openings(head, moved), rest, rtol=0, atol=1e-6)  # float32


@given(st.floats(0, 0.03), st.floats(0, 0.03), st.floats(0.002, 0.015))
def test_more_open_shows_more(one: float, other: float, usual: float) -> None:
    openings = torch.tensor(sorted((one, other)))
    less, more = eyelid_visibility(openings, torch.full((2,), usual)).tolist()
    assert 0 <= less <= more <= 1
    if one == other:
        assert less == more


def test_what_is_shown_ends_before_the_lids_meet() -> None:
    usual = torch.tensor([0.010, 0.010])
    assert eyelid_visibility(torch.tensor([0.010, 0.02]), usual).tolist() == [1, 1]
    assert eyelid_visibility(torch.tensor([0.004, 0.0]), usual).tolist() == [0, 0]
    half = eyelid_visibility(torch.tensor([0.007, 0.007]), usual)
    assert half.tolist() == pytest.approx([0.5, 0.5], abs=1e-5)  # the middle of a smooth step


# ---- avatars


def test_folds_are_marked_beside_their_own_eye(avatar: Avatar, animator: Animator) -> None:
    means = animator.animate(avatar.codes).means
    head = animator.head
    eyes = head.joints(avatar.neutral)[3:]
    for eye, marked in enumerate((avatar.lids > 0).unbind(1)):
        assert int(marked.sum()) > 100
        away = means[marked] - eyes[eye]
        assert float(away[:, 0].abs().max()) < 0.035  # metres: half the way between two eyes
        assert 0 < float(away[:, 1].median()) < 0.02  # above the eye, under the brow
    assert not bool((avatar.lids > 0).all(1).any())


def test_nothing_is_hidden_at_the_photos_own_opening(animator: Animator) -> None:
    shown = animator.animate(animator.avatar.codes).opacities
    assert torch.equal(shown, animator.avatar.opacities)


@pytest.mark.parametrize("eye", [0, 1])
def test_a_fold_vanishes_with_its_own_eye(animator: Animator, eye: int) -> None:
    name = ("eyeBlinkLeft", "eyeBlinkRight")[eye]
    *folds, rest = _left_of(animator, _codes({name: 1.0}))
    assert folds[eye] == 0
    assert folds[1 - eye] == 1
    unmarked = ~animator.avatar.lids.any(1)
    assert torch.equal(rest, animator.avatar.opacities[unmarked])


def test_folds_come_and_go_smoothly(animator: Animator) -> None:
    """No frame of a blink of ten steps takes more than half of a fold away."""
    left = [_left_of(animator, _codes({"eyeBlinkLeft": i / 10}))[0] for i in range(11)]
    assert left == sorted(left, reverse=True)
    assert max(np.abs(np.diff(left))) < 0.5
    assert left[0] == 1


@pytest.mark.parametrize(
    "weights",
    [
        {"jawOpen": 1.0}, {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
        {"eyeLookUpLeft": 1.0, "eyeLookUpRight": 1.0}, {"eyeWideLeft": 1.0, "eyeWideRight": 1.0},
    ],
)  # fmt: skip
def test_mouth_and_gaze_leave_folds_alone(animator: Animator, weights: dict[str, float]) -> None:
    assert torch.equal(animator.animate(_codes(weights)).opacities, animator.avatar.opacities)


def test_eyeballs_and_head_leave_folds_alone(animator: Animator) -> None:
    turned = torch.tensor([0.4, 0.3, 0.0])
    codes = replace(
        animator.avatar.codes, leye_pose=turned, reye_pose=turned, neck_pose=turned,
        global_orient=turned, transl=turned,
    )  # fmt: skip
    before, after = (animator.animate(c).opacities for c in (animator.avatar.codes, codes))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-4)  # float32 lengths after a turn


def test_another_rigs_blink_folds_lids_away(avatar: Avatar, shared_data: Path) -> None:
    path = shared_data / "ict_facekit_f16.npz"
    rig = load_rig(path)
    neutral = rig.neutral(torch.zeros(rig.identity.shape[2]))
    basis = load_arkit_basis(rig)
    through = DriveThrough(correspondence_of(load_open_head(), rig), neutral, avatar.neutral)
    animator = Animator(avatar)
    left, right = (avatar.lids > 0).unbind(1)
    assert torch.equal(animator.carry(through.pose(neutral)).opacities, avatar.opacities)
    wink = rig.pose(neutral, arkit_to_flame({"eyeBlinkLeft": 1.0}, basis)).vertices
    shown = animator.carry(through.pose(wink)).opacities
    assert float(shown[left].max()) == 0
    assert torch.equal(shown[right], avatar.opacities[right])


# ---- files


def test_lids_come_back_from_a_file(avatar: Avatar, tmp_path: Path) -> None:
    shares = torch.rand(avatar.lids.shape)
    save_avatar(replace(avatar, lids=shares), tmp_path)
    loaded = load_avatar(tmp_path)
    assert isinstance(loaded, Avatar)
    assert torch.equal(loaded.lids, shares)


def test_avatars_of_the_first_format_still_load(avatar: Avatar, tmp_path: Path) -> None:
    """They know nothing of lids: eyes close as they used to."""
    _save_first_format(avatar, tmp_path)
    loaded = load_avatar(tmp_path)
    assert isinstance(loaded, Avatar)
    assert torch.equal(loaded.lids, torch.zeros(len(avatar), 2))
    assert torch.equal(loaded.sh, avatar.sh)
    shut = Animator(loaded).animate(_codes(SHUT_BOTH))
    assert torch.equal(shut.opacities, avatar.opacities)


def test_the_second_format_must_have_lids(avatar: Avatar, tmp_path: Path) -> None:
    _save_first_format(avatar, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    with pytest.raises(AssetError, match="lacks 'lids'"):
        load_avatar(tmp_path)


def _save_first_format(avatar: Avatar, folder: Path) -> None:
    save_avatar(avatar, folder)
    tensors = load_file(folder / "avatar.safetensors")
    del tensors["lids"]
    save_file(tensors, folder / "avatar.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))


def test_lids_of_another_number_are_refused(avatar: Avatar) -> None:
    with pytest.raises(ShapeError, match="lids: expected"):
        replace(avatar, lids=torch.zeros(len(avatar), 1))


# ---- pixels between eye and brow


@pytest.fixture(scope="module", params=["astronaut.png", "obama.jpg", "st_happy.png"])
def person(shared_data: Path, request: pytest.FixtureRequest) -> Portrait:
    return make_portrait(read_photo((shared_data / "portraits" / request.param).read_bytes()))


def _blinking(portrait: Portrait, **scores: float) -> Portrait:
    face = FaceLandmarks(portrait.face.points, {**portrait.face.scores, **scores})
    return replace(portrait, face=face)


def _open(portrait: Portrait) -> Portrait:
    return _blinking(portrait, eyeBlinkLeft=0.1, eyeBlinkRight=0.1)


def _at(image: NDArray[np.generic], points: NDArray[np.floating]) -> NDArray[np.generic]:
    x, y = points.astype(int).T
    return image[y, x]


@pytest.mark.parametrize("eye", [0, 1])
def test_between_eye_and_brow_is_nobody(person: Portrait, eye: int) -> None:
    lid = person.face.points[list((topology.LEFT_LID_UPPER, topology.RIGHT_LID_UPPER)[eye]), :2]
    brow = person.face.points[list((topology.LEFT_BROW, topology.RIGHT_BROW)[eye]), :2]
    iris = person.face.points[list((topology.LEFT_IRIS, topology.RIGHT_IRIS)[eye])[:1], :2]
    folds, zones = lid_folds(_open(person)), zone_map(_open(person))
    between = 0.5 * (lid[[2, 4, 6]] + brow[[1, 2, 3]])
    assert bool(_at(folds[eye], between).all())
    assert bool((_at(zones, between) == Zone.BACKGROUND).all())
    assert not bool(_at(folds[eye], brow).any())
    assert bool((_at(zones, brow) == Zone.SKIN).all())
    assert not bool(_at(folds[eye], iris).any())
    assert bool((_at(zones, iris) == (Zone.LEFT_EYE, Zone.RIGHT_EYE)[eye]).all())
    assert not bool(_at(folds[1 - eye], between).any())


def test_a_shut_eye_has_no_fold(person: Portrait) -> None:
    """Its lid is what the photo shows: those pixels are skin and may be believed."""
    both, wink = lid_folds(_open(person)), _blinking(_open(person), eyeBlinkLeft=0.9)
    left, right = lid_folds(wink)
    assert not left.any()
    assert np.array_equal(right, both[1])
    skin = zone_map(wink) == Zone.SKIN
    band = zone_map(_open(person)) == Zone.SKIN
    assert int((skin & both[0]).sum()) > 0.5 * int(both[0].sum())
    assert np.array_equal(skin & ~both[0], band & ~both[0])


# ---- lashes


@pytest.mark.parametrize("weights", [{}, SHUT_BOTH, {"eyeBlinkLeft": 0.5}, {"eyeWideRight": 1.0}])
def test_lashes_ride_on_their_rim(
    avatar: Avatar, animator: Animator, view: PosedView, weights: dict[str, float]
) -> None:
    lines = lash_lines(view, animator.head)
    posed = animator.head.pose(avatar.neutral, _codes(weights)).vertices
    means, _, scales = deform(
        lines.binding, lines.local, surface_motion(avatar.neutral, posed, animator.head.faces)
    )
    for side, own in (("left", slice(0, len(means) // 2)), ("right", slice(len(means) // 2, None))):
        rim = posed[animator.head.rings[f"{side}_upper_lid_outer"]]
        dense = torch.cat([torch.lerp(rim[:-1], rim[1:], t) for t in (0.0, 0.25, 0.5, 0.75)])
        apart = torch.cdist(means[own], dense).amin(1)
        # metres: 1 in front of the rim and up to 0.8 above it, turned with its lid
        assert float(apart.max()) < 3e-3, side
        assert float(apart.median()) < 1.8e-3, side
        span = means[own][:, 0].max() - means[own][:, 0].min()
        assert float(span) > 0.8 * float(rim[:, 0].max() - rim[:, 0].min())  # from corner to corner
    assert bool(torch.isfinite(scales).all())
    assert float(scales.max()) < 8e-3


def test_lashes_of_an_open_eye_leave_it_open(animator: Animator, view: PosedView) -> None:
    lines = lash_lines(view, animator.head)
    means, _, _ = deform(lines.binding, lines.local, view.motion)
    rim = view.motion.vertices[animator.head.rings["left_upper_lid_outer"]]
    left = means[: len(means) // 2]
    nearest = torch.cdist(left[:, :1], rim[:, :1]).argmin(1)
    assert float((left[:, 1] - rim[nearest, 1]).median()) > 0  # above the rim, metres


def test_lashes_are_as_dark_as_the_photos(portrait: Portrait) -> None:
    """Never lighter than a share of the skin, and as dark as what is darkest at the rim."""
    skin = torch.from_numpy(np.median(portrait.colors[portrait.face_hull], 0))
    for side in ("left", "right"):
        assert bool((lash_color(portrait, side) <= LASH_DARK * skin + 1e-6).all())
    bleached = replace(portrait, colors=np.full_like(portrait.colors, 0.8))
    torch.testing.assert_close(lash_color(bleached, "left"), torch.full((3,), 0.8 * LASH_DARK))
    painted = portrait.colors.copy()
    lid = portrait.face.points[list(topology.LEFT_LID_UPPER), :2].astype(int)
    for x, y in lid:
        painted[y - 3 : y + 4, x - 3 : x + 4] = (0.02, 0.01, 0.03)
    dark = lash_color(replace(portrait, colors=painted), "left")
    torch.testing.assert_close(dark, torch.tensor([0.02, 0.01, 0.03]))


def test_lash_colors_and_opacities_can_be_drawn(animator: Animator, view: PosedView) -> None:
    lines = lash_lines(view, animator.head)
    for values in (*vars(lines.local).values(), lines.colors, lines.opacities):
        assert bool(torch.isfinite(values).all())
    assert bool(((lines.colors >= 0) & (lines.colors <= 1)).all())
    assert bool(((lines.opacities > 0.5) & (lines.opacities <= 1)).all())
