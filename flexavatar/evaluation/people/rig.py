"""ICT-FaceKit as the truth: a mesh that is the plain sum of its shapes, with eyeballs that turn.

Nothing of our own rig is in it: no joints, no skinning. The jaw opens by ICT's shapes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flexavatar.errors import AssetError
from flexavatar.head.arkit import ARKIT_NAMES, GAZE_PITCH, GAZE_YAW
from flexavatar.rigs.ict import (
    CENTIMETRE,
    EYE_SHELLS,
    EYES,
    LOWER_TEETH,
    SKIN,
    SOLID,
    UPPER_TEETH,
    ict_names,
    read_ict,
    sphere_centre,
)

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FACE_SKIN, MOUTH, GUMS, TEETH, EYE, HAIR, LASH = range(7)
MOUTH_SOCKET = slice(11248, 13294)
EYE_SOCKETS = (slice(13294, 13678), slice(13678, 14062))  # left, right
TONGUELESS = frozenset({"tongueOut"})
"""ARKit shapes that ICT does not have."""


@dataclass(frozen=True)
class IctRig:
    """The rig's arrays in metres: y up, face to +z, the person's left to +x."""

    template: Array  # [V, 3]
    identity: NDArray[np.float32]  # [100, V, 3] of unit variance
    shapes: Mapping[str, Array]  # [V, 3] each, ARKit names
    faces: Index  # [F, 3] all that light does not pass through
    part: NDArray[np.int8]  # [V] FACE_SKIN .. EYE

    def neutral(self, betas: Array) -> Array:
        """A person at rest: [100] -> [V, 3]."""
        return self.template + np.tensordot(betas, self.identity, axes=1)

    def expression(self, weights: Mapping[str, float]) -> Array:
        """What ARKit weights add to anybody: [V, 3]. Raises KeyError for a shape ICT lacks."""
        total = np.zeros_like(self.template)
        for name, weight in weights.items():
            total += weight * self.shapes[name]
        return total

    def pose(self, neutral: Array, weights: Mapping[str, float]) -> Array:
        """A person [V, 3] with an expression: [V, 3]."""
        posed = neutral + self.expression(weights)
        for side, eye, shell in zip(("Left", "Right"), EYES, EYE_SHELLS, strict=True):
            centre = sphere_centre(neutral[shell])
            posed[eye] = centre + (neutral[eye] - centre) @ _gaze_rotmat(weights, side).T
        return posed

    def rim(self, beyond: slice) -> Index:
        """Vertices of the outer skin where it turns into a socket: lips or lids."""
        inside = (self.faces >= beyond.start) & (self.faces < beyond.stop)
        outside = self.faces < MOUTH_SOCKET.start
        crossing = self.faces[inside.any(1) & outside.any(1)]
        return np.unique(crossing[crossing < MOUTH_SOCKET.start])

    @cached_property
    def lip_rim(self) -> Index:
        """Where the lips turn inwards."""
        return self.rim(MOUTH_SOCKET)

    @cached_property
    def lid_rims(self) -> tuple[Index, Index]:
        """Margins of the lids, left and right eye."""
        left, right = (self.rim(socket) for socket in EYE_SOCKETS)
        return left, right


def load_ict(path: Path) -> IctRig:
    """Read ICT-FaceKit's arrays. Raises AssetError if the file is something else."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError) as error:
        raise AssetError(f"{path}: expected ICT-FaceKit's .npz ({error})") from None
    read_ict(arrays)  # its checks
    names = [str(name) for name in arrays["expr_names"]]
    fields = arrays["expr"].astype(np.float64) * CENTIMETRE
    own = dict(zip(names, fields, strict=True))
    return IctRig(
        template=arrays["v"].astype(np.float64) * CENTIMETRE,
        identity=arrays["identity"].astype(np.float32) * np.float32(CENTIMETRE),
        shapes={
            name: np.sum([own[part] for part in ict_names(name)], 0)
            for name in ARKIT_NAMES
            if name not in TONGUELESS
        },
        faces=_solid_triangles(arrays["f"].astype(np.int64)),
        part=_parts(len(arrays["v"])),
    )


def _gaze_rotmat(weights: Mapping[str, float], side: str) -> Array:
    """How an eye has turned: [3, 3]. ICT's own eyeLook shapes move lids only."""
    out, inwards, up, down = (
        weights.get(f"eyeLook{way}{side}", 0.0) for way in ("Out", "In", "Up", "Down")
    )
    outward = 1 if side == "Left" else -1
    angles = (GAZE_PITCH * (down - up), outward * GAZE_YAW * (out - inwards))
    return Rotation.from_euler("xy", angles).as_matrix()


def _solid_triangles(quads: Index) -> Index:
    """Quads in halves, without what is see-through and without the inner eyeballs."""
    faces = np.concatenate((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]))
    a, b, c = faces.T
    keep = (a != b) & (b != c) & (c != a) & (faces < SOLID).all(1)
    for eye, shell in zip(EYES, EYE_SHELLS, strict=True):
        keep &= ~((faces >= shell.stop) & (faces < eye.stop)).any(1)
    return faces[keep]


def _parts(count: int) -> NDArray[np.int8]:
    part = np.full(count, EYE, np.int8)
    part[SKIN] = FACE_SKIN
    part[MOUTH_SOCKET] = MOUTH
    part[SKIN.stop : UPPER_TEETH.start] = GUMS
    part[UPPER_TEETH] = part[LOWER_TEETH] = TEETH
    return part
