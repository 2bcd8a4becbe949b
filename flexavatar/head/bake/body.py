"""The average adult on the head mesh: template, joints and skinning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexavatar.head.arkit import ARKIT_INDEX
from flexavatar.head.bake.expression import arkit_fields
from flexavatar.head.bake.mesh import GROUPS, HeadMesh
from flexavatar.head.bake.person import Person, person_vertices
from flexavatar.head.bake.rig import (
    JawHinge,
    fit_hinge,
    jaw_weights,
    skinning,
    skull_weights,
)
from flexavatar.head.bake.source import Source
from flexavatar.head.eyelids import eye_rings, push_outside_sphere
from flexavatar.head.mesh_operators import smoothing_step

EAR = "mpfb2/targets/ears/l-ear-scale-incr.target.gz"
EYEBALL = 0.015
"""Radius, metres: the largest that the average lids clear."""
LIP_PRESS = 0.0
LIP_REACH = 0.014
"""Metres: how far the closed lips pass each other, and how far around them skin gives way."""
TEETH_DROP = 0.0025
"""Metres; the base mesh hides its upper teeth behind the lip even in a broad smile."""
TONGUE_FLATTEN = 0.7
ARM_BONES = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
ARM_TURN = np.deg2rad(32)
"""The base mesh holds its arms out; they hang by this much more."""


@dataclass(frozen=True)
class Body:
    """The average adult, metres, origin midway between the ears."""

    mesh: HeadMesh
    points: np.ndarray  # [V, 3]
    joints: np.ndarray  # [5, 3]
    weights: np.ndarray  # [V, 5]
    hinge: JawHinge
    arm_turns: np.ndarray  # [V] radians about +z that the arms were turned by
    arkit: np.ndarray  # [52, V, 3]

    def transfer_displacements(self, fields: np.ndarray) -> np.ndarray:
        """Base-mesh displacements, sampled, as they act on this body: [T, V, 3] -> [T, V, 3].

        Arms are lowered, and an eyeball only shifts and grows, so that it stays a sphere.
        """
        cosine, sine = np.cos(self.arm_turns), np.sin(self.arm_turns)
        x, y, z = np.moveaxis(fields, -1, 0)
        carried = np.stack((cosine * x - sine * y, sine * x + cosine * y, z), axis=-1)
        for part in ("leye", "reye"):
            eye = self.mesh.part(part)
            carried[:, eye] = similarity_part(self.points[eye], carried[:, eye])
        return carried


def build_body(source: Source, mesh: HeadMesh) -> Body:
    """Average adult, hinge of its jaw, joints and weights."""
    person = person_vertices(source, Person())
    ear = np.linalg.norm(mesh.sample(source.target(EAR)), axis=1)
    points = mesh.sample(person)
    origin = (points * ear[:, None]).sum(0) / ear.sum() * (0, 1, 1)
    points, person = points - origin, person - origin
    arkit = arkit_fields(source, mesh)
    jaw_open = arkit[ARKIT_INDEX["jawOpen"]]
    teeth = mesh.part("lower_teeth")
    hinge = fit_hinge(points[teeth], jaw_open[teeth])
    centres = [eye_centre(source, person, part) for part in ("leye", "reye")]
    for side, part, centre in zip(("left", "right"), ("leye", "reye"), centres, strict=True):
        points[mesh.part(part)] = on_sphere(points[mesh.part(part)], centre)
        points = push_outside_sphere(points, lid_skin(mesh, points, side), centre, EYEBALL)
    skull = skull_weights(source, mesh)
    weights = skinning(mesh, skull, jaw_weights(mesh, points, jaw_open, hinge))
    joints = np.stack(
        (
            _group_centre(source, person, "joint-neck"),
            _group_centre(source, person, "joint-head"),
            hinge.pivot,
            *centres,
        )
    )
    turns = arm_turns(source, mesh)
    points = lower_arms(points, turns, _group_centre(source, person, "joint-l-shoulder"))
    points = close_lips(points, mesh.rings, mesh.part("skin", "cavity"))
    settled = settle_mouth(mesh, points)
    tongue = mesh.part("tongue")
    arkit[ARKIT_INDEX["tongueOut"], tongue] += (points - settled)[tongue]  # it comes out as it did
    points = settled
    return Body(mesh, symmetrize(points, mesh.mirror), joints, weights, hinge, turns, arkit)


def symmetrize(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The mean of the points and their mirror image, exact to the last bit: [V, 3]."""
    return (points + points[mirror] * (-1, 1, 1)) / 2


