"""The 52 ARKit fields on the open head and the expression basis that they span."""

from __future__ import annotations

import numpy as np

from flexavatar.head.arkit import ARKIT_NAMES, mirrored_name
from flexavatar.head.bake.mesh import HeadMesh
from flexavatar.head.bake.source import Source

FACE_UNITS = "faceunits01/targets/faceunits/"
UNITS = "mpfb2/targets/expression/units/"
ANCESTRIES = ("african", "asian", "caucasian")
TYPICAL_WEIGHT = 0.35
"""How strongly a shape is usually driven: the spread of an ARKit weight in real footage."""


def arkit_fields(source: Source, mesh: HeadMesh) -> np.ndarray:
    """Displacement of each shape at weight 1, mirror-symmetric: [52, V, 3] metres."""
    raw = {name: mesh.sample(source.target(f"{FACE_UNITS}{name}.target")) for name in ARKIT_NAMES}
    flip = {name: field[mesh.mirror] * (-1, 1, 1) for name, field in raw.items()}
    return np.array([(raw[name] + flip[mirrored_name(name)]) / 2 for name in ARKIT_NAMES])


def unit_fields(source: Source, mesh: HeadMesh) -> np.ndarray:
    """MakeHuman's own expression units, mean over ancestries, with their mirror images."""
    names = [n.rsplit("/", 1)[1] for n in source.under(f"{UNITS}{ANCESTRIES[0]}/")]
    fields = [
        np.mean([mesh.sample(source.target(f"{UNITS}{a}/{n}")) for a in ANCESTRIES], axis=0)
        for n in names
    ]
    return np.array(fields)


def expression_mix(fields: np.ndarray, count: int) -> np.ndarray:
    """Weights that turn shapes into modes of one standard deviation, by energy: [M, count].

    Columns past the rank of `fields` are left out.
    """
    flat = fields.reshape(len(fields), -1) * TYPICAL_WEIGHT
    energy, axes = np.linalg.eigh(flat @ flat.T)
    order = np.argsort(-energy)[:count]
    order = order[energy[order] > 1e-9 * energy[order[0]]]
    return TYPICAL_WEIGHT * axes[:, order]
