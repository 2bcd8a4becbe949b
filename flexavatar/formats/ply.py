"""One instant of a head as a PLY of Gaussians, in the layout of Kerbl et al.'s reference code.

Such files hold logarithms of scales, logits of opacities and harmonics' coefficients, in the frame
of the cameras that it was written for: y down, z away from who looks. The head stands in it as
that viewer sees it, turned half about x.
"""

from __future__ import annotations

import numpy as np

from flexavatar.types import Gaussians

FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
"""float32 each; normals are there because the reference's own reader counts bytes."""
LEAST_OPACITY = 1e-6
"""Opacities are held this far from 0 and 1, whose logits are infinite."""
LEAST_SCALE = 1e-9
"""Metres; the logarithm of 0 is infinite."""


def to_ply(gaussians: Gaussians) -> bytes:
    """A binary PLY, 68 bytes a Gaussian and a header."""
    opacities = gaussians.opacities.clamp(LEAST_OPACITY, 1 - LEAST_OPACITY).cpu().numpy()
    rows = np.zeros((len(gaussians), len(FIELDS)), "<f4")
    rows[:, 0:3] = gaussians.means.cpu().numpy() * (1, -1, -1)
    rows[:, 6:9] = gaussians.sh[:, 0].cpu().numpy()
    rows[:, 9] = np.log(opacities / (1 - opacities))
    rows[:, 10:13] = gaussians.scales.clamp_min(LEAST_SCALE).log().cpu().numpy()
    rows[:, 13:17] = _turned_about_x(gaussians.quats.cpu().numpy())
    properties = "".join(f"property float {name}\n" for name in FIELDS)
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(gaussians)}\n{properties}end_header\n"
    )
    return header.encode() + rows.tobytes()


def _turned_about_x(quats: np.ndarray) -> np.ndarray:
    """wxyz [N, 4] after half a turn about x: (0, 1, 0, 0) times each."""
    w, x, y, z = quats.T
    return np.stack((-x, w, -z, y), 1)
