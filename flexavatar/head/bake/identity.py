"""Identity modes: principal components of randomly drawn people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.head.bake.mesh import HeadMesh
from flexavatar.head.bake.person import ANCESTRIES, Person, macro_weights
from flexavatar.head.bake.source import Source

SPREAD = {
    "head": 0.1,
    "forehead": 0.2,
    "eyes": 0.28,
    "eyebrows": 0.3,
    "nose": 0.3,
    "mouth": 0.3,
    "chin": 0.24,
    "ears": 0.3,
    "cheek": 0.3,
    "neck": 0.25,
}
"""Local sliders by folder and their standard deviation; 1 is the end of a slider's range.

Chosen so that head breadth and length, face height, nose, mouth and eyes spread as in adults
(NIOSH head and face survey of 2003: 6, 7, 8, 4, 4 mm and so on).
"""
ONE_SIDED = 0.25
"""Difference between left and right sliders, as a share of their common spread."""
SKIPPED = ("trans-in", "trans-out", "head-trans", "head-age", "measure-", "neck-trans")
"""Sliders that shift a feature off the midplane, move the whole head, or repeat another."""
KEPT = ("l-eye-trans", "r-eye-trans")
PEOPLE = 2000


@dataclass(frozen=True)
class Sliders:
    """Displacement of every slider that was drawn, and the drawn values, zero mean."""

    fields: np.ndarray  # [T, V, 3]
    draws: np.ndarray  # [PEOPLE, T]


def draw_person(rng: np.random.Generator) -> Person:
    """A random adult."""
    return Person(
        gender=float(rng.beta(0.5, 0.5)),
        age=float(rng.uniform(0.48, 0.95)),
        muscle=float(np.clip(rng.normal(0.5, 0.15), 0, 1)),
        weight=float(np.clip(rng.normal(0.5, 0.17), 0, 1)),
        height=float(np.clip(rng.normal(0.5, 0.05), 0, 1)),
        ancestry=tuple(rng.dirichlet(np.full(len(ANCESTRIES), 0.6))),
    )


def draw_sliders(source: Source, mesh: HeadMesh, rng: np.random.Generator) -> Sliders:
    """Draw PEOPLE random people."""
    macros = [macro_weights(draw_person(rng)) for _ in range(PEOPLE)]
    names = sorted({name for weights in macros for name in weights})
    macro_draws = np.array([[weights.get(name, 0.0) for name in names] for weights in macros])
    fields = [mesh.sample(source.target(name)) for name in names]
    local_fields, local_draws = _draw_local(source, mesh, rng)
    draws = np.concatenate((macro_draws, local_draws), axis=1)
    return Sliders(np.array(fields + local_fields), draws - draws.mean(0))


def _draw_local(
    source: Source, mesh: HeadMesh, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """Opposite targets share a slider; left and right ones differ a little."""
    fields, draws = [], []
    sliders: dict[str, np.ndarray] = {}
    for name in _local_targets(source):
        target = Target.parse(name)
        shared = sliders.setdefault(target.slider, rng.normal(0, 1, PEOPLE))
        if target.side:
            key = target.side + target.slider
            shared = shared + ONE_SIDED * sliders.setdefault(key, rng.normal(0, 1, PEOPLE))
        fields.append(mesh.sample(source.target(name)))
        draws.append(np.clip(target.sign * SPREAD[target.folder] * shared, 0, 1.2))
    return fields, np.array(draws).T


@dataclass(frozen=True)
class Target:
    """What the name of a local target says."""

    folder: str
    side: str  # "l-", "r-" or ""
    slider: str
    sign: int  # which end of the slider

    @staticmethod
    def parse(path: str) -> Target:
        folder, name = path.split("/")[-2:]
        side = name[:2] if name.startswith(("l-", "r-")) else ""
        body, _, end = name.removeprefix(side).split(".")[0].rpartition("-")
        low = {high: low for low, high in OPPOSITES}.get(end, end)
        return Target(folder, side, f"{body}-{low}", -1 if _is_low(end) else 1)


OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)


def _is_low(end: str) -> bool:
    return end in [low for low, _ in OPPOSITES]


def _local_targets(source: Source) -> list[str]:
    names = [n for folder in SPREAD for n in source.under(f"mpfb2/targets/{folder}/")]
    return [n for n in names if any(k in n for k in KEPT) or not any(s in n for s in SKIPPED)]


def remove_rigid_motion(fields: np.ndarray, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Take out each field's least-squares shift and small turn: [T, V, 3], [V, 3], [V]."""
    motions = rigid_motions(points)  # [6, V, 3]
    weighted = motions * weights[:, None]
    gram = np.einsum("avi,bvi->ab", weighted, motions)
    shares = np.linalg.solve(gram, np.einsum("avi,tvi->at", weighted, fields))  # [6, T]
    return fields - np.einsum("at,avi->tvi", shares, motions)


def rigid_motions(points: np.ndarray) -> np.ndarray:
    """Three shifts and three small turns about the origin, as fields: [6, V, 3]."""
    shifts = [np.broadcast_to(axis, points.shape) for axis in np.eye(3)]
    turns = [np.cross(axis, points) for axis in np.eye(3)]
    return np.array(shifts + turns)


def principal_modes(
    sliders: Sliders, weights: np.ndarray, mirror: np.ndarray, count: int
) -> np.ndarray:
    """The `count` strongest modes, one standard deviation each: [V, 3, count].

    Symmetric and antisymmetric parts are decomposed apart, so every mode is exactly one or the
    other. `weights` [V] says how much each vertex counts.
    """
    flipped = sliders.fields[:, mirror] * (-1, 1, 1)
    found: list[tuple[float, np.ndarray]] = []
    for sign in (1, -1):
        half = (sliders.fields + sign * flipped) / 2
        found += _components(half, sliders.draws, weights, count)
    found.sort(key=lambda mode: -mode[0])
    return np.stack([mode for _, mode in found[:count]], axis=-1)


def _components(
    fields: np.ndarray, draws: np.ndarray, weights: np.ndarray, count: int
) -> list[tuple[float, np.ndarray]]:
    people = draws / np.sqrt(len(draws) - 1)
    gram = np.einsum("svi,tvi->st", fields * weights[:, None], fields, optimize=True)
    _, root = np.linalg.qr(people)  # the draws' covariance is root^T root
    energy, axes = np.linalg.eigh(root @ gram @ root.T)
    order = np.argsort(-energy)[:count]
    loads = axes[:, order].T @ root  # [count, T]
    signs = np.where(loads.sum(1) < 0, -1, 1)[:, None]
    modes = np.einsum("kt,tvi->kvi", loads * signs, fields, optimize=True)
    return [(float(energy[i]), mode) for i, mode in zip(order, modes, strict=True)]
