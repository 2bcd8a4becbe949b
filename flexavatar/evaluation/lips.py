"""How far lips are apart on the rig, in millimetres: what weights alone do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.head.arkit import ARKIT_NAMES, ArkitBasis, arkit_vector_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.arkit_report import aperture_report
from flexavatar.head.flame import FlameHead, joint_transforms, skin
from flexavatar.head.open_head import load_open_head

SHUT_MM = 0.5
"""Lips that are no further apart touch for who looks: the open head at rest has -0.1."""


@torch.no_grad()
def lip_gaps(faces: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """ARKit weights of each frame -> the widest opening between the lips in mm, 0 at least: [T]."""
    lips, joints, basis = _rig()
    rows = torch.tensor([[face.get(name, 0.0) for name in ARKIT_NAMES] for face in faces])
    codes = arkit_vector_to_flame(rows, basis)
    turned = joint_transforms(joints.expand(len(rows), -1, -1), codes)
    posed = skin(lips.template + lips.offsets(codes), lips.lbs_weights, turned).double().numpy()
    return np.array([max(aperture_report(lips, one, "", "{}_lip").gap_mm, 0.0) for one in posed])


@lru_cache(1)
def _rig() -> tuple[FlameHead, Tensor, ArkitBasis]:
    """The open head's lips alone, the joints of the whole of it, and its basis."""
    head = load_open_head()
    edges = {name: ring for name, ring in head.rings.items() if "_lip_" in name}
    ids, places = torch.cat([*edges.values()]).unique(return_inverse=True)
    rings = dict(zip(edges, places.split([len(ring) for ring in edges.values()]), strict=True))
    shapes = "template identity expression eyelids lid_arcs correctives pose_correctives".split()
    lips = replace(
        head,
        **{name: getattr(head, name)[ids] for name in (*shapes, "lbs_weights")},
        joint_regressor=head.joint_regressor[:, ids],
        arkit_offsets=head.arkit_offsets[:, ids],
        faces=head.faces[:0],
        uv_faces=head.uv_faces[:0],
        masks={},
        rings=rings,
        mirror=head.mirror[:0],
    )
    return lips, head.joints(head.template), load_arkit_basis(head)
