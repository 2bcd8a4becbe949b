"""Binding of hair and clothes off the mesh: to the head, to the shoulders, or smoothly between.

The nearest face would do for one splat, but neighbours that find a jaw and a shoulder part when the
head turns. Here all splats hang on the same three vertices, two of the skull and one of the trunk,
and differ only in a share that is smooth in space: linear blend skinning, in a binding's form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flexavatar.head.binding import Binding, face_edges
from flexavatar.head.flame import FlameHead

SKULL_WEIGHT, TRUNK_WEIGHT = 0.998, 0.97
"""Skinning weights from which a vertex moves as the skull, as the trunk."""
MOTION_LIMIT = 1e-5
"""Metres: anchors and their neighbours move no further than this by any expression, since they turn
and stretch what hangs far from them."""
MIDPLANE_LIMIT = 0.002
"""Metres from the middle plane."""
REACH = 2.5
"""How far beyond its two vertices, in their distances, the skull's anchor may lie."""
LEAST_SPAN = 0.05
"""Metres at least between those two."""
SOFTENING = 0.006
"""Metres: skin nearer than this counts no more."""
TRUNK_SHARE, HEAD_SHARE = 0.1, 0.95
"""Shares up to which a splat stays with the trunk, and from which it goes wholly with the head."""
CHUNK = 2048
"""Points whose distances to the skin are held at once."""


def off_mesh_binding(points: Tensor, vertices: Tensor, head: FlameHead) -> Binding:
    """Bind points [N, 3] near a posed head [V, 3] to its skull and trunk, smoothly."""
    ids, beyond = _anchors(head)
    own = 1 - head.lbs_weights[ids[2], 0]  # the trunk's anchor goes a little with the head, too
    share = (head_share(points, vertices, head) - own) / (1 - own)
    bary = torch.stack((share * (1 - beyond), share * beyond, 1 - share), -1)
    return Binding(ids.expand(len(points), 3).contiguous(), bary)


def head_share(points: Tensor, vertices: Tensor, head: FlameHead) -> Tensor:
    """Share of the head, against the trunk, in how points [N, 3] move: [N] 0..1."""
    share = distance_weighted_mean(1 - head.lbs_weights[:, :1], points, vertices, head)[:, 0]
    return ((share - TRUNK_SHARE) / (HEAD_SHARE - TRUNK_SHARE)).clamp(0, 1)


def distance_weighted_mean(
    field: Tensor, points: Tensor, vertices: Tensor, head: FlameHead
) -> Tensor:
    """Mean over the skin of a head [V, 3] of a field [V, C], for points [N, 3] around it: [N, C].

    Weighted by area over the fourth power of the distance, which looks about as far around as the
    skin is away.
    """
    skin = torch.stack([head.masks[n] for n in ("face", "scalp", "ears", "neck", "shoulders")])
    own = skin.amax(0) > 0.5
    areas = _vertex_areas(vertices, head.faces)[own, None]
    weighted = torch.cat((areas * field[own], areas), -1)  # [M, C + 1]
    sums = [
        (torch.cdist(chunk, vertices[own]) ** 2 + SOFTENING**2) ** -2 @ weighted
        for chunk in points.split(CHUNK)
    ]
    total = torch.cat(sums) if sums else points.new_zeros(0, weighted.shape[1])
    return total[:, :-1] / total[:, -1:]


def _anchors(head: FlameHead) -> tuple[Tensor, float]:
    """Two vertices of the skull and one of the trunk [3], and b: (1-b) first + b second.

    That point is the trunk's vertex, nearly: there, blending places and blending turns agree, so
    that the binding skins exactly.
    """
    middle = head.template[:, 0].abs() < MIDPLANE_LIMIT
    calm = middle & (_neighbourhood_extreme(head, _largest_motion(head), "amax") < MOTION_LIMIT)
    skull = torch.nonzero(
        calm & (_neighbourhood_extreme(head, head.lbs_weights[:, 1], "amin") > SKULL_WEIGHT)
    )[:, 0]
    trunk = torch.nonzero(
        calm & (_neighbourhood_extreme(head, head.lbs_weights[:, 0], "amin") > TRUNK_WEIGHT)
    )[:, 0]
    a, c = head.template[skull], head.template[trunk]
    span = a[None] - a[:, None]  # [S, S, 3]
    length = span.norm(dim=-1)
    arms = c - a[:, None, None]  # [S, 1, T, 3]
    beyond = (
        torch.einsum("ijk,iotk->ijt", span, arms) / length.clamp_min(LEAST_SPAN)[..., None] ** 2
    )
    gap = (span[:, :, None] * beyond[..., None] - arms).norm(dim=-1)  # [S, S, T]
    usable = (length > LEAST_SPAN)[..., None] & (beyond.abs() < REACH)
    best = int(torch.where(usable, gap, torch.inf).argmin())
    i, rest = divmod(best, len(skull) * len(trunk))
    j, k = divmod(rest, len(trunk))
    return torch.stack((skull[i], skull[j], trunk[k])), float(beyond[i, j, k])


def _vertex_areas(vertices: Tensor, faces: Tensor) -> Tensor:
    """Area of the faces around each vertex: [V] square metres."""
    a, b, _ = face_edges(vertices, faces).unbind(-1)
    doubled = torch.linalg.cross(a, b).norm(dim=-1)
    return vertices.new_zeros(len(vertices)).index_add_(
        0, faces.flatten(), doubled.repeat_interleave(3) / 2
    )


def _largest_motion(head: FlameHead) -> Tensor:
    """The most that any code moves each vertex: [V] metres."""
    return head.active_basis.unflatten(0, (-1, 3)).abs().amax((1, 2))


def _neighbourhood_extreme(head: FlameHead, field: Tensor, reduce: str) -> Tensor:
    """The extreme of a field over each vertex and its neighbours: [V]."""
    per_face = getattr(field[head.faces], reduce)(1)
    return field.scatter_reduce(0, head.faces.flatten(), per_face.repeat_interleave(3), reduce)
