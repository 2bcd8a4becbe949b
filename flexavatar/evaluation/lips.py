"""How far lips are apart on the rig, in millimetres: what weights alone do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.head.arkit import ARKIT_NAMES, ArkitBasis
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.arkit_report import aperture, drive
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head

SHUT_MM = 0.5
"""Lips that are no further apart touch for who looks: the open head at rest has -0.1."""
AT_ONCE = 64


@torch.no_grad()
def lip_gaps(faces: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """ARKit weights of each frame -> the widest opening between the lips in mm, 0 at least: [T]."""
    head, basis = _rig()
    rows = torch.tensor([[face.get(name, 0.0) for name in ARKIT_NAMES] for face in faces])
    posed = torch.cat([drive(head, basis, part) for part in rows.split(AT_ONCE)])
    reports = (aperture(head, one.double().numpy(), "", "{}_lip") for one in posed)
    return np.array([max(report.gap_mm, 0.0) for report in reports])


@lru_cache(1)
def _rig() -> tuple[FlameHead, ArkitBasis]:
    head = load_open_head()
    return head, load_arkit_basis(head)
