"""Heads written for other programs, read by three.js's loaders: GLB, PLY and SPZ."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from flexavatar.formats.glb import to_glb
from flexavatar.formats.ply import to_ply
from flexavatar.formats.spz import to_spz
from flexavatar.types import SH_C0
from tests.bridges.npm import WEB_TOOLS, web_available
from tests.test_export import covariance, seeded

SCRIPT = Path(__file__).parent / "read_splats.mjs"
FIELDS = 3 + 6 + 4
UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not web_available(),
    reason="needs Node and three.js: `make test-bridges` fetches them",
)


def read_by_three(path: Path) -> np.ndarray:
    """Place, upper half of the covariance and colour (bytes) of each Gaussian: [N, 13]."""
    out = path.with_suffix(".floats")
    command = ["node", str(SCRIPT), str(WEB_TOOLS / "three"), str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return np.fromfile(out, np.float32).reshape(-1, FIELDS)


@pytest.mark.parametrize("form", ["glb", "ply", "spz"])
def test_three_reads_what_was_written(form: str, tmp_path: Path) -> None:
    given = seeded(500)
    path = tmp_path / f"head.{form}"
    path.write_bytes({"glb": to_glb, "ply": to_ply, "spz": to_spz}[form](given))
    found = read_by_three(path)
    down = torch.diag(torch.tensor([1.0, -1, -1] if form == "ply" else [1.0, 1, 1]))
    places, spread = given.means @ down, down @ covariance(given) @ down
    step = 2**-16 if form == "spz" else 1e-7
    np.testing.assert_allclose(found[:, :3], places.numpy(), rtol=0, atol=step)
    # SPZ's scales have steps of 6%, its turns of 0.0014; three keeps covariances as floats
    wanted = np.stack([spread[:, i, j].numpy() for i, j in UPPER], 1)
    tolerance = 0.07 * 1e-4 if form == "spz" else 1e-9
    np.testing.assert_allclose(found[:, 3:9], wanted, rtol=0, atol=tolerance)
    colors = torch.cat((given.sh[:, 0] * SH_C0 + 0.5, given.opacities[:, None]), 1) * 255
    step = 2.0 if form == "spz" else 1.0  # bytes; SPZ's own step of a colour is 1.9 of them
    np.testing.assert_allclose(found[:, 9:], colors.numpy(), rtol=0, atol=step)
