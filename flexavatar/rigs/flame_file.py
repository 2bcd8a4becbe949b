"""FLAME 2017, 2020, 2023 and 2023 Open model files: their names and layouts end here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flexavatar.errors import AssetError
from flexavatar.rigs.chart import Chart, read_obj_chart, unwrap
from flexavatar.rigs.foreign import ForeignRig, check_array, check_height, check_indices
from flexavatar.rigs.safe_pickle import as_array
from flexavatar.types import EXPRESSION_SIZE, PARENTS

NEEDED = ("v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights", "f")
IDENTITY_SIZE = 300
"""FLAME's shape directions come first, expression directions after them."""
POSE_SIZE = 36
JAW_PITCH = 0.44
"""Radians at jawOpen 1, measured on ICT-FaceKit's lower teeth."""
TEMPLATE = "head_template.obj"


def read_flame(values: Mapping[str, Any], folder: Path) -> ForeignRig:
    """A FLAME model from the named arrays of its file; its chart from `folder` if it is there.

    Raises AssetError if an array is missing or has the wrong shape.
    """
    if missing := [name for name in NEEDED if name not in values]:
        raise AssetError(f"FLAME model: expected {', '.join(NEEDED)}; missing {', '.join(missing)}")
    arrays = {name: as_array(name, values[name]) for name in NEEDED}
    template = arrays["v_template"].astype(np.float64)
    check_array("v_template", template, None, 3)
    check_height(template)
    count = len(template)
    check_array("f", arrays["f"], None, 3)
    check_indices("f", arrays["f"], count)
    faces = arrays["f"].astype(np.int64)
    _check_tree(arrays["kintree_table"])
    identity, expression = _shape_bases(arrays["shapedirs"], count)
    return ForeignRig(
        template=template,
        identity=identity,
        expression=expression,
        pose_correctives=_pose_basis(arrays["posedirs"], count),
        joint_regressor=_rows("J_regressor", arrays["J_regressor"], 5, count),
        lbs_weights=_rows("weights", arrays["weights"], count, 5),
        faces=faces,
        chart=_chart(folder, template, faces),
        jaw_pitch=JAW_PITCH,
    )


def _check_tree(table: np.ndarray) -> None:
    """The root's parent is -1, in FLAME's file as an unsigned number."""
    check_array("kintree_table", table, 2, len(PARENTS))
    if tuple(table[0, 1:].astype(np.int64)) != PARENTS[1:]:
        raise AssetError(f"kintree_table: expected parents {PARENTS}, got {table[0].tolist()}")


def _shape_bases(directions: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    check_array("shapedirs", directions, count, 3, None)
    extra = directions.shape[2] - IDENTITY_SIZE
    if not 1 <= extra <= EXPRESSION_SIZE:
        wanted = f"{IDENTITY_SIZE} + 1..{EXPRESSION_SIZE} directions"
        raise AssetError(f"shapedirs: expected {wanted}, got {directions.shape[2]}")
    return directions[..., :IDENTITY_SIZE], directions[..., IDENTITY_SIZE:]


def _pose_basis(directions: np.ndarray, count: int) -> np.ndarray:
    """Either FLAME's [V, 3, 36] or smplx's [36, 3 V]."""
    if directions.ndim == 2:
        check_array("posedirs", directions, POSE_SIZE, 3 * count)
        return directions.T.reshape(count, 3, POSE_SIZE)
    check_array("posedirs", directions, count, 3, POSE_SIZE)
    return directions


def _rows(name: str, matrix: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Rows that sum to 1, as a mean of points must."""
    matrix = matrix.astype(np.float64)
    check_array(name, matrix, rows, columns)
    sums = matrix.sum(1)
    if np.abs(sums - 1).max() > 1e-2:  # files differ by rounding, not by more
        raise AssetError(
            f"{name}: expected rows that sum to 1, got {sums.min():.3g}..{sums.max():.3g}"
        )
    return matrix / sums[:, None]


def _chart(folder: Path, template: np.ndarray, faces: np.ndarray) -> Chart:
    """FLAME's own chart if its template lies beside the model, else an unwrap."""
    path = folder / TEMPLATE
    return read_obj_chart(path, faces) if path.is_file() else unwrap(template, faces)
