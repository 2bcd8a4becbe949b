"""ICT-FaceKit (MIT) as a rig of our form: joints, skinning, lids and ARKit shapes from its shapes.

Li et al., "Learning formation of physically-based face attributes" (CVPR 2020) describes the model;
the vertex ranges are in the ICT-FaceKit repository's README.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from flexavatar.errors import AssetError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.head.arkit_fit import offsets_before_skinning
from flexavatar.head.bake.expression import expression_mix
from flexavatar.head.bake.rig import JawHinge, fit_hinge, regressor_row
from flexavatar.head.eyelids import lid_arcs
from flexavatar.head.flame import FlameHead
from flexavatar.head.mesh_operators import neighbour_mean
from flexavatar.head.open_head import load_open_head
from flexavatar.head.surface import fit_similarity
from flexavatar.rigs.chart import Chart
from flexavatar.rigs.foreign import ForeignRig, bare_head, check_array, check_height, check_indices
from flexavatar.types import EXPRESSION_SIZE

NEEDED = ("v", "vt", "f", "ft", "identity", "expr", "expr_names")
VERTICES = 26719
CENTIMETRE = 0.01
SKIN = slice(0, 14062)
UPPER_TEETH = slice(17039, 19247)
LOWER_TEETH = slice(19247, 21451)
EYES = (slice(21451, 23021), slice(23021, 24591))  # left, right
EYE_SHELLS = (slice(21451, 22221), slice(23021, 23791))
SOLID = 24591
"""From here on: tear film, shading overlays and lashes, which are see-through and are left out."""
CORNEA = 0.3
"""Share of the eyeball's depth that bulges out of the sphere."""


def read_ict(arrays: Mapping[str, np.ndarray]) -> FlameHead:
    """The head with its own lids, expression basis and ARKit shapes; no masks yet.

    Raises AssetError if an array is missing or has the wrong shape.
    """
    _check(arrays)
    template = arrays["v"].astype(np.float64) * CENTIMETRE
    check_height(template)
    shapes = _shapes(arrays)
    hinge = fit_hinge(template[LOWER_TEETH], shapes["jawOpen"][LOWER_TEETH])
    faces, chart = _triangles(arrays)
    eyes = [sphere_centre(template[shell]) for shell in EYE_SHELLS]
    joints = _joints(eyes, hinge)
    lids = np.stack((shapes["eyeBlink_L"], shapes["eyeBlink_R"]), axis=-1)
    lids[SKIN.stop :] = 0
    head = bare_head(
        ForeignRig(
            template=template,
            identity=np.moveaxis(arrays["identity"].astype(np.float32), 0, -1) * CENTIMETRE,
            expression=np.zeros((len(template), 3, 0)),
            pose_correctives=np.zeros((len(template), 3, 36)),
            joint_regressor=_regressor(template, joints),
            lbs_weights=_weights(template, faces, shapes["jawOpen"], hinge),
            faces=faces,
            chart=chart,
            jaw_pitch=hinge.angle,
        )
    )
    head = replace(head, eyelids=torch.from_numpy(lids).float())
    head = replace(head, lid_arcs=lid_arcs(head))
    return _with_shapes(head, shapes)


def _check(arrays: Mapping[str, np.ndarray]) -> None:
    if missing := [name for name in NEEDED if name not in arrays]:
        raise AssetError(f"ICT-FaceKit: expected {', '.join(NEEDED)}; missing {', '.join(missing)}")
    check_array("v", arrays["v"], VERTICES, 3)
    check_array("vt", arrays["vt"], None, 2)
    check_array("f", arrays["f"], None, 4)
    check_array("ft", arrays["ft"], len(arrays["f"]), 4)
    check_array("identity", arrays["identity"], None, VERTICES, 3)
    check_array("expr", arrays["expr"], len(arrays["expr_names"]), VERTICES, 3)
    check_indices("f", arrays["f"], VERTICES)
    check_indices("ft", arrays["ft"], len(arrays["vt"]))


def _shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Displacements by ICT's own names, metres; AssetError if one that ARKit needs is missing."""
    names = [str(name) for name in arrays["expr_names"]]
    fields = arrays["expr"].astype(np.float64) * CENTIMETRE
    shapes = dict(zip(names, fields, strict=True))
    wanted = {part for name in ARKIT_NAMES if name != "tongueOut" for part in ict_names(name)}
    if missing := sorted(wanted - shapes.keys()):
        raise AssetError(
            f"expr_names: expected ICT-FaceKit's 57 shapes; missing {', '.join(missing)}"
        )
    return shapes


