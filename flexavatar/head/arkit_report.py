"""How well a rig follows ARKit: every shape through the whole chain, against its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

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
from flexavatar.head.arkit_fit import arkit_displacements, load_arkit_basis
from flexavatar.head.flame import FlameHead

STEPS = 8
"""Weights between 0 and 1 at which motion is checked to grow."""


@dataclass(frozen=True)
class ShapeReport:
    """One shape at weight 1, alone (`mouthClose`: on an open jaw)."""

    name: str
    moves_mm: float
    """Largest displacement of the target."""
    rms_mm: float
    """Error over the vertices that the target moves by more than 0.1 mm."""
    energy_lost: float
    """Squared error over squared target."""
    mirror_error: float
    """Difference from the mirrored partner shape, relative to the motion; nan without a map."""
    mouth_mm: float
    """Largest displacement of lip skin, only for eye shapes, else nan."""
    backwards: float
    """Largest step against the shape's own direction as the weight grows, over its length."""


@dataclass(frozen=True)
class ApertureReport:
    """Openings that must be shut, millimetres; negative where the edges pass each other."""

    name: str
    gap_mm: float
    overlap_mm: float


def pose_template(head: FlameHead, basis: ArkitBasis, weights: Tensor) -> Tensor:
    """The template with these weights: [S, 52] -> [S, V, 3]."""
    codes = arkit_vector_to_flame(weights, basis)
    return head.pose(head.template.expand(len(weights), -1, -1), codes).vertices


def shape_reports(head: FlameHead) -> list[ShapeReport]:
    """All 52 shapes of a rig that has their fields."""
    basis = load_arkit_basis(head)
    targets = arkit_displacements(head)  # [52, V, 3]
    rest = pose_template(head, basis, torch.zeros(1, 52))
    moved = pose_template(head, basis, shape_weights()) - rest
    moved[MOUTH_CLOSE] -= moved[JAW_OPEN]
    return [_shape_report(head, basis, i, targets, moved) for i in range(len(ARKIT_NAMES))]


def _shape_report(
    head: FlameHead, basis: ArkitBasis, index: int, targets: Tensor, moved: Tensor
) -> ShapeReport:
    name, target = ARKIT_NAMES[index], targets[index]
    lengths = target.norm(dim=-1)
    active = lengths > 1e-4
    errors = (moved[index] - target).norm(dim=-1)
    lips = head.masks["mouth"] > 0.5
    return ShapeReport(
        name=name,
        moves_mm=float(lengths.max()) * 1e3,
        rms_mm=float(errors[active].pow(2).mean().sqrt()) * 1e3,
        energy_lost=float(errors.pow(2).sum() / lengths.pow(2).sum()),
        mirror_error=_mirror_error(head, moved, index),
        mouth_mm=float(moved[index][lips].norm(dim=-1).max()) * 1e3
        if name[:3] == "eye"
        else np.nan,
        backwards=_largest_backward_step(head, basis, index),
    )


def _mirror_error(head: FlameHead, moved: Tensor, index: int) -> float:
    if not len(head.mirror):
        return float("nan")
    partner = moved[ARKIT_INDEX[mirrored_name(ARKIT_NAMES[index])]]
    flipped = partner[head.mirror] * torch.tensor([-1.0, 1.0, 1.0])
    return float((moved[index] - flipped).norm() / moved[index].norm().clamp_min(1e-12))


def _largest_backward_step(head: FlameHead, basis: ArkitBasis, index: int) -> float:
    """Largest step against the whole motion as the weight grows, over its length; 0 is right."""
    ramp = torch.linspace(0, 1, STEPS + 1)[:, None] * shape_weights()[index]
    path = pose_template(head, basis, ramp).flatten(1)
    whole = path[-1] - path[0]
    steps = (path[1:] - path[:-1]) @ whole / whole.pow(2).sum().clamp_min(1e-12)
    return float((-steps).clamp_min(0).max())


