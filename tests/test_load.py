"""Rigs from files: FLAME and ICT-FaceKit load into one class, nothing in a file is executed."""

from __future__ import annotations

import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix

from flexavatar.errors import AssetError
from flexavatar.head.arkit import ARKIT_INDEX, arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.rigs.chart import _overlapping, unwrap
from flexavatar.rigs.ict import ict_names
from flexavatar.rigs.load import read_rig
from flexavatar.rigs.safe_pickle import as_array, read_pickle
from flexavatar.types import FlameCodes

Arrays = dict[str, Any]


@pytest.fixture
def flame() -> Arrays:
    """A made-up model in FLAME's layout: 30 vertices on a head-sized box."""
    rng = np.random.default_rng(0)
    count = 30
    template = rng.uniform((-0.08, -0.15, -0.1), (0.08, 0.15, 0.1), (count, 3))
    weights = rng.uniform(0, 1, (count, 5))
    regressor = rng.uniform(0, 1, (5, count))
    return {
        "v_template": template,
        "shapedirs": rng.normal(0, 1e-3, (count, 3, 400)),
        "posedirs": rng.normal(0, 1e-4, (count, 3, 36)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
        "weights": weights / weights.sum(1, keepdims=True),
        "f": np.array([rng.choice(count, 3, replace=False) for _ in range(40)], dtype=np.uint32),
    }


def save_npz(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)
    return path


def save_pickle(path: Path, value: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_and_npz_agree(flame: Arrays, tmp_path: Path, protocol: int) -> None:
    sparse = flame | {"J_regressor": csc_matrix(flame["J_regressor"])}
    a = read_rig(save_npz(tmp_path / "flame.npz", flame))
    b = read_rig(save_pickle(tmp_path / "flame.pkl", sparse, protocol))
    for name in ("template", "identity", "expression", "pose_correctives", "lbs_weights", "faces"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert torch.equal(a.joint_regressor, b.joint_regressor)


def test_flame_layout(flame: Arrays, tmp_path: Path) -> None:
    head = read_rig(save_npz(tmp_path / "flame.npz", flame))
    assert head.identity.shape == (30, 3, 300)
    assert head.expression.shape == (30, 3, 100)
    np.testing.assert_array_equal(head.expression, flame["shapedirs"].astype(np.float32)[..., 300:])
    posed = head.pose(head.template, FlameCodes.zeros(0))
    # Rows of the weights sum to 1 in float32 to 1e-7, on 0.15 m.
    torch.testing.assert_close(posed.vertices, head.template, rtol=0, atol=1e-6)


def test_flat_pose_basis_means_the_same(flame: Arrays, tmp_path: Path) -> None:
    whole = np.asarray(flame["posedirs"])
    flat = flame | {"posedirs": whole.reshape(-1, 36).T}
    a = read_rig(save_npz(tmp_path / "a.npz", flame))
    b = read_rig(save_npz(tmp_path / "b.npz", flat))
    assert torch.equal(a.pose_correctives, b.pose_correctives)


def test_objects_in_an_npz_are_read_inertly(flame: Arrays, tmp_path: Path) -> None:
    boxed = np.empty((), dtype=object)
    boxed[()] = csc_matrix(flame["J_regressor"])
    a = read_rig(save_npz(tmp_path / "a.npz", flame | {"J_regressor": boxed}))
    b = read_rig(save_npz(tmp_path / "b.npz", flame))
    assert torch.equal(a.joint_regressor, b.joint_regressor)


def test_chumpy_objects_give_their_array(
    flame: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, parent = types.ModuleType("chumpy.ch"), types.ModuleType("chumpy")

    class Ch:
        def __init__(self, x: np.ndarray) -> None:
            self.x = x

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    vars(module)["Ch"] = Ch
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "chumpy", parent)
        patch.setitem(sys.modules, "chumpy.ch", module)
        wrapped = flame | {"shapedirs": Ch(np.asarray(flame["shapedirs"]))}
        path = save_pickle(tmp_path / "chumpy.pkl", wrapped)
    assert "chumpy" not in sys.modules
    head = read_rig(path)
    np.testing.assert_array_equal(head.identity, flame["shapedirs"].astype(np.float32)[..., :300])


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_evil_pickle_does_not_run(flame: Arrays, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = save_pickle(tmp_path / "evil.pkl", flame | {"note": Evil(marker)})
    with pytest.raises(AssetError, match=r"global \w+\.system"):
        read_rig(path)
    boxed = np.empty((), dtype=object)
    boxed[()] = Evil(marker)
    with pytest.raises(AssetError, match=r"global \w+\.system"):
        read_rig(save_npz(tmp_path / "evil.npz", flame | {"note": boxed}))
    assert not marker.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
        b"csubprocess\nPopen\n.",
        b"cnumpy\nload\n.",
        b"cchumpy\nCh\n(dS'x'\nI1\nsb.",  # state for a class instead of an object
    ],
)
def test_other_globals_and_states_are_refused(code: bytes) -> None:
    with pytest.raises(AssetError, match="expected"):
        read_pickle(code)


def test_dtype_with_objects_is_refused() -> None:
    tree = read_pickle(pickle.dumps(np.array([object], dtype=object), 2))
    with pytest.raises(AssetError, match="damaged data"):
        as_array("x", tree)


def test_truncated_files_are_refused(flame: Arrays, tmp_path: Path) -> None:
    for path in (save_npz(tmp_path / "a.npz", flame), save_pickle(tmp_path / "a.pkl", flame)):
        whole = path.read_bytes()
        for share in (0, 0.1, 0.5, 0.99):
            path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(AssetError, match="expected"):
                read_rig(path)


def test_flipped_bytes_load_or_are_refused(flame: Arrays, tmp_path: Path) -> None:
    whole = save_pickle(
        tmp_path / "a.pkl", flame | {"shapedirs": np.zeros((30, 3, 301))}
    ).read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / "b.pkl"
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read_rig(path)
        except AssetError as error:
            assert "expected" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("v_template", np.full((30, 3), np.nan), "finite"),
        ("v_template", np.ones((30, 3)) * 0.2, "m tall"),
        ("shapedirs", np.zeros((30, 3, 10)), "shapedirs: expected"),
        ("posedirs", np.zeros((9, 90)), "posedirs: expected 36x90"),
        ("weights", np.zeros((30, 5)), "weights: expected rows that sum to 1"),
        ("weights", np.zeros((30, 4)), "weights: expected 30x5, got 30x4"),
        ("J_regressor", np.zeros((24, 30)), "J_regressor: expected 5x30"),
        ("kintree_table", np.zeros((2, 5)), "kintree_table: expected parents"),
        ("f", np.full((4, 3), 30), "f: expected indices 0..29"),
        ("f", np.array(["a", "b", "c"]), "f: expected numbers"),
    ],
)
def test_wrong_arrays_are_named(
    flame: Arrays, tmp_path: Path, name: str, value: np.ndarray, message: str
) -> None:
    with pytest.raises(AssetError, match=message):
        read_rig(save_npz(tmp_path / "flame.npz", flame | {name: value}))


