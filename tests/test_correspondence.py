"""Places on one rig and another: fit, transfer of fields, and driving through another rig."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flexavatar.errors import AssetError, InputError, ShapeError
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.flame import FlameHead
from flexavatar.head.mesh_operators import LaplacianFill
from flexavatar.head.open_head import load_open_head
from flexavatar.head.surface import ClosestPointQuery, closest_bary, fit_similarity
from flexavatar.rigs.correspondence import Correspondence, correspondence_of
from flexavatar.rigs.drive_through import DriveThrough
from flexavatar.rigs.load import load_rig
from flexavatar.rigs.transfer import transfer_fields
from flexavatar.types import EXPRESSION_SIZE, FlameCodes


def turn(angle: float) -> np.ndarray:
    """About +y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


@dataclass(frozen=True)
class Twin:
    """A FLAME file made from the open head: another person, larger, moved, without a mouth."""

    path: Path
    ids: np.ndarray  # [Vb] the open head's vertex that each vertex was


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    head = load_open_head()
    betas = torch.randn(head.identity.shape[2], generator=torch.Generator().manual_seed(3))
    points = head.neutral(0.7 * betas).double().numpy() * 1.04 + (0.01, -0.03, 0.02)
    inside = (
        torch.stack([head.masks[n] for n in ("teeth", "tongue", "cavity")]).amax(0).numpy() > 0.5
    )
    faces = head.faces.numpy()
    faces = faces[~inside[faces].any(1)]
    ids = np.unique(faces)
    index = np.full(len(points), -1)
    index[ids] = np.arange(len(ids))
    regressor = np.zeros((5, len(ids)))
    joints = head.joints(head.neutral(0.7 * betas)).double().numpy() * 1.04 + (0.01, -0.03, 0.02)
    for row, joint in enumerate(joints):
        corner = np.concatenate((points[ids].T, np.ones((1, len(ids)))))
        regressor[row] = np.linalg.pinv(corner) @ np.append(joint, 1)
    weights = head.lbs_weights.double().numpy()[ids]
    path = tmp_path_factory.mktemp("rig") / "twin.npz"
    np.savez(
        path,
        v_template=points[ids],
        shapedirs=np.concatenate(
            (np.zeros((len(ids), 3, 300)), head.expression.double().numpy()[ids]), axis=2
        ),
        posedirs=np.zeros((len(ids), 3, 36)),
        J_regressor=regressor,
        kintree_table=np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
        weights=weights / weights.sum(1, keepdims=True),
        f=index[faces],
    )
    return Twin(path, ids)


@pytest.fixture(scope="module")
def twin_head(twin: Twin) -> FlameHead:
    return load_rig(twin.path)


@pytest.fixture(scope="module")
def found(twin: Twin, twin_head: FlameHead) -> Correspondence:
    return correspondence_of(load_open_head(), twin_head)


def outer(twin: Twin, found: Correspondence) -> np.ndarray:
    """Vertices of the twin that can be matched: [Vb] bool."""
    skin = load_open_head().masks["eyes"].numpy()[twin.ids] < 0.5
    return skin & (found.trust_a > 0.9)


def test_similarity_is_recovered() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3))
    moved = 1.7 * points @ turn(0.8).T + (1, 2, 3)
    fit = fit_similarity(points, moved)
    np.testing.assert_allclose(fit.apply(points), moved, atol=1e-12)
    np.testing.assert_allclose(fit.inverse.apply(moved), points, atol=1e-12)
    assert fit_similarity(points, moved, rigid=True).scale == 1.0


def test_closest_point_agrees_with_dense_search() -> None:
    rng = np.random.default_rng(0)
    corners, points = rng.normal(size=(50, 3, 3)), rng.normal(size=(50, 3))
    bary = closest_bary(points, corners)
    steps = np.linspace(0, 1, 120)
    grid = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-9])
    dense = np.linalg.norm(grid @ corners - points[:, None], axis=2).min(1)
    ours = np.linalg.norm((bary[:, None] @ corners)[:, 0] - points, axis=1)
    assert (ours <= dense + 1e-9).all()
    np.testing.assert_allclose(ours, dense, atol=0.03)  # the grid is 0.01 of a side of length 3