def aperture_reports(head: FlameHead) -> list[ApertureReport]:
    """Lids at blink 1, whatever else the eye does, and lips at jawOpen = mouthClose."""
    if "left_upper_lid_outer" not in head.rings:
        return []
    basis = load_arkit_basis(head)
    reports = []
    for side in ("Left", "Right"):
        for other in ("", "LookDown", "LookUp", "Squint", "Wide"):
            names = [f"eyeBlink{side}", *([f"eye{other}{side}"] if other else [])]
            posed = _posed(head, basis, dict.fromkeys(names, 1.0))
            reports.append(
                aperture_report(head, posed, " + ".join(names), f"{side.lower()}_{{}}_lid")
            )
    for weight in (0.25, 0.5, 0.75, 1.0):
        posed = _posed(head, basis, {"jawOpen": weight, "mouthClose": weight})
        reports.append(aperture_report(head, posed, f"jawOpen = mouthClose = {weight:g}", "{}_lip"))
    return reports


def _posed(head: FlameHead, basis: ArkitBasis, weights: dict[str, float]) -> np.ndarray:
    row = torch.tensor([[weights.get(n, 0.0) for n in ARKIT_NAMES]])
    return pose_template(head, basis, row)[0].double().numpy()


def aperture_report(head: FlameHead, posed: np.ndarray, name: str, ring: str) -> ApertureReport:
    """Opening between two edges of a posed rig [V, 3], `ring` being "{}_lip" or "left_{}_lid".

    Where one pair of loops is shut, the opening is shut.
    """
    loops = ("contact", "inner") if ring.endswith("lip") else ("outer", "middle", "inner")
    gaps = np.stack([_ring_gaps(head, posed, ring, loop) for loop in loops])
    opening = gaps.min(0)  # seen from the front the narrowest pair hides the rest
    return ApertureReport(name, float(opening.max()) * 1e3, float(-gaps.min()) * 1e3)


def _ring_gaps(head: FlameHead, posed: np.ndarray, ring: str, loop: str) -> np.ndarray:
    upper, lower = (
        posed[head.rings[f"{ring.format(half)}_{loop}"].numpy()] for half in ("upper", "lower")
    )
    if upper[0, 0] > upper[-1, 0]:
        upper, lower = upper[::-1], lower[::-1]
    x = np.linspace(upper[0, 0], upper[-1, 0], 100)[5:-5]  # at the corners there is no opening
    return np.interp(x, upper[:, 0], upper[:, 1]) - np.interp(x, lower[:, 0], lower[:, 1])


def arkit_report(head: FlameHead) -> list[dict]:
    """Shapes, then apertures, as plain dictionaries."""
    return [asdict(r) for r in (*shape_reports(head), *aperture_reports(head))]


def format_report(rows: Sequence[dict]) -> str:
    """The report as a table."""
    shapes = [r for r in rows if "rms_mm" in r]
    apertures = [r for r in rows if "gap_mm" in r]
    lines = [
        f"{'shape':22s}{'moves':>9s}{'rms':>9s}{'lost':>8s}{'mirror':>8s}{'mouth':>8s}{'back':>8s}",
        f"{'':22s}{'mm':>9s}{'mm':>9s}{'%':>8s}{'%':>8s}{'mm':>8s}{'%':>8s}",
    ]
    for r in shapes:
        mouth = "" if np.isnan(r["mouth_mm"]) else f"{r['mouth_mm']:.3f}"
        lines.append(
            f"{r['name']:22s}{r['moves_mm']:9.2f}{r['rms_mm']:9.4f}{100 * r['energy_lost']:8.3f}"
            f"{100 * r['mirror_error']:8.3f}{mouth:>8s}{100 * r['backwards']:8.3f}"
        )
    lines += ["", f"{'shut':40s}{'gap mm':>9s}{'overlap mm':>12s}"]
    lines += [f"{r['name']:40s}{r['gap_mm']:9.2f}{r['overlap_mm']:12.2f}" for r in apertures]
    return "\n".join(lines)
