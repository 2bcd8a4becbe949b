"""The open head: rest pose, joints, skinning, lids and symmetry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from flexavatar.errors import AssetError, ShapeError
from flexavatar.head.eyelids import fit_eyelids
from flexavatar.head.flame import FlameHead, rotation_matrix, skin
from flexavatar.head.open_head import load_open_head, read_open_head
from flexavatar.types import FlameCodes

FLIP = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head() -> FlameHead:
    return load_open_head()


def zeros(head: FlameHead) -> FlameCodes:
    return FlameCodes.zeros(head.correctives.shape[-1])


def people(head: FlameHead, count: int) -> Tensor:
    return head.neutral(torch.randn(count, head.identity.shape[-1]))


def test_identity_pose_changes_nothing(head: FlameHead) -> None:
    neutral = people(head, 1)[0]
    posed = head.pose(neutral, zeros(head))
    # float32 sums of weights that add to 1, on coordinates under 0.3 m
    torch.testing.assert_close(posed.vertices, neutral, rtol=0, atol=1e-6)
    torch.testing.assert_close(posed.transforms, torch.eye(4).expand(5, 4, 4), rtol=0, atol=1e-6)


def test_batch_agrees_with_one_at_a_time(head: FlameHead) -> None:
    neutral = people(head, 3)
    codes = FlameCodes(*(0.1 * torch.randn(3, *f.shape) for f in vars(zeros(head)).values()))
    together = head.pose(neutral, codes).vertices
    for i in range(3):
        alone = head.pose(neutral[i], FlameCodes(*(f[i] for f in vars(codes).values())))
        torch.testing.assert_close(together[i], alone.vertices, rtol=0, atol=1e-6)  # float32 sums


@pytest.mark.parametrize(
    ("name", "size"),
    [("correctives", 0), ("correctives", 400), ("expression", 50), ("eyelids", 1)],
)
def test_codes_of_another_rig_are_refused(head: FlameHead, name: str, size: int) -> None:
    """ICT's codes have other correctives: their columns would be read as turns of the joints."""
    for shape in ((size,), (2, size)):
        with pytest.raises(ShapeError, match=name):
            head.blend_weights(replace(zeros(head), **{name: torch.zeros(shape)}))


def test_rigid_turn_moves_every_point_alike(head: FlameHead) -> None:
    turn, shift = torch.tensor([0.3, -0.8, 0.2]), torch.tensor([0.1, 0.2, 0.3])
    posed = head.pose(head.template, replace(zeros(head), global_orient=turn, transl=shift))
    pivot = head.joints(head.template)[0]
    wanted = (head.template - pivot) @ rotation_matrix(turn).T + pivot + shift
    torch.testing.assert_close(posed.vertices, wanted, rtol=0, atol=1e-6)  # float32 rounding


def test_skin_and_rotation_gradients() -> None:
    vertices = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(4, 5, dtype=torch.float64).softmax(-1)
    transforms = torch.randn(5, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v, t: skin(v, weights, t), (vertices, transforms))
    for size in (0.0, 1e-5, 1.0):
        angles = size * torch.randn(2, 3, dtype=torch.float64)
        assert torch.autograd.gradcheck(rotation_matrix, angles.requires_grad_())


def test_everything_is_mirror_symmetric(head: FlameHead) -> None:
    other = head.mirror
    assert (other[other] == torch.arange(len(other))).all()
    assert torch.equal(head.template[other] * FLIP, head.template)
    flipped = head.identity[other] * FLIP[:, None]
    same = (flipped == head.identity).all(0).all(0) | (flipped == -head.identity).all(0).all(0)
    assert same.all()  # every mode is symmetric or antisymmetric, to the last bit
    assert torch.equal(head.eyelids[other].flip(-1) * FLIP[:, None], head.eyelids)
    swapped = head.lbs_weights[other][:, [0, 1, 2, 4, 3]]
    torch.testing.assert_close(swapped, head.lbs_weights, rtol=0, atol=1e-6)  # float32 of smoothing
    faces = {frozenset(f) for f in head.faces.tolist()}
    assert faces == {frozenset(f) for f in other[head.faces].tolist()}