def test_features_keep_two_sheets_apart() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    points = np.concatenate((square, square + np.array([0, 0, 0.1])))
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    side = np.repeat((0.0, 5.0), 4)[:, None]
    places = ClosestPointQuery(points, faces, side, np.arange(4)).nearest(
        np.array([[0.5, 0.4, 0.09]]), np.zeros((1, 1))
    )
    assert places.face_ids[0] < 2
    assert places.offsets[0] == pytest.approx(0.09)


def test_fill_keeps_what_is_trusted() -> None:
    grid = np.arange(100).reshape(10, 10)
    a, b, c, d = (x.ravel() for x in (grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]))
    faces = np.concatenate((np.stack((a, b, c), 1), np.stack((a, c, d), 1)))
    ramp = np.repeat(np.arange(10.0), 10)[:, None]
    trust = (np.abs(ramp[:, 0] - 4.5) > 2).astype(float)
    filled = LaplacianFill(faces, trust)(np.where(trust[:, None] > 0, ramp, 99.0))
    # A ramp is what smoothness makes of its two ends, bent by 1e-4 / 0.02 of what the hole held.
    np.testing.assert_allclose(filled, ramp, atol=0.03 * 99)
    np.testing.assert_allclose(filled[trust > 0], ramp[trust > 0], atol=0.1)


def test_places_on_a_known_twin(twin: Twin, twin_head: FlameHead, found: Correspondence) -> None:
    template = load_open_head().template.double().numpy()
    there = (found.matrix_a() @ template)[outer(twin, found)]
    miss = np.linalg.norm(there - template[twin.ids][outer(twin, found)], axis=1)
    face = load_open_head().masks["face"].numpy()[twin.ids][outer(twin, found)] > 0.5
    # Landmarks place features to 1-2 mm; between them the skin may slide along itself.
    assert np.median(miss[face]) < 1e-3
    assert np.percentile(miss[face], 95) < 4e-3
    assert np.median(found.residual) < 0.2e-3
    assert outer(twin, found).mean() > 0.8


def test_masks_arrive(twin: Twin, twin_head: FlameHead) -> None:
    head = load_open_head()
    for name in ("face", "lids", "lips", "ears", "eyes"):
        own, truth = twin_head.masks[name].numpy(), head.masks[name].numpy()[twin.ids]
        # A smooth mask that is shifted by 1 mm overlaps by more than nine tenths.
        assert np.minimum(own, truth).sum() / np.maximum(own, truth).sum() > 0.8, name


def test_lids_close(twin: Twin, twin_head: FlameHead, found: Correspondence) -> None:
    for eye, name in enumerate(("left", "right")):
        lids = torch.zeros(2)
        lids[eye] = 1
        codes = replace(FlameCodes.zeros(twin_head.correctives.shape[-1]), eyelids=lids)
        posed = twin_head.pose(twin_head.template, codes).vertices.double().numpy()
        index = np.full(len(found.weights_a), -1)
        index[twin.ids] = np.arange(len(twin.ids))
        own = found.lids.eye == eye
        upper, lower = index[found.lids.upper[own]], index[found.lids.lower[own]]
        before = twin_head.template.double().numpy()
        axis = before[upper] - before[lower]
        width = np.linalg.norm(axis, axis=1)
        gap = ((posed[upper] - posed[lower]) * axis).sum(1) / width
        # Closed where the correspondence says the margins are, which is right to a millimetre.
        assert np.abs(gap).mean() < 0.15 * width.mean(), name


def test_arkit_reaches_the_twin(twin: Twin, twin_head: FlameHead, found: Correspondence) -> None:
    head = load_open_head()
    basis = load_arkit_basis(twin_head)
    skin = outer(twin, found)
    for name in ("mouthSmileLeft", "mouthPucker", "browInnerUp", "jawOpen"):
        posed = twin_head.pose(twin_head.template, arkit_to_flame({name: 1.0}, basis)).vertices
        own = head.pose(head.template, arkit_to_flame({name: 1.0}, load_arkit_basis(head))).vertices
        a = (posed - twin_head.template).double().numpy()[skin]
        b = (own - head.template).double().numpy()[twin.ids][skin]
        assert (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()) > 0.95, name


