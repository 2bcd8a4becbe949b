"""The Unreal plugin's core: the golden set, axes, damaged bytes, and two compilers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.formats.packed16 import unpack
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import SH_C0
from plugin_server import wire
from plugin_server.splats import SplatDecoder
from tests.bridges.conftest import Build, make
from tests.make_golden import GOLDEN, everything

PATIENCE_S = 120
FUZZ_S = 5
AXES = np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])  # head frame -> Unreal's


def run(program: Path, *arguments: object, stdin: str = "") -> str:
    """What a program prints; it must end well."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_texels(halves: np.ndarray, packed: np.ndarray) -> None:
    """A texture's rows against what Python unpacks; half floats keep 11 bits."""
    header = wire.read_header(everything()["wire_splats_delta"])
    expected = unpack(packed, header.scales)
    texels = halves.reshape(-1, 16).astype(np.float32)
    assert not texels[len(packed) :].any()
    texels = texels[: len(packed)]
    colors = 0.5 + SH_C0 * expected.sh[:, 0].numpy()
    for part, got in [
        (expected.means, texels[:, :3]),
        (expected.opacities, texels[:, 3]),
        (expected.quats, texels[:, 4:8]),
        (expected.scales, texels[:, 8:11]),
        (colors, texels[:, 12:15]),
    ]:
        np.testing.assert_allclose(got, part, rtol=2**-10, atol=1e-6)


@pytest.fixture(scope="module")
def core(program: Build) -> Path:
    """`core_test` under ASan and UBSan."""
    return program("core_test", "sanitized")


def test_golden_set_both_ways(core: Path, tmp_path: Path) -> None:
    """C++ reads what Python wrote, and what C++ writes is byte for byte what Python would."""
    run(core, "golden", GOLDEN, tmp_path)
    for name, expected in everything().items():
        assert (tmp_path / f"{name}.bin").read_bytes() == expected, name
    decoder = SplatDecoder()
    shown = None
    for name in ("wire_splats_key", "wire_splats_delta"):
        message = everything()[name]
        shown = decoder.feed_packed(wire.read_header(message), message)
    assert shown is not None
    assert (tmp_path / "splats.bin").read_bytes() == shown.tobytes()
    check_texels(np.fromfile(tmp_path / "texels.bin", np.float16), shown)
    assert (tmp_path / "names.txt").read_text().split() == [*ARKIT_NAMES]


def test_parts(core: Path) -> None:
    run(core, "parts")


def test_axes_agree(core: Path) -> None:
    """Against the head frame's own mathematics: covariances turn as matrices do."""
    random = np.random.default_rng(3)
    rows = random.uniform(-1, 1, (200, 13))
    rows[:, 6:10] /= np.linalg.norm(rows[:, 6:10], axis=1, keepdims=True)
    rows[0, :3] = 0
    rows[1, :3] = 1e-9
    rows[:, 10:] = np.abs(rows[:, 10:])
    text = "\n".join(" ".join(f"{x:.17g}" for x in row) for row in rows)
    lines = run(core, "axes", stdin=text).splitlines()
    got = np.array([[float(x) for x in line.split()] for line in lines])
    turns = np.array([HeadAngles(*row[:3]).axis_angle() for row in rows])
    np.testing.assert_allclose(got[:, :3], turns, atol=1e-6)
    np.testing.assert_allclose(got[:, 3:6], 100 * rows[:, 3:6] @ AXES.T, atol=1e-6)
    for row, mine in zip(rows, got, strict=True):
        head = Rotation.from_quat(row[[7, 8, 9, 6]]).as_matrix()
        unreal = Rotation.from_quat(mine[[7, 8, 9, 6]]).as_matrix()
        expected = AXES @ head @ np.diag(row[10:] ** 2) @ head.T @ AXES.T * 1e4
        covariance = unreal @ np.diag(mine[10:] ** 2) @ unreal.T
        np.testing.assert_allclose(covariance, expected, atol=1e-6 * 1e4)  # cm^2: 1e-6 m^2


def test_a_camera_in_unreal_sees_what_opencv_sees(core: Path) -> None:
    """Forward is depth, right is +x, up is -y, in centimetres; and back to Unreal's space."""
    random = np.random.default_rng(5)
    lines, expected = [], []
    for turn in Rotation.random(50, rng=random):
        right_handed = turn.as_matrix()  # columns: forward, left, up
        forward, left, up = right_handed.T * [[1], [1], [1]]
        mirror = np.array([1, -1, 1])  # Unreal's y is to the right
        forward, right, up = forward * mirror, -left * mirror, up * mirror
        place, point = random.uniform(-50, 50, 3), random.uniform(-0.2, 0.2, 3)
        local = 100 * AXES @ point
        seen = np.array([right, -up, forward]) @ (local - place)
        expected.append([*seen, *local])
        lines.append(" ".join(f"{x:.9g}" for x in (*place, *right, *up, *forward, *point)))
    out = run(core, "camera", stdin="\n".join(lines)).splitlines()
    got = np.array([[float(x) for x in line.split()] for line in out])
    np.testing.assert_allclose(got, expected, atol=2e-4)  # float32 at 100 cm


def test_damaged_bytes(program: Build) -> None:
    """Under ASan and UBSan, for a few seconds."""
    rounds = int(run(program("fuzz_test", "sanitized"), GOLDEN, FUZZ_S, 1).split()[0])
    assert rounds > 500, "too few to mean anything"


@pytest.mark.skipif(shutil.which("clang++") is None, reason="needs clang++")
def test_clang_has_nothing_to_say() -> None:
    make("check")