def test_weights_and_regressor_are_affine(head: FlameHead) -> None:
    ones = torch.ones(len(head.template))
    torch.testing.assert_close(head.lbs_weights.sum(1), ones, rtol=0, atol=1e-6)  # float32 sums
    torch.testing.assert_close(head.joint_regressor.sum(1), torch.ones(5), rtol=0, atol=1e-5)
    assert head.lbs_weights.min() >= 0


def test_joints_lie_where_anatomy_has_them(head: FlameHead) -> None:
    neck_base, skull, jaw, left_eye, right_eye = head.joints(head.template)
    assert neck_base[1] < skull[1] < left_eye[1]
    assert jaw[1] < left_eye[1]
    assert jaw[2] < left_eye[2]
    torch.testing.assert_close(left_eye * FLIP, right_eye, rtol=0, atol=1e-6)
    assert 0.055 < left_eye[0] - right_eye[0] < 0.07  # metres between adult pupils


def test_eye_joints_follow_identity(head: FlameHead) -> None:
    """Eyeballs stay spheres about their joint on every face."""
    for neutral in people(head, 8):
        for joint, name in ((3, "leye"), (4, "reye")):
            ball = neutral[head.masks[name] > 0.5]
            radius = (ball - head.joints(neutral)[joint]).norm(dim=-1)
            assert radius.std() < 5e-5  # float16 storage of up to 72 summed modes


def test_neck_bends_and_shoulders_stay(head: FlameHead) -> None:
    posed = head.pose(head.template, replace(zeros(head), neck_pose=torch.tensor([0.0, 0.6, 0.0])))
    moved = (posed.vertices - head.template).norm(dim=-1)
    assert moved[head.masks["shoulders"] > 0.99].max() < 3e-3  # metres: the fade ends there
    assert moved[head.masks["face"] > 0.5].mean() > 0.02
    sides = head.faces[(head.masks["neck"] > 0.5)[head.faces].all(1)]
    weights = head.lbs_weights[:, 1]
    jumps = (weights[sides] - weights[sides.roll(1, 1)]).abs()
    assert jumps.max() < 0.25  # smooth: no step from one vertex to the next


def test_jaw_carries_lower_teeth_and_leaves_upper(head: FlameHead) -> None:
    posed = head.pose(head.template, replace(zeros(head), jaw_pose=torch.tensor([0.4, 0, 0])))
    moved = (posed.vertices - head.template).norm(dim=-1)[head.masks["teeth"] > 0.5]
    assert ((moved < 1e-6) | (moved > 0.01)).all()
    assert (moved > 0.01).any()
    assert (moved < 1e-6).any()


@pytest.mark.parametrize("person", range(6))
def test_own_lids_close_on_any_face(head: FlameHead, person: int) -> None:
    torch.manual_seed(person)
    neutral = people(head, 1)[0]
    own = fit_eyelids(head, neutral)
    ball = neutral[head.masks["leye"] > 0.5]
    centre = head.joints(neutral)[3]
    radius = (ball - centre).norm(dim=-1).mean()
    loops = ("outer", "middle", "inner")
    margins = {h: [head.rings[f"left_{h}_lid_{m}"] for m in loops] for h in ("upper", "lower")}
    for amount in (0.5, 1.0):
        posed = own.pose(neutral, replace(zeros(head), eyelids=torch.tensor([amount, 0.0])))
        for ring in (*margins["upper"], *margins["lower"]):
            clearance = (posed.vertices[ring] - centre).norm(dim=-1) - radius
            assert clearance.min() > 0.3e-3  # metres in front of the eyeball
    upper, lower = (posed.vertices[margins[h][1]] for h in ("upper", "lower"))
    gaps = (upper[2:-2, None] - lower[None]).norm(dim=-1).amin(1)
    assert gaps.max() < 2e-3  # to the nearest vertex; loops have one every 2 to 4 mm


def test_damaged_or_missing_asset_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AssetError):
        read_open_head(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(AssetError):
        read_open_head(tmp_path / "bad.npz")
