"""Puts the open head together from its parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flexavatar.head.bake.body import Body, build_body
from flexavatar.head.bake.chart import build_chart
from flexavatar.head.bake.expression import expression_mix, unit_fields
from flexavatar.head.bake.identity import draw_sliders, principal_modes, remove_rigid_motion
from flexavatar.head.bake.masks import build_masks
from flexavatar.head.bake.mesh import build_mesh
from flexavatar.head.bake.rig import joint_regressor
from flexavatar.head.bake.shapes import FaceMotion, face_motion
from flexavatar.head.bake.source import Source
from flexavatar.head.open_head import VERSION
from flexavatar.types import EXPRESSION_SIZE

IDENTITY_MODES = 72
SEED = 20


def bake(source: Source) -> dict[str, np.ndarray]:
    """Every array of the asset, by name."""
    mesh = build_mesh(source.base)
    body = build_body(source, mesh)
    masks = build_masks(source, body)
    arrays = motion_arrays(
        face_motion(body, masks["mouth"]), body.transfer_displacements(unit_fields(source, mesh))
    )
    arrays |= {
        "version": np.array(VERSION),
        "template": body.points.astype(np.float32),
        "identity": identity_modes(source, body, masks).astype(np.float16),
        "lbs_weights": body.weights.astype(np.float32),
        "joint_regressor": joint_regressor(mesh, body.points, body.joints).astype(np.float32),
        "faces": mesh.faces.astype(np.int32),
        "mirror": mesh.mirror.astype(np.int32),
        "jaw_pitch": np.array(body.hinge.angle),
    }
    arrays |= build_chart(body, masks)
    arrays |= {f"mask:{name}": mask.astype(np.float16) for name, mask in masks.items()}
    arrays |= {f"ring:{name}": ring.astype(np.int32) for name, ring in mesh.rings.items()}
    return arrays


def identity_modes(source: Source, body: Body, masks: dict[str, np.ndarray]) -> np.ndarray:
    """Modes of identity without rigid motion of the head: [V, 3, B]."""
    sliders = draw_sliders(source, body.mesh, np.random.default_rng(SEED))
    skull = body.weights[:, 1:].sum(1) * body.mesh.part("skin")
    still = remove_rigid_motion(body.transfer_displacements(sliders.fields), body.points, skull)
    importance = 0.1 + 0.4 * skull + masks["face"] + masks["ears"]
    modes = principal_modes(
        replace(sliders, fields=still), importance, body.mesh.mirror, IDENTITY_MODES
    )
    return modes


def motion_arrays(motion: FaceMotion, units: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays that move the face; `units` [U, V, 3] are further shapes for the basis."""
    shapes = np.concatenate((motion.offsets, units)).astype(np.float16)
    mix = expression_mix(shapes.astype(np.float64), EXPRESSION_SIZE)
    return {
        "shapes": shapes,
        "expression_mix": mix.astype(np.float32),
        "eyelids": _columns([lid.closed for lid in motion.lids]),
        "lid_arcs": _columns([lid.arc for lid in motion.lids]),
        "correctives": _columns(list(motion.pairs.values())).astype(np.float16),
        "corrective_factors": np.array(["*".join(pair) for pair in motion.pairs]),
    }


def _columns(fields: list[np.ndarray]) -> np.ndarray:
    return np.stack(fields, axis=-1).astype(np.float32)
