"""Dense correspondence of two rigs: fitted once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix

from flexavatar.cache import content_key, load_arrays, save_arrays
from flexavatar.capture import topology
from flexavatar.easing import smoothstep
from flexavatar.head.flame import FlameHead
from flexavatar.head.mesh_operators import vertex_normals
from flexavatar.head.seams import Seam, lid_seam, lip_seams
from flexavatar.head.surface import ClosestPointQuery, Similarity, SurfacePoints
from flexavatar.rigs.registration import (
    NORMAL_LENGTH,
    FitConfig,
    LandmarkPairs,
    align,
    jaw_coordinate,
    register,
)
from flexavatar.rigs.rig_landmarks import landmark_points, skin_landmarks
from flexavatar.rigs.rig_parts import LOWER, SKIN, UPPER, RigParts, split_parts

KIND, VERSION = "correspondence", 2
"""In the user's cache folder; the version rises when fits come out otherwise."""
KEPT = ("trust_a", "trust_b", "residual")
"""Arrays of a correspondence that are kept as they are."""
JAW = 2
"""Column of the skinning from which on the joints are the face's own."""
SURE, UNSURE = 0.002, 0.006
"""Metres between the fitted surfaces at which a match is certain, and at which it is none."""


@dataclass(frozen=True)
class Correspondence:
    """The open head (a) and another rig (b), vertex by vertex, both ways. numpy."""

    on_a: SurfacePoints  # [Vb] where each vertex of b lies on a
    on_b: SurfacePoints  # [Va] where each vertex of a lies on b
    trust_a: np.ndarray  # [Vb] 0..1 whether on_a is more than a guess
    trust_b: np.ndarray  # [Va]
    faces_a: np.ndarray  # [Fa, 3]
    faces_b: np.ndarray  # [Fb, 3]
    weights_a: np.ndarray  # [Va, 5] skinning
    weights_b: np.ndarray  # [Vb, 5]
    lids: Seam  # of a
    lips: tuple[Seam, Seam]  # of a, from above and from below
    align: Similarity  # a to b, of the templates
    residual: np.ndarray  # [N] metres from the fitted, visible skin of a to the skin of b

    def matrix_a(self) -> csr_matrix:
        """Averages a field on a's vertices at b's vertices: sparse [Vb, Va]."""
        return self.on_a.matrix(self.faces_a, len(self.weights_a))

    def matrix_b(self) -> csr_matrix:
        """Averages a field on b's vertices at a's vertices: sparse [Va, Vb]."""
        return self.on_b.matrix(self.faces_b, len(self.weights_b))


def fit_correspondence(
    a: FlameHead, b: FlameHead, marks: LandmarkPairs | None = None, config: FitConfig | None = None
) -> Correspondence:
    """Fit `a` onto `b` and find the closest compatible points.

    Without `marks` both rigs are shown to MediaPipe; AssetError if it sees no face.
    """
    source, target = split_parts(a), split_parts(b)
    marks = marks or shared_landmarks(a, source, b, target)
    bent = register(source, target, marks, config or FitConfig())
    sides = jaw_coordinate(source, marks.mouth[0]), jaw_coordinate(target, marks.mouth[1])
    posed = _Mesh(bent, source.faces, _features(bent, source, sides[0]))
    still = _Mesh(target.vertices, target.faces, _features(target.vertices, target, sides[1]))
    on_b = _nearest(still, posed, target, source)
    on_a = _nearest(posed, still, source, target)
    distance_b = np.linalg.norm(still.at(on_b) - bent, axis=1)
    distance_a = np.linalg.norm(posed.at(on_a) - target.vertices, axis=1)
    skin = (source.part == SKIN) & source.visible
    return Correspondence(
        on_a=on_a,
        on_b=on_b,
        trust_a=_trust(distance_a) * _has_partner(target, source),
        trust_b=_trust(distance_b) * _has_partner(source, target),
        faces_a=source.faces,
        faces_b=target.faces,
        weights_a=source.weights,
        weights_b=target.weights,
        lids=lid_seam(a),
        lips=lip_seams(a),
        align=align(source, target, marks),
        residual=distance_b[skin & (distance_b < UNSURE)],
    )


def shared_landmarks(
    a: FlameHead, source: RigParts, b: FlameHead, target: RigParts
) -> LandmarkPairs:
    """Landmarks that MediaPipe sees on both rigs."""
    points = [
        landmark_points(head, ~parts.visible & np.isin(parts.part, (SKIN, UPPER, LOWER)))
        for head, parts in ((a, source), (b, target))
    ]
    place = {int(index): i for i, index in enumerate(skin_landmarks())}
    lips = [place[i] for i in topology.MOUTH_OPENING]
    middle = np.nanmean(points[0][lips], axis=0), np.nanmean(points[1][lips], axis=0)
    both = np.isfinite(points[0]).all(1) & np.isfinite(points[1]).all(1)
    return LandmarkPairs(points[0][both], points[1][both], middle)


