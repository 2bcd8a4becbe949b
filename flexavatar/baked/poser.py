"""The reference of what every runtime of a baked avatar does: ARKit's weights to Gaussians."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flexavatar.baked.colors import field_weights
from flexavatar.baked.rig import BakedAvatar
from flexavatar.head.binding import deform, surface_motion
from flexavatar.head.eyelids import eyelid_visibility
from flexavatar.head.flame import joint_transforms, skin
from flexavatar.types import SH_C0, FlameCodes, Gaussians, check_shape


class BakedPoser:
    """Poses one baked avatar."""

    def __init__(self, baked: BakedAvatar) -> None:
        self.baked = baked

    def pose(self, weights: Tensor, neck_pose: Tensor | None = None) -> Gaussians:
        """One instant: ARKit's weights in Apple's order [52], the neck's axis-angle [3], radians.

        Raises ShapeError.
        """
        check_shape("weights", weights, 52)
        rig, shares = self.baked.rig, self.field_weights(weights)
        vertices = self._vertices(shares, torch.zeros(3) if neck_pose is None else neck_pose)
        motion = surface_motion(rig.template, vertices, rig.faces)
        moved = deform(self.baked.binding, self.baked.splats, motion)
        sh = (self._colors(shares) - 0.5) / SH_C0
        return Gaussians(*moved, self._opacities(vertices), sh[:, None])

    def field_weights(self, weights: Tensor) -> Tensor:
        """How far each field moves the mesh: [52] -> [fields]."""
        return field_weights(weights, self.baked.rig.eyelids, self.baked.rig.products)

    def _vertices(self, shares: Tensor, neck_pose: Tensor) -> Tensor:
        rig, fields = self.baked.rig, self.baked.rig.fields
        every = shares.repeat_interleave(fields.start.diff())[:, None]
        offsets = torch.zeros_like(rig.template).index_add(
            0, fields.vertices, every * fields.deltas
        )
        held = shares[:52]
        codes = replace(
            FlameCodes.zeros(0),
            jaw_pose=held @ rig.jaw_pose,
            leye_pose=held @ rig.leye_pose,
            reye_pose=held @ rig.reye_pose,
            neck_pose=neck_pose,
        )
        return skin(rig.template + offsets, rig.lbs_weights, joint_transforms(rig.joints, codes))

    def _opacities(self, vertices: Tensor) -> Tensor:
        """Opacities less what has folded away with the lids: [N]."""
        upper_left, lower_left, upper_right, lower_right = (
            vertices[ring].mean(0) for ring in self.baked.rig.lid_rings
        )
        gaps = torch.stack((upper_left - lower_left, upper_right - lower_right)).norm(dim=1)
        hidden = 1 - eyelid_visibility(gaps, self.baked.rig.usual_openings)
        return self.baked.opacities * (1 - self.baked.lids @ hidden)

    def _colors(self, shares: Tensor) -> Tensor:
        bases = self.baked.bases
        colors = self.baked.colors.clone()
        if bases.bases.shape[1]:
            colors[: bases.bases.shape[1]] += torch.einsum(
                "k,kdc->dc", shares @ bases.shares, bases.bases
            )
        return colors