def test_fields_grow_with_the_rig(found: Correspondence) -> None:
    fields = np.ones((1, len(found.weights_a), 3)) * (0, 1e-3, 0)
    carried = transfer_fields(found, fields)[0]
    np.testing.assert_allclose(np.linalg.norm(carried, axis=1), found.align.scale * 1e-3, rtol=1e-6)


def test_rest_drives_to_rest(twin_head: FlameHead, found: Correspondence) -> None:
    head = load_open_head()
    driven = DriveThrough(found, twin_head.template, head.template).pose(twin_head.template)
    torch.testing.assert_close(driven, head.template, rtol=0, atol=1e-6)  # float32 of 0.3 m


def test_moving_the_rig_moves_the_head(twin_head: FlameHead, found: Correspondence) -> None:
    head = load_open_head()
    rotation = torch.from_numpy(turn(0.7)).float()
    shift = torch.tensor([0.1, -0.05, 0.02])
    posed = twin_head.template @ rotation.T + shift
    driven = DriveThrough(found, twin_head.template, head.template).pose(posed)
    fit = fit_similarity(head.template.double().numpy(), driven.double().numpy(), rigid=True)
    # 0.02 mm: rotations are measured on float32 vertices.
    np.testing.assert_allclose(fit.apply(head.template.double().numpy()), driven, atol=2e-5)
    # Each person's own upright counts: the two neutral heads are tilted by some 0.01 rad.
    np.testing.assert_allclose(fit.rotation, rotation, atol=0.01)


def test_expressions_come_through(twin: Twin, twin_head: FlameHead, found: Correspondence) -> None:
    head = load_open_head()
    driver = DriveThrough(found, twin_head.template, head.template)
    base = FlameCodes.zeros(twin_head.correctives.shape[-1])
    expression = torch.zeros(EXPRESSION_SIZE)
    expression[:4] = torch.tensor([1.5, -1.0, 1.0, 0.5])
    codes = replace(
        base,
        expression=expression,
        jaw_pose=torch.tensor([0.2, 0, 0]),
        neck_pose=torch.tensor([0, 0.4, 0.1]),
    )
    wanted = head.pose(
        head.template, replace(codes, correctives=torch.zeros(head.correctives.shape[-1]))
    )
    driven = driver.pose(twin_head.pose(twin_head.template, codes).vertices)
    move = (wanted.vertices - head.template).norm(dim=-1)
    miss = (driven - wanted.vertices).norm(dim=-1)
    face = head.masks["face"] > 0.5
    assert move[face].median() > 0.02
    # Two people of other proportions, 4% apart in size: a tenth of the movement.
    assert miss[face].median() < 0.1 * move[face].median()


def test_teeth_turn_with_the_jaw_that_has_none(twin_head: FlameHead, found: Correspondence) -> None:
    head = load_open_head()
    turned = {"jaw_pose": torch.tensor([0.3, 0, 0]), "neck_pose": torch.tensor([0, 0.4, 0.1])}
    codes = replace(FlameCodes.zeros(twin_head.correctives.shape[-1]), **turned)
    own = replace(FlameCodes.zeros(head.correctives.shape[-1]), **turned)
    wanted = head.pose(head.template, own).vertices
    posed = twin_head.pose(twin_head.template, codes).vertices
    driven = DriveThrough(found, twin_head.template, head.template).pose(posed)
    teeth = head.masks["teeth"] > 0.5
    move = (wanted - head.template).norm(dim=-1)[teeth]
    assert move.median() > 0.02
    # The jaw's turn is read off the chin, which follows it to 95%.
    assert (driven - wanted).norm(dim=-1)[teeth].median() < 0.1 * move.median()


def test_wrong_vertices_are_refused(twin_head: FlameHead, found: Correspondence) -> None:
    driver = DriveThrough(found, twin_head.template, load_open_head().template)
    with pytest.raises(ShapeError):
        driver.pose(twin_head.template[:-1])
    with pytest.raises(InputError, match="finite"):
        driver.pose(twin_head.template * torch.nan)