def _group_centre(source: Source, person: np.ndarray, group: str) -> np.ndarray:
    return person[np.unique(source.base.groups[group])].mean(0)


def eye_centre(source: Source, person: np.ndarray, part: str) -> np.ndarray:
    return person[np.unique(source.base.groups[GROUPS[part]])].mean(0)


def on_sphere(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Put points on the eyeball: [V, 3]."""
    arms = points - centre
    return centre + arms * (EYEBALL / np.linalg.norm(arms, axis=1, keepdims=True))


def lid_skin(mesh: HeadMesh, points: np.ndarray, side: str) -> np.ndarray:
    """Skin near one eye's lids, without the loop that hides in the eyeball: [V] bool."""
    rings = eye_rings(mesh.rings, side)
    near = np.zeros(len(points), dtype=bool)
    for name, ring in rings.items():
        near[ring] = not name.endswith("tuck")
    edge = points[np.concatenate([r for n, r in rings.items() if n.endswith("crease")])]
    distance = np.linalg.norm(points[:, None] - edge, axis=2).min(1)
    hidden = np.concatenate([r for n, r in rings.items() if n.endswith("tuck")])
    near |= mesh.part("skin") & (distance < 0.012) & ~np.isin(np.arange(len(points)), hidden)
    return near


def similarity_part(points: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """The shift and growth nearest to each field: [V, 3], [T, V, 3] -> [T, V, 3]."""
    arms = points - points.mean(0)
    growth = (fields * arms).sum((1, 2)) / (arms * arms).sum()
    return fields.mean(1, keepdims=True) + growth[:, None, None] * arms


def close_lips(points: np.ndarray, rings: dict[str, np.ndarray], soft: np.ndarray) -> np.ndarray:
    """Bring the parted lips of the average together: [V, 3], `soft` [V] bool may move."""
    gaps, (start, end) = [], points[rings["upper_lip_contact"][[0, -1]], 0]
    grid = np.linspace(start, end, 80)
    for name in ("contact", "inner"):
        upper, lower = (points[rings[f"{half}_lip_{name}"]] for half in ("upper", "lower"))
        over = np.interp(grid, upper[:, 0], upper[:, 1])
        gaps.append(over - np.interp(grid, lower[:, 0], lower[:, 1]))
    closing = np.mean(gaps, axis=0) + LIP_PRESS
    distances = []
    for half in ("upper", "lower"):
        ring = np.concatenate([r for n, r in rings.items() if n.startswith(f"{half}_lip")])
        distances.append(np.linalg.norm(points[:, None] - points[ring], axis=2).min(1))
    side = (distances[1] - distances[0]) / (
        distances[0] + distances[1] + 1e-9
    )  # 1 on the upper lip
    near = np.clip(1 - np.min(distances, axis=0) / LIP_REACH, 0, 1) ** 2 * soft
    move = np.interp(points[:, 0], grid, closing, left=0, right=0) * near * -side / 2
    return points + move[:, None] * (0, 1, 0)


def settle_mouth(mesh: HeadMesh, points: np.ndarray) -> np.ndarray:
    """Upper teeth as low as they show in smiles, the tongue flat behind the lower ones: [V, 3]."""
    settled = points.copy()
    settled[mesh.part("upper_teeth"), 1] -= TEETH_DROP
    tongue = mesh.part("tongue")
    floor = points[tongue, 1].min()
    settled[tongue, 1] = floor + TONGUE_FLATTEN * (points[tongue, 1] - floor)
    return settled


def arm_turns(source: Source, mesh: HeadMesh) -> np.ndarray:
    """How far each vertex turns about +z when the arms are lowered: [V] radians."""
    bones = [w for bone, w in source.bone_weights.items() if bone.startswith(ARM_BONES)]
    share = mesh.sampler @ np.sum(bones, axis=0)
    step = smoothing_step(mesh.faces, len(mesh.mirror))
    for _ in range(30):
        share = step @ share
    side = np.sign(mesh.sample(source.base.vertices)[:, 0])
    return -ARM_TURN * side * share


def lower_arms(points: np.ndarray, turns: np.ndarray, shoulder: np.ndarray) -> np.ndarray:
    """Turn points about the shoulder joint of their side: [V, 3]."""
    pivot = np.abs(shoulder[:1]) * np.sign(turns)[:, None] * (-1, 0, 0) + shoulder * (0, 1, 1)
    x, y, z = (points - pivot).T
    cosine, sine = np.cos(turns), np.sin(turns)
    return pivot + np.stack((cosine * x - sine * y, sine * x + cosine * y, z), axis=1)