def ict_names(arkit_name: str) -> tuple[str, ...]:
    """The ICT shapes whose sum is this ARKit shape."""
    if arkit_name in ("browInnerUp", "cheekPuff"):
        return f"{arkit_name}_L", f"{arkit_name}_R"
    for side in ("Left", "Right"):
        if arkit_name.endswith(side) and arkit_name not in (f"jaw{side}", f"mouth{side}"):
            return (arkit_name.removesuffix(side) + f"_{side[0]}",)
    return (arkit_name,)


def _triangles(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, Chart]:
    """Quads cut in two; a triangle is stored as a quad that names a corner twice."""
    quads, texels = arrays["f"].astype(np.int64), arrays["ft"].astype(np.int64)
    halves = ([0, 1, 2], [0, 2, 3])
    faces = np.concatenate([quads[:, h] for h in halves])
    corners = np.concatenate([texels[:, h] for h in halves])
    a, b, c = faces.T
    keep = (a != b) & (b != c) & (c != a) & (faces < SOLID).all(1)
    return faces[keep], Chart(arrays["vt"].astype(np.float32), corners[keep])


def sphere_centre(points: np.ndarray) -> np.ndarray:
    """Least-squares centre of an eyeball, its cornea left out: [N, 3] -> [3]."""
    depth = points[:, 2]
    back = points[depth < depth.max() - CORNEA * np.ptp(depth)]
    system = np.column_stack((2 * back, np.ones(len(back))))
    return np.linalg.lstsq(system, (back**2).sum(1), rcond=None)[0][:3]


def _joints(eyes: list[np.ndarray], hinge: JawHinge) -> np.ndarray:
    """Neck and head joints are where the open head has them, relative to eyes and jaw: [5, 3]."""
    head = load_open_head()
    own = head.joints(head.template).double().numpy()
    known = np.stack((hinge.pivot, *eyes))
    similarity = fit_similarity(own[2:], known)
    return np.concatenate((similarity.apply(own[:2]) * (0, 1, 1), known))


def _regressor(points: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Rows for the five joints, from the surface around each: [5, V]."""
    skin = np.arange(len(points)) < SKIN.stop
    away = np.abs(points[:, None] - joints)  # [V, 5, 3]
    supports = [
        skin & (away[:, 0, 1] < 0.025),
        skin & (away[:, 1, 1] < 0.03) & (points[:, 2] < joints[1, 2] + 0.02),
        skin & (away[:, 2, 1] < 0.02) & (away[:, 2, 2] < 0.02) & (away[:, 2, 0] > 0.05),
    ]
    for eye in EYE_SHELLS:
        inside = np.zeros(len(points), dtype=bool)
        inside[eye] = True
        supports.append(inside)
    return np.stack([regressor_row(points, s, j) for s, j in zip(supports, joints, strict=True)])


def _weights(
    points: np.ndarray, faces: np.ndarray, opened: np.ndarray, hinge: JawHinge
) -> np.ndarray:
    """LBS weights; what the neck leaves behind is filled in from the open head later: [V, 5]."""
    full = hinge.displacement(points)
    jaw = np.clip((opened * full).sum(1) / np.maximum((full**2).sum(1), 1e-8), 0, 1)
    jaw = neighbour_mean(jaw, faces, steps=3)
    jaw[UPPER_TEETH], jaw[LOWER_TEETH] = 0, 1
    weights = np.zeros((len(points), 5))
    weights[:, 1], weights[:, 2] = 1 - jaw, jaw
    for joint, eye in zip((3, 4), EYES, strict=True):
        weights[eye] = np.eye(5)[joint]
    return weights


def _with_shapes(head: FlameHead, shapes: dict[str, np.ndarray]) -> FlameHead:
    """Add ARKit offsets (none for tongueOut) and the expression basis that all 57 shapes span."""
    zero = np.zeros_like(shapes["jawOpen"])
    known = [ict_names(name) if name != "tongueOut" else () for name in ARKIT_NAMES]
    fields = np.array([sum((shapes[part] for part in parts), zero) for parts in known])
    offsets = offsets_before_skinning(head, torch.from_numpy(fields).float())
    used = {part for parts in known for part in parts}
    rest = np.array([shapes[name] for name in sorted(shapes.keys() - used)]).reshape(
        -1, *zero.shape
    )
    spanned = np.concatenate((offsets.numpy(), rest.astype(np.float32)))
    modes = np.tensordot(spanned, expression_mix(spanned, EXPRESSION_SIZE), axes=(0, 0))
    padded = np.pad(modes, ((0, 0), (0, 0), (0, EXPRESSION_SIZE - modes.shape[-1])))
    return replace(
        head, arkit_offsets=offsets, expression=torch.from_numpy(padded.astype(np.float32))
    )
