"""What pictures show beside the head's own mesh: glasses, and the chest below the bust."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from flexavatar.head.binding import vertex_normals
from flexavatar.head.flame import PosedHead
from flexavatar.head.mesh_operators import open_edges
from flexavatar.head.open_head import load_open_head
from flexavatar.training.people.canvas import Array, Index
from flexavatar.training.people.glasses import Glasses
from flexavatar.training.people.light import Rays
from flexavatar.training.people.noise import f32
from flexavatar.training.people.traits import Traits

CHEST_M = 0.35
"""How far the bust is continued down."""
BUST_Y = -0.12
"""The rig's only open edge below this is that of the bust."""


@dataclass(frozen=True)
class Extras:
    """A mesh of its own, lit."""

    vertices: Array  # [N, 3] metres
    faces: Index  # [F, 3]
    light: Array  # [N, 3] that it sends out


def make_extras(posed: PosedHead, glasses: Glasses, traits: Traits, rays: Rays) -> Extras:
    """Glasses where the head has taken them, and a chest."""
    turn = posed.transforms[1].numpy()
    worn = f32(glasses.vertices @ turn[:3, :3].T + turn[:3, 3])
    edge = posed.vertices.numpy()[_bust_edge()].reshape(-1, 3)
    ends = np.stack((edge, edge * f32((1.03, 1, 1)) - f32((0, CHEST_M, 0))), 1)  # [2 E, 2, 3]
    quads = np.arange(len(ends) // 2)[:, None] * 4 + np.array((0, 1, 2, 2, 1, 3))
    vertices = np.concatenate((worn, f32(ends.reshape(-1, 3))))
    faces = np.concatenate((glasses.faces, quads.reshape(-1, 3) + len(worn)))
    normals = vertex_normals(torch.from_numpy(vertices), torch.from_numpy(faces)).numpy()
    arriving = np.clip(normals @ rays.out.T, 0, None) @ rays.color
    colors = np.empty_like(vertices)
    colors[: len(worn)], colors[len(worn) :] = traits.wear.glasses_color, traits.wear.cloth
    return Extras(vertices, faces, f32(arriving * colors))


@lru_cache(maxsize=1)
def _bust_edge() -> Index:
    """The open edges of the bust: [E, 2] vertices."""
    head = load_open_head()
    edges = open_edges(head.faces.numpy())
    return edges[(head.template.numpy()[edges, 1] < BUST_Y).all(1)]
