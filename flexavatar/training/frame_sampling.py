"""How often each frame is drawn: as people move, or with rare expressions brought forward.

Data distribution adjustment, Peng et al. (CVPR 2026): for each of 20 expressive anchors, frames of
all identities that resemble it by the cosine of their coefficients, and random ones beside them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.training.people.expressions import ANCHORS
from flexavatar.training.samples import KIND_NAMES

RARE_RATE = 0.05
"""How often a strong expression is met among a person's frames when nothing is adjusted."""
RETRIEVED_SHARE = 0.04
"""Share of all frames that each anchor retrieves."""
RETRIEVED_RATE = 3.0
"""How much oftener a retrieved frame is drawn than another."""
LEAST_NORM = 0.3
"""Norm of weights below which a face is at rest and resembles no anchor."""


def frame_rates(weights: Tensor, kinds: Tensor, adjust: bool) -> Tensor:
    """How often each frame is to be drawn: ARKit weights [P, F, 52], kinds [P, F] -> [P, F]."""
    if not adjust:
        natural = (kinds == KIND_NAMES.index("neutral")) | (kinds == KIND_NAMES.index("natural"))
        return torch.where(natural, 1.0, RARE_RATE)
    flat = weights.flatten(0, 1)
    lively = flat.norm(dim=-1) > LEAST_NORM
    unit = functional.normalize(flat, dim=-1)
    most = max(1, round(RETRIEVED_SHARE * len(flat)))
    retrieved = torch.zeros(len(flat))
    for anchor in anchor_weights():
        likeness = torch.where(lively, unit @ functional.normalize(anchor, dim=0), -1.0)
        retrieved[likeness.topk(most).indices] = 1.0
    return (1 + (RETRIEVED_RATE - 1) * retrieved).view(kinds.shape)


def anchor_weights() -> Tensor:
    """The anchors as vectors in Apple's order: [20, 52]."""
    rows = [[anchor.get(name, 0.0) for name in ARKIT_NAMES] for anchor in ANCHORS.values()]
    return torch.tensor(rows)