def test_missing_and_unknown_files(flame: Arrays, tmp_path: Path) -> None:
    del flame["weights"]
    with pytest.raises(AssetError, match="missing weights"):
        read_rig(save_npz(tmp_path / "a.npz", flame))
    with pytest.raises(AssetError, match=r"got x$"):
        read_rig(save_npz(tmp_path / "b.npz", {"x": np.zeros(3)}))
    with pytest.raises(AssetError, match="No such file"):
        read_rig(tmp_path / "none.pkl")
    with pytest.raises(AssetError, match="expected a dictionary"):
        read_rig(save_pickle(tmp_path / "c.pkl", [1, 2]))


def test_chart_comes_from_the_template_beside_it(flame: Arrays, tmp_path: Path) -> None:
    faces = np.asarray(flame["f"]).astype(int)
    lines = [f"vt {i / 30} {1 - i / 30}" for i in range(30)]
    turned = np.roll(faces[::-1], 1, axis=1) + 1  # another order of faces and corners
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in turned]
    (tmp_path / "head_template.obj").write_text("\n".join(lines))
    head = read_rig(save_npz(tmp_path / "flame.npz", flame))
    assert torch.equal(head.uv_faces, head.faces)
    (tmp_path / "head_template.obj").write_text("\n".join(lines[:-1]))
    with pytest.raises(AssetError, match="one is missing"):
        read_rig(tmp_path / "flame.npz")


def test_unwrap_has_no_overlaps() -> None:
    steps = 24
    u, v = np.meshgrid(
        np.linspace(0, 2 * np.pi, steps), np.linspace(0, 2 * np.pi, steps), indexing="ij"
    )
    ring = 2 + np.cos(v)  # a torus hides parts of itself from every side
    points = np.stack((ring * np.cos(u), np.sin(v), ring * np.sin(u)), -1).reshape(-1, 3)
    a = (np.arange(steps - 1)[:, None] * steps + np.arange(steps - 1)).ravel()
    faces = np.concatenate(
        (np.stack((a, a + 1, a + steps), 1), np.stack((a + 1, a + steps + 1, a + steps), 1))
    )
    chart = unwrap(points, faces)
    assert chart.uvs.min() >= 0
    assert chart.uvs.max() <= 1
    flat = chart.uvs[chart.faces].astype(np.float64)
    # Inset by a hundred-thousandth: touching edges are rounded to float32.
    flat += 1e-5 * (flat.mean(1, keepdims=True) - flat)
    assert not len(_overlapping(flat, np.zeros(len(faces), dtype=np.int64)))
    e1, e2 = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    assert (e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0] > 0).all()


def test_ict_becomes_a_head(shared_data: Path) -> None:
    path = shared_data / "ict_facekit_f16.npz"
    head = read_rig(path)
    assert head.identity.shape == (26719, 3, 100)
    leye, reye = head.joints(head.template)[3:]
    assert leye[0] > 0.02 > -0.02 > reye[0]  # the character's left is +x
    assert leye[2] > 0.05
    assert head.jaw_pitch == pytest.approx(
        np.radians(25.3), abs=np.radians(0.1)
    )  # as measured on it


@pytest.mark.parametrize(
    "name", ["jawOpen", "eyeBlinkLeft", "mouthSmileRight", "cheekPuff", "jawLeft"]
)
def test_ict_moves_as_its_own_shapes_say(shared_data: Path, name: str) -> None:
    path = shared_data / "ict_facekit_f16.npz"
    head = read_rig(path)
    with np.load(path) as archive:
        names = [str(n) for n in archive["expr_names"]]
        field = sum(
            archive["expr"][names.index(n)].astype(np.float32) * 0.01 for n in ict_names(name)
        )
    posed = head.pose(head.template, arkit_to_flame({name: 1.0}, load_arkit_basis(head))).vertices
    skin = slice(0, 14062)
    # 0.02 mm: the ridge in the fit; the displacements are some 10 mm.
    np.testing.assert_allclose((posed - head.template)[skin], np.asarray(field)[skin], atol=2e-5)
    assert head.arkit_offsets[ARKIT_INDEX["tongueOut"]].abs().max() < 1e-6