def test_kept_for_the_user_and_not_beside_the_rig(
    twin: Twin,
    twin_head: FlameHead,
    found: Correspondence,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fits: list[FlameHead] = []

    def fit(a: FlameHead, b: FlameHead) -> Correspondence:
        fits.append(b)
        return found

    monkeypatch.setattr("flexavatar.rigs.correspondence.fit_correspondence", fit)
    for _ in range(2):
        again = correspondence_of(load_open_head(), twin_head)
        np.testing.assert_array_equal(again.on_a.bary, found.on_a.bary)
    assert len(fits) == 1
    (kept,) = tmp_path.rglob("*.npz")
    load_rig(twin.path)  # what it completes is not what the fit looked at
    assert len(fits) == 1
    correspondence_of(load_open_head(), replace(twin_head, template=twin_head.template * 1.01))
    assert len(fits) == 2
    whole = kept.read_bytes()
    for spoilt in (whole[: len(whole) // 2], b"", b"no archive"):
        kept.write_bytes(spoilt)
        correspondence_of(load_open_head(), twin_head)
        assert fits.pop() is twin_head
        assert kept.read_bytes() == whole
    assert list(twin.path.parent.iterdir()) == [twin.path]


def test_a_rig_without_a_face_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    count = 60
    weights = np.eye(5)[rng.integers(0, 5, count)]
    np.savez(
        tmp_path / "noise.npz",
        v_template=rng.uniform(-0.12, 0.12, (count, 3)),
        shapedirs=np.zeros((count, 3, 400)),
        posedirs=np.zeros((count, 3, 36)),
        J_regressor=np.full((5, count), 1 / count),
        kintree_table=np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
        weights=weights,
        f=rng.integers(0, count, (12, 3)),
    )
    with pytest.raises(AssetError, match="found no face"):
        load_rig(tmp_path / "noise.npz")


def test_lips_do_not_pass_through_each_other(twin_head: FlameHead, found: Correspondence) -> None:
    head = load_open_head()
    posed = twin_head.template.clone()
    lower = twin_head.lbs_weights[:, 2:3]
    posed = posed + lower * torch.tensor([0, 0.006, 0])  # the jaw is pushed up by 6 mm
    driven = DriveThrough(found, twin_head.template, head.template).pose(posed)
    upper = found.lips[0]
    gaps = (
        upper.gaps(driven.double().numpy())[:, 1] - upper.gaps(head.template.double().numpy())[:, 1]
    )
    # 1 mm of pressing is allowed; 0.5 mm more between the pairs of the other lip.
    assert gaps.min() > -2.5e-3
    assert torch.isfinite(driven).all()


def test_ict_drives_the_open_head(shared_data: Path) -> None:
    head, rig = load_open_head(), load_rig(shared_data / "ict_facekit_f16.npz")
    ict = correspondence_of(head, rig)
    assert np.median(ict.residual) < 0.2e-3  # metres between the two surfaces after the fit
    assert np.percentile(ict.residual, 95) < 1.5e-3
    driver = DriveThrough(ict, rig.template, head.template)
    basis = load_arkit_basis(rig)
    skin = (head.masks["eyes"] < 0.5).numpy()
    # Two artists' idea of one shape: how far they point the same way, measured less a margin.
    for name, alike in (("jawOpen", 0.9), ("mouthSmileLeft", 0.8), ("eyeBlinkLeft", 0.7)):
        posed = rig.pose(rig.template, arkit_to_flame({name: 1.0}, basis)).vertices
        a = (driver.pose(posed) - head.template).double().numpy()[skin]
        own = arkit_to_flame({name: 1.0}, load_arkit_basis(head))
        b = (head.pose(head.template, own).vertices - head.template).double().numpy()[skin]
        assert (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()) > alike, name
    for eye, name in enumerate(("eyeBlinkLeft", "eyeBlinkRight")):
        posed = rig.pose(rig.template, arkit_to_flame({name: 1.0}, basis)).vertices
        gaps = ict.lids.gaps(driver.pose(posed).double().numpy())
        axis = driver.gaps / np.linalg.norm(driver.gaps, axis=1, keepdims=True)
        assert np.abs((gaps * axis).sum(1)[ict.lids.eye == eye]).mean() < 0.5e-3  # metres
