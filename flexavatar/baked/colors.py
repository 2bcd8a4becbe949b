"""A network's colours as bases: what it says over many expressions, in a few pictures.

Principal components of the changes of all colours over some hundred expressions; their shares are
linear in the weights of the rig's fields. Over expressions that were not among them the colours are
0.18 grey levels off on average, where leaving them alone would be 0.77 off (16 bases).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.avatar import Animator
from flexavatar.head.arkit import (
    ARKIT_INDEX,
    ARKIT_NAMES,
    JAW_OPEN,
    MOUTH_CLOSE,
    ArkitBasis,
    arkit_vector_to_flame,
    mirrored_name,
    shape_weights,
)
from flexavatar.types import SH_C0

BASES = 16
MIXED_EXPRESSIONS = 240
"""Random ones, beside each shape alone, whole and half."""
MOST_SHAPES = 12
"""Of a random expression."""
BOTH_SIDES = 0.7
"""How often a random shape is made on both sides of the face."""
RIDGE = 0.1
MIRRORED = torch.tensor([ARKIT_INDEX[mirrored_name(name)] for name in ARKIT_NAMES])


@dataclass(frozen=True)
class ColorBases:
    """How colours change: `field weights @ shares @ bases`."""

    bases: Tensor  # [K, D, 3]
    shares: Tensor  # [fields, K]


def field_weights(weights: Tensor, eyelids: Tensor, products: Tensor) -> Tensor:
    """How far each field moves the mesh: [52], a basis's [52, 2] and [P, 2] -> [P + 56].

    The weights themselves (0..1, `mouthClose` at most `jawOpen`), products, lids, arcs of lids.
    """
    held = weights.clamp(0, 1)
    held[MOUTH_CLOSE] = torch.minimum(held[MOUTH_CLOSE], held[JAW_OPEN])
    padded = torch.cat((held, held.new_ones(1)))
    lids = (held @ eyelids).clamp(-0.3, 1)
    arcs = 4 * lids.clamp_min(0) * (1 - lids)
    return torch.cat((held, padded[products[:, 0]] * padded[products[:, 1]], lids, arcs))


def fit_color_bases(animator: Animator, basis: ArkitBasis, changing: Tensor) -> ColorBases:
    """Bases for the colours of these splats [D], of what the avatar's network says."""
    if not len(changing):
        return ColorBases(torch.zeros(0, 0, 3), torch.zeros(56 + len(basis.factors), 0))
    expressions = training_expressions()
    changes = torch.stack([color_change(animator, basis, changing, w) for w in expressions])
    gram = (changes @ changes.T).double()
    _, vectors = torch.linalg.eigh(gram)  # rising
    raw = vectors[:, -BASES:].flip(1).T.float() @ changes
    bases = torch.nn.functional.normalize(raw, dim=1)
    known = torch.stack([field_weights(w, basis.eyelids, basis.factors) for w in expressions])
    wanted = (changes @ bases.T).double()
    known = known.double()
    ridge = known.T @ known + RIDGE * torch.eye(known.shape[1]).double()
    shares = torch.linalg.solve(ridge, known.T @ wanted).float()
    return ColorBases(bases.unflatten(1, (-1, 3)), shares)


def color_change(
    animator: Animator, basis: ArkitBasis, changing: Tensor, weights: Tensor
) -> Tensor:
    """What an expression [52] changes of these splats' colours [D]: [3 D]."""
    shown = animator.animate(arkit_vector_to_flame(weights, basis)).sh[changing, 0]
    return (SH_C0 * (shown - animator.avatar.sh[changing, 0])).flatten()


def training_expressions() -> list[Tensor]:
    """Each shape alone, whole and half, and mixed ones: [52] each, the same at every call."""
    alone = shape_weights()
    return [*alone, *(alone / 2), *random_expressions(MIXED_EXPRESSIONS, seed=0)]


def random_expressions(count: int, seed: int) -> list[Tensor]:
    """Faces of a few shapes each, mostly the same on both sides: [52] each."""
    random = torch.Generator().manual_seed(seed)
    return [_random_expression(random) for _ in range(count)]


def _random_expression(random: torch.Generator) -> Tensor:
    weights = torch.zeros(len(ARKIT_NAMES))
    count = int(torch.randint(3, MOST_SHAPES, (1,), generator=random))
    own = torch.randperm(len(weights), generator=random)[:count]
    values = torch.rand(count, generator=random)
    both = torch.rand(count, generator=random) < BOTH_SIDES
    weights[MIRRORED[own[both]]] = values[both]
    weights[own] = values
    if torch.rand(1, generator=random) < 0.5:
        weights[JAW_OPEN] = torch.rand(1, generator=random)
    return weights
