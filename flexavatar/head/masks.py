"""Masks of the open head beyond those of its file: hair and clothes, hair alone, ears alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from flexavatar.head.flame import FlameHead

HAIR_AND_CLOTHES = ("scalp", "ears", "neck", "shoulders")
"""Masks of what hair and clothes lie on; the chart is coarse there."""
_HAIRLINE_Z = (-0.12, -0.045, -0.02, 0.005, 0.02, 0.04, 0.055, 0.07, 0.09, 0.12)
_HAIRLINE_Y = (-0.078, -0.068, -0.05, -0.03, -0.025, 0.005, 0.03, 0.055, 0.072, 0.085)
_HAIRLINE_SOFT = 0.006


def hair_and_clothes_mask(masks: Mapping[str, Tensor]) -> Tensor:
    """Scalp, ears, neck and shoulders: bool per vertex or texel, as the masks are."""
    return torch.stack([masks[name] for name in HAIR_AND_CLOTHES]).amax(0) > 0.5


def hair_mask(head: FlameHead) -> Tensor:
    """Where hair grows on most people, ears included: [V] 0..1, from the template's shape."""
    y, z = head.template[:, 1].numpy(), head.template[:, 2].numpy()
    above = y - np.interp(z, _HAIRLINE_Z, _HAIRLINE_Y)
    mask = torch.from_numpy(np.clip(0.5 + above / (2 * _HAIRLINE_SOFT), 0, 1)).float()
    inner = torch.stack([head.masks[n] for n in ("eyes", "teeth", "tongue", "cavity")]).amax(0)
    return torch.maximum(mask, head.masks["ears"] * auricle_mask(head)) * (inner < 0.5)


def auricle_mask(head: FlameHead) -> Tensor:
    """The ears themselves, without the skull around them: [V] 0..1."""
    around = (head.masks["ears"] > 0.02) & (head.masks["ears"] < 0.6)
    y, z = head.template[:, 1], head.template[:, 2]
    terms = torch.stack((torch.ones_like(y), y, z, y * y, y * z, z * z), -1).double()
    width = head.template[:, 0].abs().double()
    skull = terms @ torch.linalg.lstsq(terms[around], width[around, None]).solution.squeeze(-1)
    return ((width - skull - 0.002) / 0.003).clamp(0, 1).float() * (head.masks["ears"] > 0.3)