@dataclass(frozen=True)
class _Mesh:
    """A mesh in the common pose, with the features of `ClosestPointQuery`."""

    vertices: np.ndarray
    faces: np.ndarray
    features: np.ndarray

    def at(self, places: SurfacePoints) -> np.ndarray:
        return (self.vertices[self.faces[places.face_ids]] * places.bary[..., None]).sum(1)


def _features(vertices: np.ndarray, rig: RigParts, side: np.ndarray) -> np.ndarray:
    normals = vertex_normals(vertices, rig.faces)
    return np.column_stack((normals * NORMAL_LENGTH, side))


def _nearest(onto: _Mesh, of: _Mesh, onto_rig: RigParts, of_rig: RigParts) -> SurfacePoints:
    """For every vertex of one mesh the closest point of the same part on the other."""
    count = len(of.vertices)
    found = SurfacePoints(
        np.zeros(count, np.int64), np.tile((1.0, 0, 0), (count, 1)), np.zeros(count)
    )
    for part, seen in product(range(LOWER + 1), (True, False)):
        ids = np.flatnonzero((of_rig.part == part) & (of_rig.visible == seen))
        faces = _candidate_faces(onto_rig, part, seen)
        if len(ids) and len(faces):
            surface = ClosestPointQuery(onto.vertices, onto.faces, onto.features, faces)
            there = surface.nearest(of.vertices[ids], of.features[ids])
            for f in fields(SurfacePoints):
                getattr(found, f.name)[ids] = getattr(there, f.name)
    return found


def _candidate_faces(rig: RigParts, part: int, seen: bool) -> np.ndarray:
    """Faces to look in: visible skin on visible skin, all else on all of its part."""
    members = rig.part == part
    if part == SKIN and seen:
        members = members & rig.visible
    faces = rig.faces_of(members)
    return faces if len(faces) else rig.faces_of(rig.part == SKIN)


def _trust(distance: np.ndarray) -> np.ndarray:
    return smoothstep(distance, UNSURE, SURE)


def _has_partner(own: RigParts, other: RigParts) -> np.ndarray:
    """Whether the other rig has a part of the kind each vertex belongs to: [V] bool."""
    return np.isin(own.part, np.unique(other.part[other.part >= 0]))


def correspondence_of(a: FlameHead, b: FlameHead) -> Correspondence:
    """`fit_correspondence`, kept in the user's cache folder."""
    key = content_key(VERSION, *_fitted_arrays(a), *_fitted_arrays(b))
    arrays = load_arrays(KIND, key)
    if arrays is not None and (kept := _from_arrays(arrays, a, b)) is not None:
        return kept
    found = fit_correspondence(a, b)
    save_arrays(KIND, key, _to_arrays(found))
    return found


def _fitted_arrays(head: FlameHead) -> list[np.ndarray]:
    """The arrays of a rig that the fit depends on; `complete_rig` changes none of them."""
    tensors = (head.template, head.faces, head.joint_regressor, head.pose_correctives)
    return [x.numpy() for x in (*tensors, head.lbs_weights[:, JAW:])]


def _to_arrays(found: Correspondence) -> dict[str, np.ndarray]:
    arrays = {name: getattr(found, name) for name in KEPT}
    for name in ("on_a", "on_b"):
        points = getattr(found, name)
        arrays |= {f"{name}.{f.name}": getattr(points, f.name) for f in fields(SurfacePoints)}
    arrays |= {"scale": np.array(found.align.scale), "rotation": found.align.rotation}
    return arrays | {"shift": found.align.shift}


def _from_arrays(
    arrays: Mapping[str, np.ndarray], a: FlameHead, b: FlameHead
) -> Correspondence | None:
    """The correspondence of these rigs; None if an array is missing."""
    try:
        return Correspondence(
            on_a=SurfacePoints(*(arrays[f"on_a.{f.name}"] for f in fields(SurfacePoints))),
            on_b=SurfacePoints(*(arrays[f"on_b.{f.name}"] for f in fields(SurfacePoints))),
            align=Similarity(float(arrays["scale"]), arrays["rotation"], arrays["shift"]),
            faces_a=a.faces.numpy(),
            faces_b=b.faces.numpy(),
            weights_a=a.lbs_weights.double().numpy(),
            weights_b=b.lbs_weights.double().numpy(),
            lids=lid_seam(a),
            lips=lip_seams(a),
            **{name: arrays[name] for name in KEPT},
        )
    except KeyError:
        return None
